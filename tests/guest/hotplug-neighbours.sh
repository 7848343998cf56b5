#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Three DIMMs share an upper page table of the vmemmap in which nothing else is. One
# is removed while nothing of the others has struct pages; these go online then.
#
# kernels: dynamic
# also: debug
# mem: 512M
# hotplug-mem: 66G
# append: dynamic_memmap=on memhp_default_state=offline

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

memory=/sys/devices/system/memory
total=$(meminfo MemTotal) full=$(dm full_memmap_bytes)

areas_are_all()
{
	eventually 60 eval '(($(dm full_memmap_bytes) == full))'
}

add()	# NAME GIB
{
	full=$((full + ($2 << 24)))
	monitor "object_add memory-backend-ram,id=ram-$1,size=$2G,reserve=off" >/dev/null &&
		monitor "device_add pc-dimm,id=$1,memdev=ram-$1" >/dev/null &&
		areas_are_all
}

remove()	# NAME GIB
{
	full=$((full - ($2 << 24)))
	monitor "device_del $1" >/dev/null && areas_are_all
}

# The eight blocks with the highest numbers.
go_online()
{
	local block

	for block in $(printf '%s\n' "$memory"/memory[0-9]* | sort -V | tail -n 8); do
		echo online_movable >"$block/state" || return
	done
}

remember_memmap
add large 64
add one 1
add two 1
expect "three DIMMs are added" "$(dm full_memmap_bytes)" -eq "$full"
expect "none of them is online" "$(meminfo MemTotal)" -eq "$total"
remove two 1
expect "one of them is removed" "$(dm full_memmap_bytes)" -eq "$full"
expect_success "its neighbour goes online" go_online
expect "the guest has it" $(($(meminfo MemTotal) - total)) -eq $((1 << 20))
expect_success "more than there was is filled" hold_start more 700 thp
expect_success "it keeps its contents" hold_check more
hold_stop more
remove one 1
expect "it is removed" "$(dm full_memmap_bytes)" -eq "$full"
remove large 64
expect "the last one is removed" "$(dm full_memmap_bytes)" -eq "$full"
expect "the guest has what it had" "$(meminfo MemTotal)" -eq "$total"
expect_memmap_back 20 $((4 << 10))
expect_consistent

finish
