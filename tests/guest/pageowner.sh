#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# page_owner knows who has a page, and that nobody has the idle ones; kmemleak
# finds nothing lost.
#
# kernels: none
# also: debug
# mem: 1G
# append: dynamic_memmap=on page_owner=on kmemleak=on

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

owners()	# FILE; of all pages in use
{
	timeout 400 cat /sys/kernel/debug/page_owner >"$1"
}

# A block of memory that is to go offline needs all its struct pages: frames are bought
# for them, and some stay in the stock.
buy_frames()
{
	local state

	for state in /sys/devices/system/memory/memory*/state; do
		! timeout 120 bash -c "echo offline >$state" 2>/dev/null || break
	done
	[[ $(<"$state") == offline ]] && echo online >"$state"
}

expect_success "frames are bought" buy_frames
pause 5
remember_memmap
expect_success "memory is filled" hold_start some 100
expect_success "the owners of all pages are read" owners /tmp/before
in_use=$(grep -c '^Page allocated' /tmp/before)
note "$in_use blocks have owners"
anon=$(grep -cE '^PFN .* Movable ' /tmp/before)
expect "the pages of a process have one" "$anon" -ge $((100 << 8))
# Only those that were bought: what areas give has had no owner.
expect "frames of the stock have one" "$(grep -cE '^ (stock_buy|dynmemmap_frames_alloc)' \
	/tmp/before)" -ge 8
# What was read takes memory, too.
rm /tmp/before
hold_stop some
expect_memmap_back 30 4096
expect_success "they are read again" owners /tmp/after
expect "the pages of the process have none" \
	"$(grep -cE '^PFN .* Movable ' /tmp/after)" -le $((anon - (90 << 8)))
echo scan >/sys/kernel/debug/kmemleak
pause 2
echo scan >/sys/kernel/debug/kmemleak
expect "nothing of ours is lost" \
	"$(grep -c dynmemmap /sys/kernel/debug/kmemleak)" -eq 0

finish
