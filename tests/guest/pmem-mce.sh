#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Machine checks say that persistent memory is bad: a page of a mapped file, alone or
# in an entry of 2 MiB, and one that nobody maps. The driver remembers them, and who
# maps them is told. ext4 cannot say whose a page is, xfs can.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# pmem: 640M,640M
# qemu-arg: -cpu
# qemu-arg: max,la57=off,vendor=GenuineIntel
# append: dynamic_memmap=on

# shellcheck disable=SC2034,SC2317 # counted, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

bad_blocks_are()	# NUMBER
{
	(($(wc -l <"/sys/block/$disk/badblocks") == $1))
}

# As the kernel says it, in sectors of the disk.
bad_block_is_known()	# ADDRESS
{
	local begin

	begin=$(<"/sys/block/$disk/device/resource")
	grep -qx "$((($1 - begin) >> 9)) 8" "/sys/block/$disk/badblocks"
}

make_fs()
{
	case $fs in
	ext4) make_dax_fs ext4 "/dev/$disk" ;;
	# That is by which it finds the file.
	xfs) mkfs.xfs -q -f -d su=2m,sw=1 -m rmapbt=1 "/dev/$disk" ;;
	esac
}

mkdir -p /mnt/dax
for number in 0 1; do
	disk=pmem$number
	((number == 0)) && fs=ext4 || fs=xfs
	expect_success "$fs: there is a namespace with its struct pages in RAM" make_fsdax $number
	expect_success "$fs: it is made" make_fs
	expect_success "$fs: it is mounted" mount -o dax=always /dev/$disk /mnt/dax
	! dm_on || idle=$(device_areas_idle)

	resource=$(<"/sys/bus/nd/devices/namespace$number.0/resource")
	bad=$((resource + (500 << 20)))
	expect_success "$fs: a page that nobody maps goes bad" \
		monitor "mce -b 0 9 0xbd000000000000c0 0x5 $bad 0x8c"
	expect_success "$fs: the driver knows it" eventually 20 bad_block_is_known $bad
	expect_success "$fs: and no other" bad_blocks_are 1
	! dm_on || expect_success "$fs: it needs no struct pages" \
		eventually 30 device_areas_idle_are "$idle"
	expect_success "$fs: a mapped page goes bad, and who maps it is told" \
		"$DYNMEMMAP/tests/guest/dax.py" /mnt/dax/file /dev/null machine-check
	expect_success "$fs: the driver knows both" bad_blocks_are 2
	expect_success "$fs: so is it with one of 2 MiB" \
		"$DYNMEMMAP/tests/guest/dax.py" /mnt/dax/file /dev/null machine-check-huge
	expect_success "$fs: the driver knows all three" bad_blocks_are 3
	expect_success "$fs: it is unmounted" umount /mnt/dax
	expect_success "$fs: the namespace goes" ndctl destroy-namespace --force "namespace$number.0"
done
expect_consistent

finish
