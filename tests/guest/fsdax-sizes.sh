#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What struct pages of files on persistent memory cost: mapped as a whole, page by
# page, and a single page of many; and when the one becomes the other.
#
# kernels: none
# also: dynamic debug
# mem: 1G
# mem@debug: 2G
# pmem: 2G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

dax=$DYNMEMMAP/tests/guest/dax.py

use_and_leave()	# NAME ACTION
{
	expect_success "$1" "$dax" /mnt/dax/file /dev/null "$2"
	expect_success "${1%%:*}: nothing is left of it" \
		eventually 30 device_areas_idle_are "$idle"
}

expect_success "there is a namespace with its struct pages in RAM" make_fsdax
mkdir -p /mnt/dax
for fs in ext4 xfs; do
	expect_success "$fs: it is made" make_dax_fs "$fs" /dev/pmem0
	expect_success "$fs: it is mounted" mount -o dax /dev/pmem0 /mnt/dax
	eventually 20 memmap_rests
	idle=$(device_areas_idle)
	use_and_leave "$fs: one page mapped in 2 MiB costs one vmemmap page" single
	use_and_leave "$fs: all pages mapped one by one cost eight" small
	use_and_leave "$fs: 2 MiB mapped as a whole cost one vmemmap page" huge
	use_and_leave "$fs: what is mapped in parts is mapped as a whole again" fracture
	use_and_leave "$fs: and at once where nothing else is left" merge
	use_and_leave "$fs: so is what was a file of small extents" small-extents
	expect_success "$fs: it is unmounted" umount /mnt/dax
done
expect_success "the namespace goes" ndctl destroy-namespace --force namespace0.0
expect_consistent

finish
