#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Memory reserved for contiguous allocation is lent to others meanwhile.
#
# kernels: dynamic
# also: debug
# mem: 6G
# append: dynamic_memmap=on cma=64M hugetlb_cma=1G

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

cma=$(grep -lx 16384 /sys/kernel/debug/cma/*/count)
cma=${cma%/count}
expect "there is a region of 64 MiB" -n "$cma"
expect "and one of 1 GiB" "$(meminfo CmaTotal)" -eq $(((1024 + 64) << 10))
expect "both are free" "$(meminfo CmaFree)" -ge $((1060 << 10))
remember_memmap

used=$(cat "$cma/used")
for pages in 1 100 3000 8192; do
	expect_success "$pages pages are allocated" eval "echo $pages >$cma/alloc"
done
expect "they are used" $(($(cat "$cma/used") - used)) -ge $((1 + 100 + 3000 + 8192))
expect_success "they are freed" eval "echo $((1 + 100 + 3000 + 8192)) >$cma/free"
expect "none is used" "$(cat "$cma/used")" -eq "$used"

# What others have had of the regions goes back there; programs and what they read may have
# been put there meanwhile.
all_free()
{
	echo 1 >/proc/sys/vm/drop_caches
	(($(meminfo CmaFree) >= free - 16384))
}

# Others have it: their memory has to move.
free=$(meminfo CmaFree)
expect_success "most memory is filled" hold_start some 3300 thp
expect "the regions, too" "$(meminfo CmaFree)" -le $((900 << 10))
hold_start less 100
expect_success "8192 pages are allocated" eval "echo 8192 >$cma/alloc"
expect_success "memory keeps its contents" hold_check some
expect_success "they are freed" eval "echo 8192 >$cma/free"
hold_stop less
# Huge pages that are found whole, every ten seconds, share their tails: not those of a region.
sleep 12
hold_stop some
# That takes free pages off the lists of the CPUs, too.
expect_success "all pages of one are allocated" eval "echo 16384 >$cma/alloc"
expect_success "they are freed" eval "echo 16384 >$cma/free"
expect_success "the regions get it back" eventually 20 all_free
note "CmaFree: $free KiB before, $(meminfo CmaFree) now"

pages=/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages
echo 1 >$pages
expect "a page of 1 GiB is allocated" "$(cat $pages)" -eq 1
echo 0 >$pages
expect "it is freed" "$(cat $pages)" -eq 0

free=$(meminfo CmaFree)
small=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
echo 1 >$pages
echo 1 >${pages%/*}/demote
expect "it is demoted" "$(cat $small)" -eq 512
echo 0 >$small
expect_success "the regions get it back" eventually 10 all_free
echo 1 >$pages
expect "it is allocated again" "$(cat $pages)" -eq 1
echo 0 >$pages
echo 5000 >$small
expect "all memory is pages of 2 MiB, and of the regions, too" "$(meminfo CmaFree)" -lt $((free - 8192))
echo 0 >$small
expect_success "the regions get that back" eventually 10 all_free
expect_memmap_back 15
expect_consistent

finish
