#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A balloon takes memory away from the guest, and gives it back.
#
# kernels: dynamic
# also: debug
# mem: 2G
# append: dynamic_memmap=on

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

balloon()	# MIB
{
	monitor "balloon $1"
}

total=$(meminfo MemTotal)
remember_memmap
expect_success "some memory is filled" hold_start some 300
expect_success "the balloon is inflated" balloon 1024
eventually 60 eval '(($(meminfo MemTotal) <= total - (1020 << 10)))'
expect "the guest has 1 GiB less" $((total - $(meminfo MemTotal))) -ge $((1020 << 10))
expect "of memory that was free" "$(meminfo MemFree)" -le $((total - (1324 << 10)))
expect_success "memory keeps its contents" hold_check some
expect_success "the balloon is deflated" balloon 2048
eventually 60 eval '(($(meminfo MemTotal) == total))'
expect "the guest has all of it again" "$(meminfo MemTotal)" -eq "$total"
expect_success "memory keeps its contents" hold_check some
hold_stop some
expect_memmap_back 20
expect_consistent

finish
