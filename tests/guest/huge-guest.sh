#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest with far more memory than the host: none of it has a memmap that is
# not used.
#
# kernels: dynamic
# mem: 900G
# append: dynamic_memmap=on
# timeout: 300

. "$DYNMEMMAP/tests/guest/lib.sh"

remember_memmap
note "memmap: $memmap_before KiB of $(($(dm full_memmap_bytes) >> 10))"
expect "a full memmap would take 14 GiB" "$(dm full_memmap_bytes)" -eq $((900 << 24))
# 56 MiB of area pages and page tables; the others are of what boot allocates,
# which is more on a large machine.
expect "the memmap takes at most 68 MiB" "$memmap_before" -le $((68 << 10))
expect "nearly all memory is free" "$(meminfo MemFree)" -ge $((890 << 20))
expect_success "512 MiB are filled" hold_start some 512 thp
expect_success "they keep their contents" hold_check some
hold_stop some
expect_memmap_back 20
expect_consistent

finish
