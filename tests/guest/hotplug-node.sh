#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A node without memory is given a DIMM, which is used and removed again.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# numa: 2
# node-mem: 1G,0
# hotplug-mem: 1G
# append: dynamic_memmap=on memhp_default_state=online_movable

# shellcheck disable=SC2016 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

nodes=/sys/devices/system/node
total=$(meminfo MemTotal)
expect "one node has memory" "$(<$nodes/has_memory)" = 0
! dm_on || expect "the other has no areas" "$(dm full_memmap_bytes 1)" -eq 0
remember_memmap
monitor 'object_add memory-backend-ram,id=ram-more,size=512M'
for round in 1 2; do
	expect_success "round $round: a DIMM is added to the node without memory" \
		monitor 'device_add pc-dimm,id=more,memdev=ram-more,node=1'
	eventually 30 eval '(($(meminfo MemTotal) == total + (512 << 10)))'
	expect "round $round: both have memory" "$(<$nodes/has_memory)" = 0-1
	if dm_on; then
		expect "round $round: it has areas" "$(dm full_memmap_bytes 1)" -eq $((8 << 20))
		expect_success "round $round: most of them are idle" \
			eventually 10 eval '(($(dm areas_idle 1) >= 200))'
	fi
	HOLD_UNDER="numactl --membind=1"
	expect_success "round $round: memory of it is filled" hold_start bound 400
	HOLD_UNDER=
	expect "round $round: it gave it" "$(held_on 1 bound)" -ge 400
	! dm_on || expect "round $round: it has struct pages for it" "$(dm areas_split 1)" -ge 200
	expect_success "round $round: it keeps its contents" hold_check bound
	hold_stop bound
	expect_success "round $round: the DIMM is removed" monitor 'device_del more'
	eventually 60 eval '(($(meminfo MemTotal) == total))'
	expect "round $round: the guest has what it had" "$(meminfo MemTotal)" -eq "$total"
	if dm_on; then
		# Memory is offline first, and removed later.
		eventually 30 eval '(($(dm full_memmap_bytes 1) == 0))'
		expect "round $round: the node has no areas" "$(dm full_memmap_bytes 1)" -eq 0
	fi
done
expect_memmap_back 20
expect_consistent

finish
