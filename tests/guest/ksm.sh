#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Pages of the same contents are merged, and come apart again.
#
# kernels: dynamic
# mem: 1G
# append: dynamic_memmap=on
# timeout: 300

# shellcheck disable=SC2016 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

ksm=/sys/kernel/mm/ksm
remember_memmap
echo 20000 >$ksm/pages_to_scan
echo 10 >$ksm/sleep_millisecs
expect_success "memory is filled" hold_start one 80 ksm
expect_success "and the same again" hold_start two 80 ksm
free=$(meminfo MemFree)
echo 1 >$ksm/run
eventually 60 eval '(($(cat $ksm/pages_sharing) >= 18000))'
expect "pages are shared" "$(cat $ksm/pages_sharing)" -ge 18000
expect "memory becomes free" $(($(meminfo MemFree) - free)) -ge $((60 << 10))
expect_success "one keeps its contents" hold_check one
echo 2 >$ksm/run
expect "no page is shared" "$(cat $ksm/pages_shared)" -eq 0
expect_success "one keeps its contents" hold_check one
expect_success "two keeps its contents" hold_check two
hold_stop one
hold_stop two
expect_memmap_back 15
expect_consistent

finish
