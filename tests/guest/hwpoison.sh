#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Memory fails: free in an area without struct pages, in one that is partly used, or in
# one that waits for the next huge page; or in use. It is counted, and nobody gets it.
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

fails()	# PFN NUMBER; the so-many-th to fail
{
	expect_success "it fails" eval "echo $1 >$hwpoison/corrupt-pfn"
	expect "$2 pages are counted" "$(meminfo HardwareCorrupted)" -eq $(($2 * 4))
	expect_success "it is marked" poisoned "$1"
}

remember_memmap
idle=$(kpage idle)
expect "there is an idle area, at pfn $idle" "$idle" -gt 0
idle=$((idle + 7))
fails $idle 1

buddy=$(kpage buddy)
expect "there is a free page among others in use, at pfn $buddy" "$buddy" -gt 0
fails "$buddy" 2

keep=$(dm keep_areas)
echo 64 >"$DM/keep_areas"
expect_success "huge pages are used" hold_start huge 8 thp
cached=$(kpage of "$(hold_pid huge)")
hold_stop huge
number=$(dm cached_areas)
expect "one was at pfn $cached, and is not online now" "$(kpage flags "$cached")" -eq 0
expect "it is among the $number areas that wait for others" "$number" -gt 0
fails "$cached" 3
expect "its area waits no longer" "$(dm cached_areas)" -eq $((number - 1))
echo "$keep" >"$DM/keep_areas"

# Page frames that there are none of; the first are the last area that a number can name.
for pfn in 0xfffffffffffffe00 0xfffffffffffffffe 0xffffffffffffffff 0x10000000000000; do
	expect_refusal "pfn $pfn does not fail" $hwpoison/corrupt-pfn $pfn \
		"No such device or address"
	expect_refusal "pfn $pfn is not good again" $hwpoison/unpoison-pfn $pfn \
		"Input/output error"
done

# Everything that can be had is used: not these.
expect_success "most memory is filled" hold_start some 700
expect_success "it keeps its contents" hold_check some
for pfn in $idle $buddy $cached; do
	expect "nobody has the page $pfn" "$(kpage flags "$pfn")" -eq $((1 << 19))
done
hold_stop some
pause 4
for pfn in $idle $buddy $cached; do
	expect_success "$pfn is still marked when its area is free" poisoned "$pfn"
done
expect "they are still counted" "$(meminfo HardwareCorrupted)" -eq 12

expect_success "some memory is filled" hold_start some 100
used=$(kpage of "$(hold_pid some)")
expect "a page of it is at pfn $used" "$used" -gt 0
expect_success "that page is taken out of use" \
	eval "echo $((used << 12)) >/sys/devices/system/memory/soft_offline_page"
expect_success "it is marked" poisoned "$used"
expect "four pages are counted" "$(meminfo HardwareCorrupted)" -eq 16
expect_success "memory keeps its contents, elsewhere" hold_check some

failed=$(kpage of "$(hold_pid some)")
expect "a page in use is at pfn $failed" "$failed" -gt 0
fails "$failed" 5
expect_failure "who had it does not read from it" hold_check some
hold_stop some

for bad in $idle $buddy $cached $used $failed; do
	expect_success "pfn $bad is good again" eval "echo $bad >$hwpoison/unpoison-pfn"
done
expect "no page is counted" "$(meminfo HardwareCorrupted)" -eq 0
expect_memmap_back 20
expect_consistent

finish
