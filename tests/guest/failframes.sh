#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Huge pages are split, forked, written, swapped, collapsed and freed on four CPUs at
# once, while every third time that struct pages would be made there is no memory for
# them: then it does not happen, and nothing is lost. And while any page cannot be had
# now and then.
#
# kernels: none
# also: debug
# mem: 2G
# cpus: 4
# variant: minutes churn.seconds=120
# variant: hour churn.seconds=2200 --timeout=7200
# append: dynamic_memmap=on
# allow: page allocation failure

# So that the programs of the test try again what they have to do.
export MEMORY_RUNS_OUT=yes

echo 0 >/sys/kernel/debug/fail_page_alloc/min-order
echo 0 >/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem

churn_begins()
{
	fail_start fail_dynmemmap 33
	# Those who may wait are spared: nothing could be started.
	fail_start fail_page_alloc 2
}

churn_ends()
{
	local kind

	for kind in fail_dynmemmap fail_page_alloc; do
		fail_stop $kind
		note "$kind: $(nr_failed $kind) times"
		expect "$kind: it failed often" "$(nr_failed $kind)" -gt 20
	done
}

. "$DYNMEMMAP/tests/guest/huge-churn.sh"
