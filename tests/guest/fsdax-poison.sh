#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Persistent memory on the kernel command line, in two ranges, of which one ends
# inside a section of RAM. Pages of it go bad: some of mapped files, one that nobody
# maps. Such memory is good again when it is written. Files share their blocks.
#
# kernels: none
# also: stock dynamic debug
# mem: 4G
# append: dynamic_memmap=on memmap=512M!1G memmap=592M!5G

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

dax=$DYNMEMMAP/tests/guest/dax.py
poison=/sys/devices/system/memory/hard_offline_page

# A page that is bad is remembered, and keeps its area.
expect_idle()	# WHAT BAD_PAGES
{
	! dm_on || expect_success "$1" eventually 30 device_areas_idle_are $((idle - $2))
}

for number in 0 1; do
	expect_success "range $number becomes a namespace with its struct pages in RAM" \
		make_fsdax "$number"
done
mkdir -p /mnt/dax /mnt/other
expect_success "ext4 is made on one" make_dax_fs ext4 /dev/pmem0
expect_success "it is mounted" mount -o dax=always /dev/pmem0 /mnt/dax
expect_success "xfs is made on the other" mkfs.xfs -q -f -m reflink=1 -d su=2m,sw=1 /dev/pmem1
expect_success "it is mounted" mount -o dax=always /dev/pmem1 /mnt/other
! dm_on || idle=$(device_areas_idle)

for mnt in /mnt/dax /mnt/other; do
	expect_success "$mnt: mapped files are used" "$dax" $mnt/file /dev/null fork sync query
done

# Shared blocks, and what becomes of them when one of the files is written.
expect_success "files with shared blocks are mapped and written" \
	"$dax" /mnt/other/file /dev/null reflink
expect_success "so are those that are mapped 2 MiB at a time" \
	"$dax" /mnt/other/file /dev/null reflink-huge
mount -t configfs config /sys/kernel/config
! dm_on || expect_success "and those that are pinned when another file gets them" \
	"$dax" /mnt/other/file /dev/null reflink-detached
! dm_on || expect_success "who wants a part of one waits until it is not pinned any more" \
	"$dax" /mnt/other/file /dev/null reflink-waits
expect_success "one of their pages is pinned meanwhile" \
	"$dax" /mnt/other/file /dev/null reflink-pinned

# Of nobody: nothing can be done about it, and nothing breaks.
resource=$(cat /sys/bus/nd/devices/namespace0.0/resource)
answer=$( (echo $((resource + (300 << 20))) >$poison) 2>&1)
expect "a page that nobody maps goes bad" "${answer##*: }" = "Device or resource busy"
expect_idle "all is idle again" 0
bad=0
for mnt in /mnt/dax /mnt/other; do
	expect_success "$mnt: blocks that the driver knows to be bad are not mapped" \
		"$dax" $mnt/file /dev/null badblocks
	expect_success "$mnt: a bad page that is written is good again" \
		"$dax" $mnt/file /dev/null rewritten
	expect_idle "$mnt: nothing is left of it" $bad
	expect_success "$mnt: a mapped page goes bad, and who reads it is told" \
		"$dax" $mnt/file /dev/null poison
	expect_idle "$mnt: all but its area is idle again" $((++bad))
	expect_success "$mnt: so is it with one of 2 MiB" "$dax" $mnt/file /dev/null poison-huge
	expect_idle "$mnt: all but both areas are idle again" $((++bad))
done
expect_success "one is unmounted" umount /mnt/dax
expect_success "the other is unmounted" umount /mnt/other
for number in 0 1; do
	expect_success "namespace $number goes" ndctl destroy-namespace --force namespace$number.0
done
expect_consistent

finish
