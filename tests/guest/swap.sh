#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# More memory than there is, with swap that is compressed memory, or is on a disk and
# has compressed memory before it.
#
# kernels: zram:dynamic
# also: dynamic debug
# mem: 1G
# mem@debug: 768M
# append: dynamic_memmap=on
# variant: zram
# variant: zswap --disk=swap:1G zswap.enabled=1

. "$DYNMEMMAP/tests/guest/lib.sh"

pages()	# in|out; to and from swap of either kind
{
	echo $(($(vmstat "pswp$1") + $(vmstat "zswp$1")))
}

total=$(($(meminfo MemTotal) / 1024))
remember_memmap
if booted_with zswap.enabled=1; then
	expect_success "there is swap" eval 'mkswap /dev/vda && swapon /dev/vda'
else
	expect_success "there is swap" zram_swap 1G
fi
expect_success "more memory than there is is filled" \
	hold_start some $((total + 140))
expect "some of it is in swap" "$(pages out)" -ge 20000
! booted_with zswap.enabled=1 ||
	expect "some of it is in compressed memory" "$(meminfo Zswapped)" -gt 1000
expect_success "it keeps its contents" hold_check some
expect "some of it was read from swap" "$(pages in)" -ge 20000
hold_stop some

expect_success "huge pages are filled" hold_start huge $((total * 4 / 10)) thp
expect_success "and others" hold_start some $((total / 4))
expect_success "they keep their contents" hold_check huge
expect_success "swap goes" zram_swap_end
expect_success "they keep their contents" hold_check some
hold_stop some
hold_stop huge
expect_memmap_back 15
expect_consistent

finish
