#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One small page of a huge one fails, or is taken out of use: of a process, of a file,
# of hugetlb, 2 MiB or 1 GiB. All else is as it was, and the mark stays.
#
# kernels: dynamic
# also: stock debug
# mem: 7G
# mem@debug: 10G
# append: dynamic_memmap=on

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

unpoison=/sys/kernel/debug/hwpoison/unpoison-pfn

kpage()
{
	/usr/bin/python3 -IS "$DYNMEMMAP/tests/guest/kpage.py" "$@"
}

poison()	# CASE
{
	/usr/bin/python3 -S "$DYNMEMMAP/tests/guest/poison.py" "$1"
}

# Bad, and neither slab, nor to be reclaimed or mapped.
is_nobodys()	# PFN
{
	local flags

	flags=$(kpage flags "$1")
	echo "its flags are $flags"
	((flags >> 19 & 1 && !(flags & (1 << 7 | 1 << 5 | 1 << 11))))
}

good_again()	# CASE
{
	local pfn

	read -r pfn <"/tmp/poison.$1"
	expect_success "$1: pfn $pfn is good again" eval "echo $pfn >$unpoison"
}

echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
mkdir -p /mnt/huge
mount -t tmpfs -o huge=always,size=64M tmpfs /mnt/huge
remember_memmap

expect_success gigantic-offline poison gigantic-offline
# These stay in one piece with what is around them, where no kernel looks for them.
for case in thp-pinned hugetlb-kept; do
	expect_success "$case" poison "$case"
	good_again "$case"
done
expect "no page is counted" "$(meminfo HardwareCorrupted)" -eq 0

cases=(thp thp-killed thp-offline shmem hugetlb hugetlb-killed hugetlb-free hugetlb-offline
	gigantic)
for case in "${cases[@]}"; do
	expect_success "$case" poison "$case"
done
expect "${#cases[@]} pages are counted" "$(meminfo HardwareCorrupted)" -eq $((4 * ${#cases[@]}))

# What is free around them is used first.
expect_success "memory is filled" hold_start some 300
for case in "${cases[@]}"; do
	read -r pfn <"/tmp/poison.$case"
	expect_success "$case: nobody has pfn $pfn" is_nobodys "$pfn"
done
expect_success "memory keeps its contents" hold_check some
hold_stop some
! dm_on || eventually 30 memmap_rests
for case in "${cases[@]}"; do
	read -r pfn <"/tmp/poison.$case"
	expect_success "$case: pfn $pfn is still marked when all around it is free" is_nobodys "$pfn"
done
for case in "${cases[@]}"; do
	good_again "$case"
done
expect "no page is counted" "$(meminfo HardwareCorrupted)" -eq 0
umount /mnt/huge
expect_memmap_back 20
expect_consistent

finish
