#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Control groups account for memory as it is lent, and for nothing when it is
# gone.
#
# kernels: dynamic
# also: debug
# mem: 1G
# append: dynamic_memmap=on

# shellcheck disable=SC2016 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

group=/sys/fs/cgroup/some
echo '+memory +cpuset' >/sys/fs/cgroup/cgroup.subtree_control
mkdir $group
remember_memmap

stat()	# FIELD; of the group, in MiB
{
	awk -v field="$1" '$1 == field { print int($2 / 2 ^ 20) }' $group/memory.stat
}

expect_success "there is swap" zram_swap 512M
echo 300M >$group/memory.max
echo $$ >$group/cgroup.procs
expect_success "200 MiB are filled" hold_start some 200
echo $$ >/sys/fs/cgroup/cgroup.procs
expect "the group has them" "$(stat anon)" -ge 200
expect "and little else" "$(($(cat $group/memory.current) >> 20))" -le 240

# With what it has read of the program, which may go first.
had=$(($(stat anon) + $(stat file)))
expect_success "half of it is reclaimed" eval "echo 100M >$group/memory.reclaim"
now=$(($(stat anon) + $(stat file)))
note "of $had MiB it has $now"
expect "the group has half" $((had - now)) -ge 90
expect_success "its memory keeps its contents" hold_check some
hold_stop some
eventually 5 eval '(($(stat anon) == 0))'
expect "the group has nothing" "$(stat anon)" -eq 0

# Who is above the mark sleeps for seconds at a time.
echo 50M >$group/memory.high
echo $$ >$group/cgroup.procs
expect_success "30 MiB above the high mark are filled" hold_start some 80
echo $$ >/sys/fs/cgroup/cgroup.procs
expect_success "its memory keeps its contents" hold_check some
hold_stop some
expect_success "the group can go" eventually 5 rmdir $group
swapoff -a
expect_memmap_back 15
expect_consistent

finish
