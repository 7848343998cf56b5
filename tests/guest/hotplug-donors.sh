#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest whose own memory is as good as full is given 6 GiB, and uses them in small
# pages: there is no room for their struct pages but in the new memory itself, where
# nothing else may stay. It goes all the same, as soon as it is empty.
#
# kernels: dynamic
# mem: 512M
# hotplug-mem: 6G
# append: dynamic_memmap=on memhp_default_state=online_movable
# timeout: 3600

# shellcheck disable=SC2016 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

HOLD_TIMEOUT=1800
# Their struct pages take 80 MiB, but for those that were there before, and their page
# tables 10, which cannot be in the new memory.
small=5120 left=64
need=$(((small - 128) * 1024 / 64))
total=$(meminfo MemTotal) full=$(dm full_memmap_bytes)
expect_success "memory is filled with what cannot move" \
	hold_start ballast $(($(meminfo MemAvailable) / 1024 - left)) pipe
remember_memmap
monitor 'object_add memory-backend-ram,id=ram-more,size=6G,reserve=off'
for round in 1 2 3; do
	expect_success "round $round: 6 GiB are added" \
		monitor 'device_add pc-dimm,id=more,memdev=ram-more'
	eventually 60 eval '(($(meminfo MemTotal) == total + (6 << 20)))'
	expect "round $round: the guest has them" $(($(meminfo MemTotal) - total)) -eq $((6 << 20))
	free=$(awk '$1 == "Node" { low = $4 !~ /Movable/ }
		low && $1 == "pages" && $2 == "free" { sum += $3 * 4 }
		END { print sum }' /proc/zoneinfo)
	note "$((free / 1024)) MiB are free elsewhere"
	expect "round $round: less is free elsewhere than struct pages will take" "$free" -lt $need
	expect_success "round $round: small pages are filled" hold_start more $small anon
	note "memmap now: $(memmap_kib) KiB, $(dm stock_frames) frames in the stock"
	expect "round $round: they have struct pages" "$(dm areas_split)" -ge $((small / 2))
	expect "round $round: more than had room" $(($(memmap_kib) - memmap_before)) -ge $need
	expect_success "round $round: they keep their contents" hold_check more
	hold_stop more
	expect_success "round $round: the 6 GiB are removed" monitor 'device_del more'
	eventually 120 eval '(($(meminfo MemTotal) == total))'
	expect "round $round: the guest has what it had" "$(meminfo MemTotal)" -eq "$total"
	# Memory is offline first, and removed later.
	eventually 60 eval '(($(dm full_memmap_bytes) == full))'
	expect "round $round: the areas are those of before" "$(dm full_memmap_bytes)" -eq "$full"
	expect_memmap_back 20
done
expect_success "what cannot move keeps its contents" hold_check ballast
hold_stop ballast
expect "nobody is killed for want of memory" "$(vmstat oom_kill)" -eq 0
expect_consistent

finish
