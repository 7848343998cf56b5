#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Without the parameter, or with "off", nothing of dynamic memmap is there or happens; and
# HugeTLB vmemmap optimization does what it does on a stock kernel.
#
# kernels: dynamic
# also: debug
# variant: plain
# variant: hvo dynamic_memmap=off hugetlb_free_vmemmap=on
# append@debug: dynamic_memmap=off
# mem: 1G

. "$DYNMEMMAP/tests/guest/lib.sh"

memmap_pages()
{
	echo $(($(vmstat nr_memmap_boot_pages) + $(vmstat nr_memmap_pages)))
}

expect "there is no $DM" ! -e "$DM"

hold_start some 300
expect_success "memory keeps its contents" hold_check some
hold_stop some

for counter in {,un}populate {,un}populate_tails lend take_back read_repairs write_repairs; do
	expect "dynmemmap_$counter stays 0" "$(vmstat "dynmemmap_$counter")" -eq 0
done
# All of the memmap is there: 16 MiB at least are missing from the total.
expect "struct pages are allocated at boot" "$(vmstat nr_memmap_boot_pages)" -ge 4096

# Of eight vmemmap pages one is left; the tail that all of them share is not counted.
if booted_with hugetlb_free_vmemmap=on; then
	hugepages=/proc/sys/vm/nr_hugepages
	before=$(memmap_pages)
	echo 100 >$hugepages
	expect "there are 100 pages of hugetlb" "$(<$hugepages)" -eq 100
	saved=$((before - $(memmap_pages)))
	note "100 pages of hugetlb save $saved vmemmap pages"
	expect "each saves seven vmemmap pages" "$saved" -eq 700
	expect_success "they are filled" hold_start huge 200 hugetlb
	expect_success "they keep their contents" hold_check huge
	hold_stop huge
	echo 0 >$hugepages
	expect "they are free" "$(<$hugepages)" -eq 0
	expect "their vmemmap pages are there again" "$(memmap_pages)" -eq "$before"
fi

finish
