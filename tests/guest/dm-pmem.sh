#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Persistent memory is a cache of a disk, by dm-writecache and by dm-pcache: they have
# all of its struct pages, for they write back out of it.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# mem@debug: 2G
# pmem: 768M
# append: dynamic_memmap=on brd.rd_nr=1 brd.rd_size=65536

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

# There is no udev that would make nodes and names.
dm_setup()
{
	dmsetup --noudevrules --noudevsync "$@"
}

# As a new one: what is in its first sectors would be taken for what it holds.
make_cache()	# TARGET
{
	local sectors table

	sectors=$(blockdev --getsz /dev/ram0)
	case $1 in
	writecache) table="writecache p /dev/ram0 /dev/pmem0 4096 0" ;;
	pcache)	table="pcache /dev/pmem0 /dev/ram0 4 cache_mode writeback data_crc true" ;;
	esac
	dd if=/dev/zero of=/dev/pmem0 bs=1M count=1 oflag=direct status=none &&
		dm_setup create cache --table "0 $sectors $table"
}

holds()	# DEVICE
{
	dd if="$1" bs=1M count=32 iflag=direct status=none | cmp -s - /tmp/written
}

write_back()	# TARGET
{
	# The other one does it by itself.
	[[ $1 != writecache ]] || dm_setup message cache 0 flush
	eventually 60 holds /dev/ram0
}

for target in writecache pcache; do
	! dm_on || full=$(dm full_memmap_bytes)
	expect_success "$target: there is a namespace with its struct pages in RAM" make_fsdax
	expect_success "$target: a cache is made of it" make_cache $target
	! dm_on || expect "$target: it has all struct pages" "$(device_areas_idle)" -le 64
	head -c 32M /dev/urandom >/tmp/written
	expect_success "$target: the disk is written through it" dd if=/tmp/written of=/dev/dm-0 \
		bs=1M oflag=direct conv=fsync
	expect_success "$target: and read" holds /dev/dm-0
	expect_success "$target: it is written back" write_back $target
	expect_success "$target: it goes" dm_setup remove cache
	expect_success "$target: the namespace goes" ndctl disable-namespace namespace0.0
	! dm_on || expect "$target: and its areas" "$(dm full_memmap_bytes)" -eq "$full"
done
expect_consistent

finish
