#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Huge pages never, where advised, and always: allocated, split, collapsed.
#
# kernels: dynamic
# also: debug
# mem: 2G
# append: dynamic_memmap=on

# shellcheck disable=SC2016 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

thp=/sys/kernel/mm/transparent_hugepage
remember_memmap

for mode in never madvise always; do
	echo $mode >$thp/enabled
	faulted=$(vmstat thp_fault_alloc)
	expect_success "$mode: memory is filled" hold_start some 400 thp
	huge=$(($(vmstat thp_fault_alloc) - faulted))
	if [[ $mode == never ]]; then
		expect "never: there are no huge pages" "$huge" -eq 0
	else
		expect "$mode: there are huge pages" "$huge" -ge 150
		split=$(vmstat thp_split_page)
		echo 1 >/sys/kernel/debug/split_huge_pages
		expect "$mode: they are split" "$(($(vmstat thp_split_page) - split))" -ge 150
	fi
	expect_success "$mode: memory keeps its contents" hold_check some
	if [[ $mode == always ]]; then
		collapsed=$(vmstat thp_collapse_alloc)
		echo 4096 >$thp/khugepaged/pages_to_scan
		echo 100 >$thp/khugepaged/scan_sleep_millisecs
		eventually 15 eval '(($(vmstat thp_collapse_alloc) > collapsed + 20))'
		expect "$mode: and collapsed again" \
			"$(($(vmstat thp_collapse_alloc) - collapsed))" -gt 20
		! dm_on || expect_success "$mode: into huge areas" \
			eventually 15 eval '(($(dm areas_huge) > 20))'
		expect_success "$mode: memory keeps its contents" hold_check some
	fi
	hold_stop some
	expect_success "$mode: stress-ng finds no error" stress-ng --temp-path /tmp \
		--vm 1 --vm-bytes 40% --vm-method flip --vm-madvise hugepage \
		--mmapmany 1 --mremap 1 --verify --timeout 3
done

expect_memmap_back 15
expect_consistent

finish
