#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The driver of persistent memory goes while a file system is mounted there, while its
# files are mapped and pinned, and while programs have mapped a device: it waits, or they
# are told; no struct pages stay, and it can come back.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# mem@debug: 2G
# pmem: 1G
# append: dynamic_memmap=on brd.rd_nr=1 brd.rd_size=65536

. "$DYNMEMMAP/tests/guest/lib.sh"

dax=$DYNMEMMAP/tests/guest/dax.py

! dm_on || full=$(dm full_memmap_bytes)
mkdir -p /mnt/dax
for fs in ext4 xfs; do
	expect_success "$fs: there is a namespace with its struct pages in RAM" make_fsdax
	expect_success "$fs: it is made" make_dax_fs "$fs" /dev/pmem0
	expect_success "$fs: it is mounted" mount -o dax=always /dev/pmem0 /mnt/dax
	for action in refused unbind-mounted unbind-pinned direct-write; do
		expect_success "$fs: $action" "$dax" /mnt/dax/file /dev/ram0 $action
	done
	expect_success "$fs: it is unmounted" umount /mnt/dax
	expect_success "$fs: the namespace goes" ndctl disable-namespace namespace0.0
	! dm_on || expect "$fs: and its areas" "$(dm full_memmap_bytes)" -eq "$full"
done
for align in 4K 2M; do
	expect_success "$align: there is a device" ndctl create-namespace --force --mode=devdax \
		--map=mem --align=$align --reconfig=namespace0.0
	for action in unbind-device direct-write; do
		expect_success "$align: $action" "$dax" /dev/dax0.0 /dev/ram0 $action
	done
	expect_success "$align: it goes" ndctl disable-namespace namespace0.0
	! dm_on || expect "$align: and its areas" "$(dm full_memmap_bytes)" -eq "$full"
done
expect_success "all pins are gone" eventually 5 no_pins_left
expect_consistent

finish
