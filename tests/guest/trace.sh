#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tracepoints fire, and say what happens.
#
# kernels: dynamic
# also: debug
# mem: 1G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

tracing=/sys/kernel/tracing
remember_memmap
for event in {,un}populate {,un}populate_tails lend take_back repair; do
	expect "there is dynmemmap_$event" -d $tracing/events/dynmemmap/"dynmemmap_$event"
done
# The counters go on while tracing is switched on, and off: each is read on both
# sides of that, and what was traced lies between the differences.
counted="populate unpopulate populate_tails unpopulate_tails lend take_back"
declare -A before enabled disabled after
for event in $counted; do
	before[$event]=$(vmstat "dynmemmap_$event")
done
echo 1 >$tracing/events/dynmemmap/enable
for event in $counted; do
	enabled[$event]=$(vmstat "dynmemmap_$event")
done
expect_success "memory is filled" hold_start some 300
hold_stop some
expect_success "huge pages are filled" hold_start huge 100 thp
expect_success "they are split" eval 'echo 1 >/sys/kernel/debug/split_huge_pages'
hold_stop huge
expect_memmap_back 15
# Or a worker may be between the one and the other now.
eventually 3 memmap_rests
for event in $counted; do
	disabled[$event]=$(vmstat "dynmemmap_$event")
done
echo 0 >$tracing/tracing_on
for event in $counted; do
	after[$event]=$(vmstat "dynmemmap_$event")
done
echo 0 >$tracing/events/dynmemmap/enable
grep -v '^#' $tracing/trace >/tmp/trace
note "$(wc -l </tmp/trace) events, the first and the last:"
note "$(sed -n '1p;$p' /tmp/trace)"

areas=$(($(dm full_memmap_bytes) / 32768))
bad=0
declare -A seen=([populate]=0 [unpopulate]=0 [populate_tails]=0 [unpopulate_tails]=0
	[lend]=0 [take_back]=0 [repair]=0)
while read -r line; do
	event=${line##*dynmemmap_}
	event=${event%%:*}
	seen[$event]=$((seen[$event] + 1))
	[[ $line =~ \ area=([0-9]+)\ node=0\ reason=[a-z-]+\ ns=[0-9]+$ ]] &&
		((BASH_REMATCH[1] < areas + 64)) || bad=$((bad + 1))
done </tmp/trace
expect "their fields make sense" $bad -eq 0
for event in $counted; do
	expect "dynmemmap_$event says no less than the counter" "${seen[$event]}" \
		-ge $((disabled[$event] - enabled[$event]))
	expect "dynmemmap_$event says no more than the counter" "${seen[$event]}" \
		-le $((after[$event] - before[$event]))
done
expect "areas were lent" "${seen[lend]}" -ge 130
expect "huge pages were given their tails" "${seen[populate_tails]}" -ge 40
expect "nothing was repaired" "${seen[repair]}" -eq 0
expect_consistent

finish
