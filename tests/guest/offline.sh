#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Blocks of memory go offline and come back: idle ones, ones in use, and not
# those that are needed. Half of the memory is for movable pages only, so that a
# block cannot hold anything that has to stay; without KASLR the kernel itself is
# not in it either.
#
# kernels: dynamic
# also: stock debug
# mem: 2G
# append: dynamic_memmap=on movablecore=1G nokaslr

. "$DYNMEMMAP/tests/guest/lib.sh"

memory=/sys/devices/system/memory
block_kib=$((0x$(<$memory/block_size_bytes) >> 10))

switch()	# STATE BLOCK; for a while: what is in use has to move
{
	timeout 120 bash -c "echo $1 >$memory/memory$2/state" 2>/dev/null
}

state()	# BLOCK
{
	cat "$memory/memory$1/state"
}

# The highest block, and some more.
mapfile -t blocks < <(for block in "$memory"/memory*/; do
	block=${block%/}
	echo "${block##*/memory}"
done | sort -rn)
remember_memmap
total=$(meminfo MemTotal)
! dm_on || full=$(dm full_memmap_bytes)

# The highest block holds what was allocated at boot; with KASAN that is an eighth.
first=1
[[ $KERNEL != debug ]] || first=3
gone=()
for block in "${blocks[@]:first:5}"; do
	switch offline "$block" && gone+=("$block")
done
note "offline: ${gone[*]}"
expect "idle blocks go offline" ${#gone[@]} -eq 5
expect "the total is less by exactly these" \
	$((total - $(meminfo MemTotal))) -eq $((${#gone[@]} * block_kib))
for block in "${gone[@]}"; do
	expect "block $block is offline" "$(state "$block")" = offline
done
# The errors are those of stock.
address=$((gone[0] * block_kib << 10))
expect_refusal "it cannot be taken out of use" $memory/soft_offline_page $address \
	"Input/output error"
expect_refusal "its memory does not fail" $memory/hard_offline_page $address \
	"No such device or address"
expect_success "most of the other memory is filled" hold_start some 800
expect_success "it keeps its contents" hold_check some
for block in "${gone[@]}"; do
	expect_success "block $block comes online" switch online_movable "$block"
done
expect "the total is what it was" "$(meminfo MemTotal)" -eq "$total"

# In use: what is in them has to move, and to stay what it is. User memory comes
# from the zone for movable pages first, so these are full.
expect_success "the blocks are filled" hold_start more 150
moved=$(vmstat pgmigrate_success) gone=()
load_start --vm 1 --vm-bytes 5% --vm-method write64
for block in "${blocks[@]:first:2}"; do
	expect_success "block $block, which is in use, goes offline" switch offline "$block"
	[[ $(state "$block") == online ]] || gone+=("$block")
done
load_stop
note "offline: ${gone[*]}; pages moved: $(($(vmstat pgmigrate_success) - moved))"
expect "pages were moved" $(($(vmstat pgmigrate_success) - moved)) -ge 1000
expect_success "memory keeps its contents" hold_check some
expect_success "and what is in the blocks, too" hold_check more
expect "the total is less by exactly these" \
	$((total - $(meminfo MemTotal))) -eq $((${#gone[@]} * block_kib))
for block in "${gone[@]}"; do
	expect_success "block $block comes online" switch online_movable "$block"
done
expect "the total is what it was" "$(meminfo MemTotal)" -eq "$total"

# These have holes or several zones, and what boot allocated.
for block in 0 "${blocks[0]}"; do
	expect "block $block cannot go offline" "$(why_not_offline "$block")" = "Invalid argument"
	expect "it stays online" "$(state "$block")" = online
done
hold_stop some
hold_stop more
! dm_on || expect "there are as many areas as before" "$(dm full_memmap_bytes)" -eq "$full"
expect_memmap_back 20
expect_consistent

finish
