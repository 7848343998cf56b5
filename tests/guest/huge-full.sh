#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the struct pages of huge pages cost, all inclusive, when three quarters of the
# memory are filled with them: those of the small pages that they need are in it, of page
# tables and of what holds struct pages.
#
# kernels: none
# also: dynamic
# mem: 4G
# append: dynamic_memmap=on

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

# But for what the stock keeps ready, which does not depend on how much is used.
memmap_in_use_kib()
{
	echo $(($(memmap_kib) - 4 * $(dm stock_free_frames)))
}

cost_kib()
{
	echo $(($(memmap_in_use_kib) - before))
}

cost_is_at_most()	# KIB
{
	(($(cost_kib) <= $1))
}

echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
remember_memmap
before=$(memmap_in_use_kib)
faulted=$(vmstat thp_fault_alloc) split=$(dm areas_split)
expect_success "3 GiB are filled with huge pages" hold_start some 3072 thp
huge=$(($(vmstat thp_fault_alloc) - faulted))
expect "all of it is huge pages" "$huge" -ge 1536
expect "each of them is a huge area" "$(dm areas_huge)" -ge "$huge"
# However many there are, there is the process itself, and what is kept for the next: 24
# areas of small pages.
limit=$((huge * 42 / 10 + 24 * 32))
eventually 10 cost_is_at_most "$limit"
kib=$(cost_kib)
note "$kib KiB for $huge huge pages and $(($(dm areas_split) - split)) areas of small pages," \
	"$(($(memmap_kib) - memmap_before)) KiB with what the stock keeps ready"
expect "each costs at most 4.2 KiB, and all others 768 KiB" "$kib" -le "$limit"
expect_success "they keep their contents" hold_check some
hold_stop some
expect_memmap_back 10
expect_consistent

finish
