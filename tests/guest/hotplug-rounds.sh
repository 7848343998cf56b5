#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Again and again: 64 GiB are added, filled and verified, emptied and removed, and the
# memmap is what it was; with huge pages and with small ones in turn. On a host that
# cannot give as much, as far as it goes: it compresses well, should the host swap.
#
# kernels: none
# also: dynamic
# variant: twice hotplug.rounds=2
# variant: often hotplug.rounds=20
# mem: 512M
# hotplug-mem: 64G
# append: dynamic_memmap=on memhp_default_state=online_movable
# timeout: 21600

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

HOLD_TIMEOUT=3600
# So small a guest has them switched off.
echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
fill=$((VM_HOST_FREE_MIB - (4 << 10)))
# In small pages, 1 GiB of it holds their struct pages.
((fill < 62 << 10)) || fill=$((62 << 10))
total=$(meminfo MemTotal) full=$(dm full_memmap_bytes)
remember_memmap
kinds=(anon thp)

add()
{
	monitor 'object_add memory-backend-ram,id=ram-more,size=64G,reserve=off' &&
		monitor 'device_add pc-dimm,id=more,memdev=ram-more'
}

# What the host has given for it goes, too.
is_removed()
{
	(($(meminfo MemTotal) == total)) && monitor 'object_del ram-more'
}

rounds=$(kernel_argument hotplug.rounds 2)
for ((round = 1; round <= rounds; round++)); do
	expect_success "round $round: 64 GiB are added" add
	eventually 120 eval '(($(meminfo MemTotal) == total + (64 << 20)))'
	expect "round $round: the guest has them" $(($(meminfo MemTotal) - total)) -eq $((64 << 20))
	expect_success "round $round: $fill MiB are filled" \
		hold_start more "$fill" "${kinds[round % 2]}"
	expect_success "round $round: they keep their contents" hold_check more
	note "areas: $(dm areas_huge) huge, $(dm areas_split) split," \
		"$(dm stock_frames) frames in the stock, memmap: $(memmap_kib) KiB"
	hold_stop more
	expect_success "round $round: they are removed" \
		eval 'monitor "device_del more" && eventually 240 is_removed'
	expect "round $round: the guest has what it had" "$(meminfo MemTotal)" -eq "$total"
	# Memory is offline first, and removed later.
	eventually 60 eval '(($(dm full_memmap_bytes) == full))'
	expect "round $round: the areas are those of before" "$(dm full_memmap_bytes)" -eq "$full"
	# The area pages of 512 sections are kept, for when they come back, 2 MiB. And what
	# is in use of the guest's own memory, all of which was needed, is in up to 70 more
	# areas than at first: slabs of few objects, and those that are kept empty.
	expect_memmap_back 20 $((5 << 10))
done
expect "nobody is killed for want of memory" "$(vmstat oom_kill)" -eq 0
expect_consistent

finish
