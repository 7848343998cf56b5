#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Huge pages go from node to node in one piece: asked to, by NUMA balancing, and while
# everything else is done to them. Those that are whole have few struct pages there, too.
#
# kernels: none
# also: stock dynamic debug
# mem: 1G
# numa: 2
# cpus: 4
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

nodes=$DYNMEMMAP/tests/guest/nodes.py
balancing=/sys/kernel/debug/sched/numa_balancing

huge_in_use()	# NODE
{
	echo $(($(dm areas_huge "$1") - $(dm cached_areas "$1")))
}

state=$(state_of_huge_files)
echo 0 >/proc/sys/kernel/numa_balancing
echo always >/sys/kernel/mm/transparent_hugepage/shmem_enabled
remember_memmap
! dm_on || echo 100 >"$DM/take_back_delay_ms"

HOLD_UNDER="numactl --membind=0"
expect_success "40 huge pages of node 0 are filled" hold_start some 80 thp
HOLD_UNDER=
expect "it gave them" "$(held_on 0 some)" -ge 80
! dm_on || expect "it has huge areas for them" "$(huge_in_use 0)" -ge 40
moved=$(vmstat thp_migration_success)
expect_success "they move to node 1" migratepages "$(hold_pid some)" 0 1
expect "it has them" "$(held_on 1 some)" -ge 80
expect "in one piece each" $(($(vmstat thp_migration_success) - moved)) -ge 40
if dm_on; then
	expect "it has huge areas for them" "$(huge_in_use 1)" -ge 40
	expect "node 0 has none" "$(huge_in_use 0)" -eq 0
fi
expect_success "they keep their contents" hold_check some
hold_stop some

for action in move move-parts move-shared move-forked move-files; do
	expect_success "$action" "$nodes" --files "$state" $action
done
# Who cuts waits until they have been moved: nobody populates with page tables locked.
tracing=/sys/kernel/tracing
! dm_on || echo stacktrace >$tracing/events/dynmemmap/dynmemmap_populate_tails/trigger
expect_success "move-cut" "$nodes" move-cut
if dm_on; then
	expect "they were populated when they were cut" "$(grep -c __split_vma $tracing/trace)" -gt 20
	expect "and none when it came back" "$(grep -c remove_migration_pte $tracing/trace)" -eq 0
	echo '!stacktrace' >$tracing/events/dynmemmap/dynmemmap_populate_tails/trigger
fi

for file in scan_delay_ms scan_period_min_ms; do
	echo 20 >$balancing/$file
done
for action in balance balance-parts; do
	expect_success "$action" "$nodes" $action
done

echo 1 >/proc/sys/kernel/numa_balancing
"$DYNMEMMAP/tests/guest/huge.py" races 20 $RANDOM >/tmp/races 2>&1 &
racer=$!
note "memory of a race commutes: $("$nodes" commute $racer)"
expect_success "a race between nodes: nothing is lost" wait $racer
note "$(</tmp/races)"
note "$(grep -E '^(thp_migration|numa_(hint|pages)|pgmigrate)' /proc/vmstat)"
echo 0 >/proc/sys/kernel/numa_balancing
expect_memmap_back 20
expect_consistent

finish
