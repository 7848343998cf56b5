#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Machine checks say that persistent memory is bad: a page of a mapped file, and one
# that nobody maps. The driver remembers both, and who maps them is told.
#
# kernels: none
# also: stock dynamic debug
# mem: 1G
# pmem: 1G
# qemu-arg: -cpu
# qemu-arg: max,la57=off,vendor=GenuineIntel
# append: dynamic_memmap=on

# shellcheck disable=SC2034,SC2317 # counted, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

bad_blocks_are()	# NUMBER
{
	(($(wc -l </sys/block/pmem0/badblocks) == $1))
}

expect_success "there is a namespace with its struct pages in RAM" make_fsdax
mkdir -p /mnt/dax
expect_success "ext4 is made" mkfs.ext4 -q -F -b 4096 /dev/pmem0
expect_success "it is mounted" mount -o dax /dev/pmem0 /mnt/dax
! dm_on || idle=$(device_areas_idle)

resource=$(</sys/bus/nd/devices/namespace0.0/resource)
expect_success "a page that nobody maps goes bad" \
	monitor "mce -b 0 9 0xbd000000000000c0 0x5 $((resource + (700 << 20))) 0x8c"
expect_success "the driver knows it" eventually 20 bad_blocks_are 1
! dm_on || expect_success "it needs no struct pages" \
	eventually 30 device_areas_idle_are "$idle"
expect_success "a mapped page goes bad, and who maps it is told" \
	"$DYNMEMMAP/tests/guest/dax.py" /mnt/dax/file /dev/null machine-check
expect_success "the driver knows both" bad_blocks_are 2
expect_success "it is unmounted" umount /mnt/dax
expect_success "the namespace goes" ndctl destroy-namespace --force namespace0.0
expect_consistent

finish
