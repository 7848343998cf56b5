#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Pages of the same contents are merged, and come apart again.
#
# kernels: dynamic
# also: debug
# mem: 1G
# append: dynamic_memmap=on

# shellcheck disable=SC2016,SC2034,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

ksm=/sys/kernel/mm/ksm

# Two processes with the same contents.
fill_both()
{
	hold_start one 80 ksm && hold_start two 80 ksm
}

merge_all()
{
	echo 1 >"$ksm/run"
	eventually 60 eval '(($(cat $ksm/pages_sharing) >= 18000))'
}

remember_memmap
echo 20000 >$ksm/pages_to_scan
echo 10 >$ksm/sleep_millisecs
expect_success "memory is filled, and the same again" fill_both
free=$(meminfo MemFree)
expect_success "pages are shared" merge_all
# What is on the lists of the CPUs is not counted as free at once.
expect_success "memory becomes free" eventually 30 \
	eval '(($(meminfo MemFree) - free >= 60 << 10))'
expect_success "one keeps its contents" hold_check one
echo 2 >"$ksm/run"
expect "no page is shared" "$(cat $ksm/pages_shared)" -eq 0
expect_success "one keeps its contents" hold_check one
expect_success "two keeps its contents" hold_check two

# While ksmd rests, its tree remembers pages that are gone.
expect_success "pages are shared again" merge_all
echo 0 >"$ksm/run"
hold_stop one
hold_stop two
expect_memmap_back 15
echo 1 >"$ksm/run"
expect_success "none is shared any more" eventually 60 eval '(($(cat $ksm/pages_shared) == 0))'
expect_consistent

finish
