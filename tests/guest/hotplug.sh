#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A DIMM is added, used and removed, again and again: its areas have no struct
# pages until they are used, and nothing is left of it afterwards. Nor is there a
# memmap in the DIMM itself when that is asked for.
#
# kernels: plain:dynamic
# also: stock dynamic debug
# variant: plain
# variant: on-memory memory_hotplug.memmap_on_memory=1
# variant: forced memory_hotplug.memmap_on_memory=force
# mem: 1G
# hotplug-mem: 1G
# append: dynamic_memmap=on memhp_default_state=online_movable

# shellcheck disable=SC2016,SC2034 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

total=$(meminfo MemTotal)
! dm_on || full=$(dm full_memmap_bytes)
added=$((512 << 10)) on_memory=
[[ $(</proc/cmdline) != *memmap_on_memory* ]] || on_memory=yes
# What a full memmap takes of it.
[[ -z $on_memory ]] || dm_on || added=$((504 << 10))
# More than there was, and as much as there will be: KASAN takes an eighth.
more=1050
[[ $KERNEL != debug ]] || more=900
remember_memmap
monitor 'object_add memory-backend-ram,id=ram-more,size=512M'
for round in 1 2; do
	! dm_on || idle=$(dm areas_idle)
	expect_success "round $round: a DIMM is added" \
		monitor 'device_add pc-dimm,id=more,memdev=ram-more'
	eventually 30 eval '(($(meminfo MemTotal) == total + added))'
	expect "round $round: the guest has it" $(($(meminfo MemTotal) - total)) -eq $added
	if dm_on; then
		expect "round $round: it has areas" \
			$(($(dm full_memmap_bytes) - full)) -eq $((8 << 20))
		expect_success "round $round: most of them are idle" \
			eventually 10 eval '(($(dm areas_idle) >= idle + 200))'
	fi
	expect_success "round $round: more than there was is filled" hold_start more $more thp
	expect_success "round $round: it keeps its contents" hold_check more
	hold_stop more
	expect_success "round $round: some memory is filled" hold_start some 200
	expect_success "round $round: the DIMM is removed" monitor 'device_del more'
	eventually 60 eval '(($(meminfo MemTotal) == total))'
	expect "round $round: the guest has what it had" "$(meminfo MemTotal)" -eq "$total"
	expect_success "round $round: memory keeps its contents" hold_check some
	hold_stop some
	if dm_on; then
		# Memory is offline first, and removed later.
		eventually 30 eval '(($(dm full_memmap_bytes) == full))'
		expect "round $round: the areas are those of before" \
			"$(dm full_memmap_bytes)" -eq "$full"
	fi
done
if [[ $on_memory ]] && dm_on; then
	expect "the kernel has said once that no memmap is put there" \
		"$(dmesg | grep -c 'memmap_on_memory has no effect')" -eq 1
fi
expect_memmap_back 20
expect_consistent

finish
