#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A namespace is created, used and destroyed a hundred times, with each file system, and
# with each place that ndctl knows for struct pages. Nothing is left behind.
#
# kernels: none
# also: stock dynamic debug
# mem: 1G
# pmem: 1G
# append: dynamic_memmap=on brd.rd_nr=1 brd.rd_size=65536
# timeout: 3600

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

create()	# MAP
{
	ndctl create-namespace --mode=fsdax "--map=$1" >/tmp/namespace
}

namespace()	# FIELD
{
	sed -n "s/.*\"$1\":\"\(.*\)\".*/\1/p" /tmp/namespace
}

cycle()	# FSTYPE MAP
{
	create "$2" && make_dax_fs "$1" "/dev/$(namespace blockdev)" &&
		mount -o dax=always "/dev/$(namespace blockdev)" /mnt/dax &&
		"$DYNMEMMAP/tests/guest/dax.py" /mnt/dax/file /dev/ram0 direct-write holes &&
		umount /mnt/dax &&
		ndctl destroy-namespace --force "$(namespace dev)"
}

# One of each kind.
four_cycles()
{
	cycle ext4 mem && cycle xfs mem && cycle ext4 dev && cycle xfs dev
}

# The figures are read one after the other, while a worker may change them.
nothing_is_left()
{
	(($(memmap_of_idle) <= used + (64 << 10)))
}

mkdir -p /mnt/dax
expect_success "there are no namespaces" ndctl destroy-namespace --force all
! dm_on || full=$(dm full_memmap_bytes)
# What Linux keeps for the next device is there after the first ones.
expect_success "one of each kind comes and goes" four_cycles
if dm_on; then
	remember_memmap
	used=$(memmap_of_idle)
fi
for ((fours = 1; fours <= 24; fours++)); do
	expect_success "four more, the ${fours}th time" four_cycles
	! dm_on || expect "their areas are gone" "$(dm full_memmap_bytes)" -eq "$full"
done
if dm_on; then
	expect_success "no memmap is left, 64 KiB at the most" eventually 30 nothing_is_left
	note "memmap of what is idle: $used bytes after four, $(memmap_of_idle) after a hundred"
fi
expect_memmap_back 20
expect_consistent

finish
