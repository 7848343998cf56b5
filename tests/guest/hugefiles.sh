#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Huge pages of shared memory, of tmpfs and of the page cache of file systems: mapped in
# every way, split, swapped or dropped, read again, and freed. While they are whole they
# have few struct pages where nobody counts the mappings of each page, and all elsewhere.
#
# kernels: none
# also: stock dynamic debug
# mem: 1G
# disk: one:1G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

state=$(state_of_huge_files)

try()	# WHAT KIND [FILE]
{
	expect_success "$1: mapped, split, gone and back" \
		"$DYNMEMMAP/tests/guest/hugefiles.py" "$state" "${@:2}"
}

echo always >/sys/kernel/mm/transparent_hugepage/shmem_enabled
# khugepaged would make whole again what is looked at.
echo 1000000000 >/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
mkdir -p /mnt/huge
number=$(zram_swap 256M)
note "swap on zram$number"
remember_memmap
# Much comes and goes, and is waited for.
! dm_on || echo 100 >"$DM/take_back_delay_ms"

try "shared memory" anonymous
expect_memmap_back 20
try memfd memfd
expect_memmap_back 20
for huge in always within_size advise; do
	mount -t tmpfs -o huge=$huge,size=256M tmpfs /mnt/huge
	case $huge in
	always) kind=written ;;
	within_size) kind=within-size ;;
	advise) kind=advised ;;
	esac
	try "tmpfs huge=$huge" "$kind" /mnt/huge/file
	umount /mnt/huge
	expect_memmap_back 20
done
for fs in ext4 xfs; do
	expect_success "$fs: it is made" make_dax_fs $fs /dev/vda
	expect_success "$fs: it is mounted" mount /dev/vda /mnt/huge
	try $fs disk /mnt/huge/file
	expect_success "$fs: it is unmounted" umount /mnt/huge
	echo 3 >/proc/sys/vm/drop_caches
	expect_memmap_back 20
done
expect_success "swap ends" zram_swap_end
expect_memmap_back 20
expect_consistent

finish
