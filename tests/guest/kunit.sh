#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The kernel's own tests of dynamic memmap, on the areas of this guest.
#
# kernels: debug
# mem: 2G
# append: dynamic_memmap=on kunit.enable=1 kunit.filter_glob=dynmemmap

. "$DYNMEMMAP/tests/guest/lib.sh"

suite=/sys/kernel/debug/kunit/dynmemmap
results=$suite/results
expect_success "the suite runs" eval "echo run >$suite/run"
note "$(cat $results)"

may_repair_reads="cases look on purpose"
ran=0
# "    ok 1 NAME", "    not ok 1 NAME" or "    ok 1 NAME # SKIP WHY"
while read -r status name rest; do
	if [[ $status == ok && -z $rest ]]; then
		ok "$name"
		ran=$((ran + 1))
	else
		not_ok "$name $rest"
	fi
done < <(sed -nE 's/^    ok [0-9]+ /ok /p; s/^    not ok [0-9]+ /failed /p' $results)
expect "the suite has cases" "$ran" -gt 0

finish
