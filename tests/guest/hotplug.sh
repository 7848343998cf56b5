#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A DIMM is added: its memory has a memmap of the usual kind. And removed.
#
# kernels: stock dynamic
# mem: 1G
# hotplug-mem: 1G
# append: dynamic_memmap=on memhp_default_state=online_movable
# timeout: 300

# shellcheck disable=SC2016 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

monitor()	# COMMAND
{
	/usr/bin/python3 -I "$DYNMEMMAP/tools/vm-monitor" "$1"
}

total=$(meminfo MemTotal)
! dm_on || full=$(dm full_memmap_bytes)
remember_memmap
monitor 'object_add memory-backend-ram,id=ram-more,size=512M'
expect_success "a DIMM is added" monitor 'device_add pc-dimm,id=more,memdev=ram-more'
eventually 30 eval '(($(meminfo MemTotal) >= total + (500 << 10)))'
expect "the guest has it" $(($(meminfo MemTotal) - total)) -ge $((500 << 10))
! dm_on || expect "its memmap is not ours" "$(dm full_memmap_bytes)" -eq "$full"
expect_success "more than there was is filled" hold_start more 1150 thp
expect_success "it keeps its contents" hold_check more
hold_stop more
expect_success "the DIMM is removed" monitor 'device_del more'
eventually 60 eval '(($(meminfo MemTotal) == total))'
expect "the guest has what it had" "$(meminfo MemTotal)" -eq "$total"
expect_success "most of that is filled" hold_start some 700 thp
expect_success "it keeps its contents" hold_check some
hold_stop some
expect_memmap_back 20
expect_consistent

finish
