#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Memory fails: free and idle, or in use. It is counted, and nobody gets it.
#
# kernels: dynamic
# also: debug
# mem: 1G
# mem@debug: 1280M
# append: dynamic_memmap=on

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

hwpoison=/sys/kernel/debug/hwpoison

kpage()
{
	/usr/bin/python3 -I "$DYNMEMMAP/tests/guest/kpage.py" "$@"
}

poisoned()	# PFN
{
	(($(kpage flags "$1") >> 19 & 1))
}

remember_memmap
pfn=$(kpage idle)
expect "there is an idle area, at pfn $pfn" "$pfn" -gt 0
pfn=$((pfn + 7))
expect_success "a page of it fails" eval "echo $pfn >$hwpoison/corrupt-pfn"
expect "one page is counted" "$(meminfo HardwareCorrupted)" -eq 4
expect_success "it is marked" poisoned $pfn

# Everything that can be had is used: not that one.
expect_success "most memory is filled" hold_start some 700
expect_success "it keeps its contents" hold_check some
expect "nobody has the page" "$(kpage flags $pfn)" -eq $((1 << 19))
hold_stop some
pause 4
expect_success "it is still marked when its area is free" poisoned $pfn
expect "it is still counted" "$(meminfo HardwareCorrupted)" -eq 4

expect_success "some memory is filled" hold_start some 100
used=$(kpage of "$(hold_pid some)")
expect "a page of it is at pfn $used" "$used" -gt 0
expect_success "that page is taken out of use" \
	eval "echo $((used << 12)) >/sys/devices/system/memory/soft_offline_page"
expect_success "it is marked" poisoned "$used"
expect "two pages are counted" "$(meminfo HardwareCorrupted)" -eq 8
expect_success "memory keeps its contents, elsewhere" hold_check some

failed=$(kpage of "$(hold_pid some)")
expect_success "a page in use fails at pfn $failed" eval "echo $failed >$hwpoison/corrupt-pfn"
expect_success "it is marked" poisoned "$failed"
expect "three pages are counted" "$(meminfo HardwareCorrupted)" -eq 12
expect_failure "who had it does not read from it" hold_check some
hold_stop some

for bad in $pfn $used $failed; do
	expect_success "pfn $bad is good again" eval "echo $bad >$hwpoison/unpoison-pfn"
done
expect "no page is counted" "$(meminfo HardwareCorrupted)" -eq 0
expect_memmap_back 20
expect_consistent

finish
