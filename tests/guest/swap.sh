#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# More memory than there is, with swap that is compressed memory.
#
# kernels: dynamic
# also: debug
# mem: 1G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

remember_memmap
expect_success "there is swap" zram_swap 1G
expect_success "more memory than there is is filled" hold_start some 1100
expect "some of it is in swap" "$(vmstat pswpout)" -ge 20000
expect_success "it keeps its contents" hold_check some
expect "some of it was read from swap" "$(vmstat pswpin)" -ge 20000
hold_stop some

expect_success "huge pages are filled" hold_start huge 400 thp
expect_success "and others" hold_start some 250
expect_success "they keep their contents" hold_check huge
expect_success "swap goes" zram_swap_end
expect_success "they keep their contents" hold_check some
hold_stop some
hold_stop huge
expect_memmap_back 15
expect_consistent

finish
