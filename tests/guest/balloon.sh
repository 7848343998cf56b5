#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A balloon takes memory away from the guest, and gives it back; and is told of memory
# that is free, if it wants to know.
#
# kernels: silent:dynamic reporting:dynamic
# also: debug
# mem: 2G
# append: dynamic_memmap=on
# variant: silent
# variant: reporting page_reporting.page_reporting_delay_ms=500 --qemu-arg=-global --qemu-arg=virtio-balloon-pci.free-page-reporting=on

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

balloon()	# MIB
{
	monitor "balloon $1"
}

tracing=/sys/kernel/tracing

is_reported()
{
	grep -q free_page_report "$tracing/trace"
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
if booted_with page_reporting.page_reporting_delay_ms=500; then
	expect_success "there is a probe" eval \
		'echo "p virtballoon_free_page_report" >"$tracing/kprobe_events"'
	echo 1 >"$tracing/events/kprobes/enable"
	expect_success "memory is filled" hold_start some 600
	hold_stop some
	expect_success "that it is free is reported" eventually 30 is_reported
	echo 0 >"$tracing/events/kprobes/enable"
fi
expect_memmap_back 20
expect_consistent

finish
