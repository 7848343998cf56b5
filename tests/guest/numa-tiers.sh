#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Persistent memory becomes the memory of a slower node: huge pages that nobody uses go
# there in one piece, and come back when somebody does. Those that are whole have few
# struct pages there, too.
#
# kernels: none
# also: stock dynamic debug
# mem: 1G
# numa: 2
# node-mem: 1G,0
# cpus: 4
# pmem: 1G
# qemu-arg: -set
# qemu-arg: device.nvdimm0.node=1
# append: dynamic_memmap=on memhp_default_state=offline maxcpus=2

. "$DYNMEMMAP/tests/guest/lib.sh"

nodes=$DYNMEMMAP/tests/guest/nodes.py
group=/sys/fs/cgroup/tiers

demoted()
{
	echo $(($(vmstat pgdemote_kswapd) + $(vmstat pgdemote_direct) +
		$(vmstat pgdemote_khugepaged) + $(vmstat pgdemote_proactive)))
}

total=$(meminfo MemTotal)
expect "only one node has processors" "$(</sys/devices/system/node/has_cpu)" = 0
expect_success "the drivers are known" drivers_are_known drivers/dax/{kmem,device_dax}
expect_success "there is a device" ndctl create-namespace --force --mode=devdax \
	--map=dev --reconfig=namespace0.0
remember_memmap
expect_success "it becomes memory" daxctl reconfigure-device --mode=system-ram dax0.0
expect "of a node of its own" "$(</sys/devices/system/node/has_memory)" = 0-1
expect "and of a tier of its own" \
	"$(sort /sys/devices/virtual/memory_tiering/memory_tier*/nodelist)" = $'0\n1'
! dm_on || echo 100 >"$DM/take_back_delay_ms"

echo 1 >/sys/kernel/mm/numa/demotion_enabled
for file in scan_delay_ms scan_period_min_ms; do
	echo 20 >/sys/kernel/debug/sched/numa_balancing/$file
done
# What is used again within a minute is worth it.
echo 60000 >/sys/kernel/debug/sched/numa_balancing/hot_threshold_ms
echo '+memory' >/sys/fs/cgroup/cgroup.subtree_control
mkdir $group
echo $$ >$group/cgroup.procs
expect_success "huge pages are demoted" "$nodes" demote
expect_success "they are demoted while they are mapped by PTEs" "$nodes" demote-parts
expect_success "they are demoted and promoted" "$nodes" promote
echo $$ >/sys/fs/cgroup/cgroup.procs

before=$(demoted)
HOLD_UNDER="numactl --membind=0"
expect_success "more than node 0 has is filled there" hold_start more 1000 thp
HOLD_UNDER=
expect "some was demoted" $(($(demoted) - before)) -ge 10000
expect "it is on node 1" "$(held_on 1 more)" -ge 40
expect_success "it keeps its contents" hold_check more
note "$(grep -E '^(pgdemote|pgpromote|thp_migration|thp_split_page|numa_pages)' /proc/vmstat)"
hold_stop more

HOLD_UNDER="numactl --preferred=1"
expect_success "some memory of node 1 is filled" hold_start some 100 thp
HOLD_UNDER=
expect "it gave it" "$(held_on 1 some)" -ge 100
expect_success "it goes offline" daxctl offline-memory dax0.0
expect_success "it is persistent memory again" daxctl reconfigure-device --mode=devdax dax0.0
expect "the guest has what it had" "$(meminfo MemTotal)" -eq "$total"
expect "what it held is on node 0" "$(held_on 0 some)" -ge 100
expect_success "it keeps its contents" hold_check some
hold_stop some
expect_memmap_back 20 $((3 << 10))
expect_consistent

finish
