#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the struct pages of huge pages cost, all inclusive, when three quarters of the
# memory are filled with them. Not those of small pages: a process has page tables.
#
# kernels: none
# also: dynamic
# mem: 4G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

# But for what the stock keeps ready, which does not depend on how much is used.
memmap_in_use_kib()
{
	echo $(($(memmap_kib) - 4 * $(dm stock_free_frames)))
}

echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
remember_memmap
before=$(memmap_in_use_kib)
faulted=$(vmstat thp_fault_alloc) split=$(dm areas_split)
expect_success "3 GiB are filled with huge pages" hold_start some 3072 thp
huge=$(($(vmstat thp_fault_alloc) - faulted))
expect "all of it is huge pages" "$huge" -ge 1536
eventually 4 memmap_rests
expect "each of them is a huge area" "$(dm areas_huge)" -ge "$huge"
split=$(($(dm areas_split) - split))
note "$split areas of small pages more"
# For page tables, of which there is one for each huge page, and frames of struct pages.
expect "few others are used" "$split" -le 40
kib=$(($(memmap_in_use_kib) - before - 32 * split))
# An area page is there already, huge page or not.
bytes=$((kib * 1024 / huge + 64))
note "a huge page costs $bytes bytes"
expect "each costs at most 4.2 KiB" "$bytes" -le 4300
expect_success "they keep their contents" hold_check some
hold_stop some
expect_memmap_back 10
expect_consistent

finish
