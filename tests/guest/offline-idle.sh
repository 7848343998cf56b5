#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A large machine has memory blocks of 2 GiB, each of many sections. Idle ones go
# offline, where also unmovable memory could be, and come back.
#
# kernels: dynamic
# also: debug
# mem: 64G
# append: dynamic_memmap=on

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

memory=/sys/devices/system/memory
block_size=$((0x$(<$memory/block_size_bytes)))

switch()	# STATE BLOCK
{
	timeout 120 bash -c "echo $1 >$memory/memory$2/state"
}

expect "blocks are large" "$block_size" -eq $((2 << 30))
remember_memmap
full=$(dm full_memmap_bytes)
read -ra idle < <(/usr/bin/python3 -IS "$DYNMEMMAP/tests/guest/kpage.py" runs $((block_size >> 12)))
note "idle: ${idle[*]}"
expect "some blocks are idle" ${#idle[@]} -ge 8
idle=("${idle[@]:2:4}")
for block in "${idle[@]}"; do
	expect_success "block $block, which is idle, goes offline" switch offline "$block"
done
for block in "${idle[@]}"; do
	[[ $(<"$memory/memory$block/state") == online ]] ||
		expect_success "block $block comes online" switch online "$block"
done
expect "there are as many areas as before" "$(dm full_memmap_bytes)" -eq "$full"
expect_memmap_back 20
expect_consistent

finish
