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
# variant: hour churn.seconds=2200 --timeout=3600
# append: dynamic_memmap=on
# allow: page allocation failure

fail=/sys/kernel/debug/fail_dynmemmap
pages=/sys/kernel/debug/fail_page_alloc
times=1000000000
# So that the programs of the test try again what they have to do.
export MEMORY_RUNS_OUT=yes

for kind in $fail $pages; do
	echo $times >"$kind/times"
	echo 0 >"$kind/verbose"
done
echo 0 >$pages/min-order
echo 0 >$pages/ignore-gfp-highmem

nr_failed()	# KIND
{
	echo $((times - $(<"$1/times")))
}

churn_begins()
{
	echo 33 >$fail/probability
	# Those who may wait are spared: nothing could be started.
	echo 2 >$pages/probability
}

churn_ends()
{
	echo 0 >$fail/probability
	echo 0 >$pages/probability
	note "$(nr_failed $fail) times no frames, $(nr_failed $pages) times no page"
	expect "there were no frames for struct pages" "$(nr_failed $fail)" -gt 100
	expect "there were no pages" "$(nr_failed $pages)" -gt 100
}

. "$DYNMEMMAP/tests/guest/huge-churn.sh"
