#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A control group, then the whole guest, run out of memory again and again:
# who asked for too much is killed, nobody else, and all of it comes back.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

group=/sys/fs/cgroup/oom
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir $group
echo 100M >$group/memory.max
remember_memmap
# Reading a program from 9p does without the OOM killer, and when the last of its pages
# has been reclaimed it fails and is tried again for ever, on any kernel. What was used
# in the last second is not reclaimed; then the killer is called.
echo 1000 >/sys/kernel/mm/lru_gen/min_ttl_ms
# Memory is promised that is not there.
echo 1 >/proc/sys/vm/overcommit_memory
expect_success "a bystander has memory" hold_start bystander 50

hog()	# [GROUP]; takes more than there is, and is to be killed for it
{
	(
		[[ -z ${1-} ]] || echo "$BASHPID" >"$1/cgroup.procs"
		exec /usr/bin/python3 -I "$DYNMEMMAP/tests/guest/hold.py" /tmp/hog 2000
	) 2>/dev/null &
	wait $!
}

global_kills=$(vmstat oom_kill)
for round in 1 2 3 4 5; do
	hog $group 2>/dev/null
	expect "round $round: the group's process is killed" $? -eq 137
done
kills=$(awk '$1 == "oom_kill" { print $2 }' $group/memory.events)
expect "the group counts its five" "$kills" -eq 5
expect "so does the guest" $(($(vmstat oom_kill) - global_kills)) -eq 5
expect_success "the group is empty" eventually 5 rmdir $group

for round in 1 2 3; do
	hog 2>/dev/null
	expect "round $round: the process that takes all memory is killed" $? -eq 137
done
expect "nobody else was killed" $(($(vmstat oom_kill) - global_kills)) -eq 8

expect_success "the bystander's memory keeps its contents" hold_check bystander
hold_stop bystander
expect_memmap_back 15
expect "nearly all memory is free" "$(meminfo MemAvailable)" -ge $(($(meminfo MemTotal) * 8 / 10))
expect_consistent

finish
