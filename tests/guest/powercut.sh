#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# QEMU is killed while files on persistent memory are written: through mappings, with
# MAP_SYNC or msync(), and by fsync(). In the next boot all that was synced is there.
# That is done twice: the last to write before is who maps pages, then huge pages, with
# MAP_SYNC.
#
# kernels: none
# also: stock dynamic debug
# mem: 1G
# pmem: 1G,1G
# disk: count:1M
# boots: 3
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

powercut=$DYNMEMMAP/tests/guest/powercut.py
last_writers=(SmallPages HugePages)

if ((VM_BOOT == 1)); then
	expect_success "the labels of the NVDIMMs are made" make_labels
	for number in 0 1; do
		expect_success "NVDIMM $number becomes a namespace" \
			ndctl create-namespace --mode=fsdax --map=mem --region=region$number
	done
	expect_success "ext4 is made" make_dax_fs ext4 /dev/pmem0
	expect_success "xfs is made" make_dax_fs xfs /dev/pmem1
else
	power_returned /dev/vda
	ok "the power comes back"
fi
mkdir -p /mnt/ext4 /mnt/xfs
expect_success "ext4 is mounted" mount -o dax=always /dev/pmem0 /mnt/ext4
expect_success "xfs is mounted" mount -o dax=always /dev/pmem1 /mnt/xfs
((VM_BOOT == 1)) ||
	expect_success "all that was synced is there" "$powercut" check /dev/vda /mnt/ext4 /mnt/xfs

if ((VM_BOOT <= ${#last_writers[@]})); then
	last=${last_writers[VM_BOOT - 1]}
	! dm_on || idle=$(device_areas_idle) huge=$(dm areas_huge)
	expect_success "files are written, in the end by $last" \
		"$powercut" write /dev/vda "$last" /mnt/ext4 /mnt/xfs
	[[ ! -s /tmp/powercut ]] || note "$(</tmp/powercut)"
	# What was checked is still there, in the second time.
	if dm_on && ((VM_BOOT == 1)); then
		expect "they have struct pages" "$(device_areas_idle)" -lt "$((idle - 100))"
		huge=$(($(dm areas_huge) - huge))
		note "$huge areas more are huge"
		expect "some are mapped in huge pages" $huge -ge 32
	fi
	power_cut /dev/vda
	not_ok "the power is cut"
	finish
fi

expect_success "ext4 is unmounted" umount /mnt/ext4
expect_success "xfs is unmounted" umount /mnt/xfs
expect_success "ext4 is in order" e2fsck -fn /dev/pmem0
expect_success "xfs is in order" xfs_repair -n /dev/pmem1
expect_consistent

finish
