#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Huge folios have one page of struct pages, and get the others when they are split,
# in each way that there is.
#
# kernels: dynamic
# also: stock debug
# mem: 2G
# append: dynamic_memmap=on

# shellcheck disable=SC2016 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

huge=$DYNMEMMAP/tests/guest/huge.py
thp=/sys/kernel/mm/transparent_hugepage
ksm=/sys/kernel/mm/ksm

echo madvise >$thp/enabled
# khugepaged would make whole again what is looked at.
echo 1000000000 >$thp/khugepaged/scan_sleep_millisecs
echo 20000 >$ksm/pages_to_scan
echo 10 >$ksm/sleep_millisecs
echo 1 >$ksm/run
number=$(zram_swap 512M)
note "swap on zram$number"
remember_memmap

if dm_on; then
	rest=$(memmap_kib)
	expect_success "400 huge pages are filled" hold_start some 800 thp
	expect "each of them is a huge area" "$(dm areas_huge)" -ge 400
	# More is kept ready for a while, because so many came at once. KASAN keeps what was
	# freed, in 16 areas of small pages.
	limit=2000
	[[ $KERNEL != debug ]] || limit=$((limit + 16 * 32))
	expect_success "400 cost at most $limit KiB" eventually 10 memmap_is_below $((rest + limit))
	note "they cost $(($(memmap_kib) - rest)) KiB"
	expect_success "they keep their contents" hold_check some
	echo 1 >/sys/kernel/debug/split_huge_pages
	expect "they are split" "$(dm areas_huge)" -lt 20
	expect_success "they keep their contents" hold_check some
	hold_stop some
	echo 100 >/proc/sys/vm/nr_hugepages
	expect "pages of hugetlb are huge areas" "$(dm areas_huge)" -ge 100
	echo 0 >/proc/sys/vm/nr_hugepages
	expect_success "and go as such" eventually 10 eval '(($(dm areas_huge) <= 16))'
fi

for action in rest protect unmap discard lazy-free move move-whole uffd-protect uffd-move \
	uffd-move-whole lock fork-child-writes fork-parent-writes page-out collapse merge \
	take-out killed whole-again split-orders bad-input die used-again; do
	expect_success "$action" "$huge" $action
done

expect_success "swap ends" zram_swap_end
expect_memmap_back 20
expect_consistent

finish
