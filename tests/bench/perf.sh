#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the guest of tests/bench/perf: split huge pages under perf record, in every way
# of tests/guest/huge.py and all at once through debugfs, and print the events.

set -eu

tracing=/sys/kernel/tracing
huge=$DYNMEMMAP/tests/guest/huge.py
events=(-e kprobes:split_begin -e kprobes:split_end)

load()
{
	local round

	# shellcheck source=tests/guest/lib.sh
	. "$DYNMEMMAP/tests/guest/lib.sh"
	for round in 1 2 3; do
		hold_start "some$round" 400 thp
		echo 1 >/sys/kernel/debug/split_huge_pages
		hold_stop "some$round"
	done
	"$huge" protect unmap move fork-parent-writes page-out
}

if [[ ${1-} == load ]]; then
	load
	exit
fi

echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
{
	echo "p:split_begin __folio_split"
	# shellcheck disable=SC2016 # for the kernel to expand
	echo 'r:split_end __folio_split ret=$retval:s32'
} >$tracing/kprobe_events
[[ ! -d $tracing/events/dynmemmap ]] || events+=(-e dynmemmap:dynmemmap_populate_tails)
perf record -q -a -m 4M -o /tmp/perf.data "${events[@]}" -- "$0" load >/tmp/perf.out 2>&1 || {
	cat /tmp/perf.out
	exit 1
}
perf script -i /tmp/perf.data --ns -F tid,time,event,trace
