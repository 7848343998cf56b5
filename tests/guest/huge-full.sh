#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the struct pages of huge pages cost, all inclusive, when three quarters of the
# memory are filled with them.
#
# kernels: dynamic
# mem: 4G
# append: dynamic_memmap=on
# timeout: 300

. "$DYNMEMMAP/tests/guest/lib.sh"

echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
remember_memmap
faulted=$(vmstat thp_fault_alloc)
expect_success "3 GiB are filled with huge pages" hold_start some 3072 thp
huge=$(($(vmstat thp_fault_alloc) - faulted))
expect "all of it is huge pages" "$huge" -ge 1536
eventually 20 memmap_rests
bytes=$((($(memmap_kib) - memmap_before) * 1024 / huge))
note "a huge page costs $bytes bytes"
expect "each costs at most 4.2 KiB" "$bytes" -le 4300
expect_success "they keep their contents" hold_check some
hold_stop some
expect_memmap_back 10
expect_consistent

finish
