#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The kernel's own tests of dynamic memmap, on the areas of this guest.
#
# kernels: debug
# mem: 2G
# append: dynamic_memmap=on kunit.enable=1 kunit.filter_glob=dynmemmap*

. "$DYNMEMMAP/tests/guest/lib.sh"

tracing=/sys/kernel/tracing
event=$tracing/events/dynmemmap/dynmemmap_repair
reads=$(dm read_repairs)
echo 1 >$event/enable

may_repair_reads="cases look on purpose"
for suite in /sys/kernel/debug/kunit/dynmemmap*; do
	name=${suite##*/}
	expect_success "$name: the suite runs" eval "echo run >$suite/run"
	note "$(cat "$suite/results")"
	ran=0
	# "    ok 1 NAME", "    not ok 1 NAME" or "    ok 1 NAME # SKIP WHY"
	while read -r status case rest; do
		if [[ $status == ok && -z $rest ]]; then
			ok "$name: $case"
			ran=$((ran + 1))
		else
			not_ok "$name: $case $rest"
		fi
	done < <(sed -nE 's/^    ok [0-9]+ /ok /p; s/^    not ok [0-9]+ /failed /p' "$suite/results")
	expect "$name: the suite has cases" "$ran" -gt 0
done
echo 0 >$event/enable

repairs=$(grep 'dynmemmap_repair:' $tracing/trace)
note "$(head -n 1 <<<"$repairs")"
expect "reads were repaired" $(($(dm read_repairs) - reads)) -ge 2
expect "each was traced" "$(grep -cE 'area=[0-9]+ node=0 reason=read ip=.* ns=[0-9]+$' \
	<<<"$repairs")" -eq $(($(dm read_repairs) - reads))

finish
