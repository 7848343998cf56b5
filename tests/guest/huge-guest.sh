#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest with far more memory than the host: none of it has a memmap that is
# not used.
#
# kernels: dynamic
# mem: 900G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

remember_memmap
note "memmap: $memmap_before KiB of $(($(dm full_memmap_bytes) >> 10))"
expect "a full memmap would take 14 GiB" "$(dm full_memmap_bytes)" -eq $((900 << 24))
# 28 MiB of area pages; the rest is of what boot allocates, which is more on a large
# machine: the hash tables of the VFS alone are 384 MiB.
expect "the memmap takes at most 48 MiB" "$memmap_before" -le $((48 << 10))
expect "nearly all memory is free" "$(meminfo MemFree)" -ge $((890 << 20))
expect_success "512 MiB are filled" hold_start some 512 thp
expect_success "they keep their contents" hold_check some
hold_stop some
expect_memmap_back 20
expect_consistent

finish
