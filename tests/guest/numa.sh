#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two nodes: memory comes from the one that was asked for, and goes back to
# it.
#
# kernels: dynamic
# also: debug
# mem: 2G
# numa: 2
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

expect "there are two nodes" "$(cat /sys/devices/system/node/online)" = 0-1
remember_memmap
for node in 0 1; do
	expect "node $node has half the areas" "$(dm full_memmap_bytes $node)" -eq $((16 << 20))
done

for node in 1 0; do
	other=$((1 - node))
	HOLD_UNDER="numactl --membind=$node"
	expect_success "memory bound to node $node is filled" hold_start bound 300
	expect "node $node gave it" "$(held_on $node bound)" -ge 300
	expect "it has struct pages for it" "$(dm areas_split $node)" -ge 150
	expect "node $other gave next to nothing" "$(held_on $other bound)" -le 10
	expect_success "it keeps its contents" hold_check bound
	hold_stop bound
	expect_memmap_back 15
done

HOLD_UNDER="numactl --interleave=0,1"
expect_success "interleaved memory is filled" hold_start bound 300
HOLD_UNDER=
expect "node 0 gave half of it" "$(held_on 0 bound)" -ge 149
expect "node 1 gave half of it" "$(held_on 1 bound)" -ge 149
expect_success "it keeps its contents" hold_check bound

expect_success "it moves to node 1" migratepages "$(hold_pid bound)" 0 1
expect "node 1 has all of it" "$(held_on 1 bound)" -ge 300
expect_success "it keeps its contents" hold_check bound
expect "node 0 has next to none of it" "$(held_on 0 bound)" -le 10
hold_stop bound

# More than one node has: what it prefers, and the rest of the other.
HOLD_UNDER="numactl --preferred=1"
expect_success "more memory than node 1 has is filled" hold_start bound 1400 thp
HOLD_UNDER=
node1=$(held_on 1 bound)
expect "node 1 gave what it has" "$node1" -ge 800
expect "node 0 gave the rest" "$(held_on 0 bound)" -ge $((1400 - node1))
expect_success "it keeps its contents" hold_check bound
hold_stop bound
expect_memmap_back 15
expect_consistent

finish
