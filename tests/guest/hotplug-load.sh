#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A DIMM is removed while all of memory is in use: by what can move, which moves;
# by what cannot, and then it stays, whole, until that is gone.
#
# kernels: once:dynamic
# also: stock dynamic debug
# variant: once hotplug.rounds=1
# variant: often hotplug.rounds=5
# mem: 512M
# hotplug-mem: 256M
# append: dynamic_memmap=on

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

memory=/sys/devices/system/memory
total=$(meminfo MemTotal)
! dm_on || full=$(dm full_memmap_bytes)

plug()	# POLICY
{
	echo "$1" >"$memory/auto_online_blocks"
	monitor 'device_add pc-dimm,id=more,memdev=ram-more'
	eventually 30 eval '(($(meminfo MemTotal) == total + (256 << 10)))'
}

is_unplugged()
{
	(($(meminfo MemTotal) == total)) || return 1
	# Memory is offline first, and removed later.
	! dm_on || (($(dm full_memmap_bytes) == full))
}

blocks()
{
	local block

	for block in "$memory"/memory*/; do
		basename "$block"
	done
}

remember_memmap
before=$(blocks)
monitor 'object_add memory-backend-ram,id=ram-more,size=256M'

rounds=1
! booted_with hotplug.rounds=5 || rounds=5
for ((round = 1; round <= rounds; round++)); do
	expect_success "round $round: a DIMM is added" plug online_movable
	hold_start some 300
	load_start --vm 2 --vm-bytes 20% --vm-method write64 --verify --fork 1 --mmap 1 \
		--mmap-bytes 5%
	expect_success "round $round: it is removed under load" \
		eval 'monitor "device_del more" && eventually 120 is_unplugged'
	load_stop
	expect_success "round $round: memory keeps its contents" hold_check some
	hold_stop some
done

expect_success "a DIMM is added for the kernel" plug online_kernel
mapfile -t blocks < <(blocks | grep -vxF "$before")
expect "it has blocks" ${#blocks[@]} -eq 2
expect_success "more than there was is filled with what cannot move" \
	hold_start stuck 450 pipe
for block in "${blocks[@]#memory}"; do
	expect "block $block cannot go offline" "$(why_not_offline "$block")" = "Device or resource busy"
done
monitor 'device_del more' >/dev/null
pause 5
expect "the DIMM stays" "$(meminfo MemTotal)" -eq $((total + (256 << 10)))
expect_success "memory keeps its contents" hold_check stuck
hold_stop stuck
for block in "${blocks[@]}"; do
	expect "$block is online" "$(cat "$memory/$block/state")" = online
done
expect_memmap_back 20 $((3 << 10))
expect_consistent

finish
