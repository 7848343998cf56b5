#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# DAMON watches physical memory, most of which is idle.
#
# kernels: dynamic
# also: debug
# mem: 1G
# append: dynamic_memmap=on

# shellcheck disable=SC2016,SC2034 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

admin=/sys/kernel/mm/damon/admin/kdamonds
remember_memmap
echo 1 >$admin/nr_kdamonds
echo 1 >$admin/0/contexts/nr_contexts
context=$admin/0/contexts/0
echo paddr >$context/operations
echo 5000 >$context/monitoring_attrs/intervals/sample_us
echo 100000 >$context/monitoring_attrs/intervals/aggr_us
echo 1 >$context/targets/nr_targets
echo 1 >$context/targets/0/regions/nr_regions
# All of it, and the hole below 4 GiB.
echo 0 >$context/targets/0/regions/0/start
echo $((6 << 30)) >$context/targets/0/regions/0/end
echo 1 >$context/schemes/nr_schemes
echo stat >$context/schemes/0/action
echo $((6 << 30)) >$context/schemes/0/access_pattern/sz/max
echo 100 >$context/schemes/0/access_pattern/nr_accesses/max
echo 1000000 >$context/schemes/0/access_pattern/age/max
expect_success "DAMON is started" eval "echo on >$admin/0/state"
expect "it runs" "$(cat $admin/0/state)" = on
expect_success "memory is filled meanwhile" hold_start some 400 thp
pause 2
hold_stop some
pause 4
echo update_schemes_stats >$admin/0/state
expect "it has looked at regions" "$(cat $context/schemes/0/stats/nr_tried)" -gt 0

echo off >$admin/0/state
expect_success "there is swap" zram_swap 512M
echo pageout >$context/schemes/0/action
expect_success "DAMON is to page out" eval "echo on >$admin/0/state"
paged_out=$(vmstat pswpout)
expect_success "memory is filled meanwhile" hold_start some 300
expect_success "some is paged out" eventually 30 eval '(($(vmstat pswpout) > paged_out + 1000))'
expect_success "it keeps its contents" hold_check some
hold_stop some
echo off >$admin/0/state
expect_success "swap ends" zram_swap_end
expect_memmap_back 15
expect_consistent

finish
