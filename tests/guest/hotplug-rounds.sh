#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Twenty times: 64 GiB are added, filled and verified, emptied and removed, and the
# memmap is what it was; with huge pages and with small ones in turn. On a host that
# cannot give as much, as far as it goes.
#
# kernels: none
# also: dynamic
# mem: 512M
# hotplug-mem: 64G
# append: dynamic_memmap=on memhp_default_state=online_movable
# timeout: 21600

# shellcheck disable=SC2016 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

HOLD_TIMEOUT=1800
fill=$((VM_HOST_FREE_MIB - (4 << 10)))
((fill < 64 << 10)) || fill=$((64 << 10))
total=$(meminfo MemTotal) full=$(dm full_memmap_bytes)
remember_memmap
monitor 'object_add memory-backend-ram,id=ram-more,size=64G,reserve=off'
kinds=(anon thp)
for round in {1..20}; do
	expect_success "round $round: 64 GiB are added" \
		monitor 'device_add pc-dimm,id=more,memdev=ram-more'
	eventually 120 eval '(($(meminfo MemTotal) == total + (64 << 20)))'
	expect "round $round: the guest has them" $(($(meminfo MemTotal) - total)) -eq $((64 << 20))
	expect_success "round $round: $fill MiB are filled" \
		hold_start more "$fill" "${kinds[round % 2]}"
	expect_success "round $round: they keep their contents" hold_check more
	hold_stop more
	expect_success "round $round: they are removed" monitor 'device_del more'
	eventually 120 eval '(($(meminfo MemTotal) == total))'
	expect "round $round: the guest has what it had" "$(meminfo MemTotal)" -eq "$total"
	# Memory is offline first, and removed later.
	eventually 60 eval '(($(dm full_memmap_bytes) == full))'
	expect "round $round: the areas are those of before" "$(dm full_memmap_bytes)" -eq "$full"
	# The area pages of 512 sections are kept, for when they come back.
	expect_memmap_back 20 $((4 << 10))
done
expect_consistent

finish
