#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Memory with holes everywhere is compacted, unasked, and the memmap of what
# becomes free goes.
#
# kernels: dynamic
# also: debug
# mem: 1G
# append: dynamic_memmap=on

# shellcheck disable=SC2016,SC2034 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

remember_memmap
compacted=$(vmstat dynmemmap_compact) migrated=$(vmstat pgmigrate_success)
expect_success "memory with holes is filled" hold_start sparse 500 sparse
expect_success "areas were emptied" \
	eventually 30 eval '(($(vmstat dynmemmap_compact) >= compacted + 120))'
expect "pages were moved" $(($(vmstat pgmigrate_success) - migrated)) -ge 10000
# 125 MiB of pages; areas that are more than half full stay as they are.
expect_success "the memmap is no more than twice what they need" \
	eventually 15 memmap_is_below $((memmap_before + 125 * 32 + 1024))
note "split areas: $(dm areas_split); pages moved: $(($(vmstat pgmigrate_success) - migrated))"
expect_success "memory keeps its contents" hold_check sparse
echo 1 >/proc/sys/vm/compact_memory
expect_success "compacted once more, memory keeps its contents" hold_check sparse

# A request for whole blocks, while there are none but in the pool.
echo 200 >/proc/sys/vm/nr_hugepages
expect "200 huge pages can be had" "$(cat /proc/sys/vm/nr_hugepages)" -eq 200
expect_success "memory keeps its contents" hold_check sparse
echo 0 >/proc/sys/vm/nr_hugepages
hold_stop sparse
expect_memmap_back 15
expect_consistent

finish
