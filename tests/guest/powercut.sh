#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# QEMU is killed while files on persistent memory are written: through mappings, with
# MAP_SYNC or msync(), and by fsync(). In the next boot all that was synced is there.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# pmem: 1G,1G
# disk: count:1M
# boots: 2
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

powercut=$DYNMEMMAP/tests/guest/powercut.py

mount_both()	# OPTIONS
{
	mkdir -p /mnt/ext4 /mnt/xfs
	expect_success "ext4 is mounted" mount -o "$1" /dev/pmem0 /mnt/ext4
	expect_success "xfs is mounted" mount -o "$1" /dev/pmem1 /mnt/xfs
}

if ((VM_BOOT == 1)); then
	expect_success "the labels of the NVDIMMs are made" make_labels
	for number in 0 1; do
		expect_success "NVDIMM $number becomes a namespace" \
			ndctl create-namespace --mode=fsdax --map=mem --region=region$number
	done
	expect_success "ext4 is made" make_dax_fs ext4 /dev/pmem0
	expect_success "xfs is made" make_dax_fs xfs /dev/pmem1
	mount_both dax=always
	! dm_on || idle=$(device_areas_idle)
	expect_success "files are written, and more all the time" "$powercut" write /dev/vda \
		/mnt/ext4 /mnt/xfs
	note "$(</tmp/powercut)"
	! dm_on || expect "they have struct pages" "$(device_areas_idle)" -lt "$((idle - 100))"
	power_cut /dev/vda
	not_ok "the power is cut"
	finish
fi

power_returned /dev/vda
ok "the power comes back"
mount_both dax=always
expect_success "all that was synced is there" "$powercut" check /dev/vda /mnt/ext4 /mnt/xfs
expect_success "ext4 is unmounted" umount /mnt/ext4
expect_success "xfs is unmounted" umount /mnt/xfs
expect_success "ext4 is in order" e2fsck -fn /dev/pmem0
expect_success "xfs is in order" xfs_repair -n /dev/pmem1
expect_consistent

finish
