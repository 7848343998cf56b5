#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Blocks of memory go offline and come back: idle ones, ones in use, and not
# those that are needed.
#
# kernels: dynamic
# mem: 2G
# append: dynamic_memmap=on
# timeout: 300

. "$DYNMEMMAP/tests/guest/lib.sh"

memory=/sys/devices/system/memory
block_kib=$((0x$(<$memory/block_size_bytes) >> 10))

switch()	# STATE BLOCK; for a while: what is in use has to move
{
	timeout 20 bash -c "echo $1 >$memory/memory$2/state" 2>/dev/null
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
total=$(meminfo MemTotal) full=$(dm full_memmap_bytes)

# Some of these are idle throughout, some hold a few kernel pages.
gone=()
for block in "${blocks[@]:1:5}"; do
	switch offline "$block" && gone+=("$block")
done
note "offline: ${gone[*]}"
expect "idle blocks go offline" ${#gone[@]} -ge 3
expect "the total is less by exactly these" \
	$((total - $(meminfo MemTotal))) -eq $((${#gone[@]} * block_kib))
for block in "${gone[@]}"; do
	expect "block $block is offline" "$(state "$block")" = offline
done
expect_success "most of the other memory is filled" hold_start some 800
expect_success "it keeps its contents" hold_check some
for block in "${gone[@]}"; do
	expect_success "block $block comes online" switch online "$block"
done
expect "the total is what it was" "$(meminfo MemTotal)" -eq "$total"

# In use: what is in them has to move, and to stay what it is.
moved=$(vmstat pgmigrate_success) gone=()
load_start --vm 1 --vm-bytes 10% --vm-method write64
for _ in 1 2 3; do
	# Where a page of the holder is now.
	block=$(($(/usr/bin/python3 -I "$DYNMEMMAP/tests/guest/kpage.py" of \
		"$(hold_pid some)") * 4 / block_kib))
	switch offline "$block" && gone+=("$block")
done
load_stop
note "offline: ${gone[*]}; pages moved: $(($(vmstat pgmigrate_success) - moved))"
if ((${#gone[@]})); then
	expect "pages were moved" $(($(vmstat pgmigrate_success) - moved)) -ge 1000
else
	skip "blocks in use go offline" "each holds a page that cannot be moved"
fi
expect_success "memory keeps its contents" hold_check some
expect "the total is less by exactly these" \
	$((total - $(meminfo MemTotal))) -eq $((${#gone[@]} * block_kib))
for block in "${gone[@]}"; do
	switch online "$block"
done
expect "the total is what it was" "$(meminfo MemTotal)" -eq "$total"

# Neither the kernel's own memory can go, nor what has no place to go to.
expect_failure "the block of the kernel stays online" switch offline 0
expect "it says so" "$(state 0)" = online
hold_stop some
expect_success "nearly all memory is filled" hold_start some \
	$((($(meminfo MemAvailable) >> 10) - 80)) thp
last=
for block in "${blocks[@]:1:3}"; do
	timeout 3 bash -c "echo offline >$memory/memory$block/state" 2>/dev/null && last=$block
done
expect "no block goes offline that there is no room for" -z "$last"
expect "the total is what it was" "$(meminfo MemTotal)" -eq "$total"
expect_success "memory keeps its contents" hold_check some
hold_stop some

expect "there are as many areas as before" "$(dm full_memmap_bytes)" -eq "$full"
expect_memmap_back 20
expect_consistent

finish
