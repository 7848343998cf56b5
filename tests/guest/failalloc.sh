#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Allocations fail, of slabs and of pages, while huge pages are split, memory goes
# offline and comes back, is added and used, and processes start: then it does not
# happen, or later; and nothing is lost.
#
# kernels: none
# also: debug
# mem: 2G
# pmem: 1G
# append: dynamic_memmap=on memhp_default_state=online_movable movablecore=1G nokaslr
# allow: page allocation failure

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

memory=/sys/devices/system/memory
kinds=(failslab fail_page_alloc)

# How many of a hundred fail, of the processes that want it; of each INTERVALth one.
fail()	# PERCENT [INTERVAL]
{
	local kind

	for kind in "${kinds[@]}"; do
		echo "${2-1}" >"/sys/kernel/debug/$kind/interval"
		fail_start "$kind" "$1"
	done
}

fail_no_more()
{
	local kind

	for kind in "${kinds[@]}"; do
		fail_stop "$kind"
	done
}

# A shell that wants it; it should not have to start a process.
failing()	# COMMAND
{
	bash -c "echo 1 >/proc/self/make-it-fail && $1" 2>/dev/null
}

expect_failed()	# NAME
{
	local kind sum=0

	for kind in "${kinds[@]}"; do
		sum=$((sum + $(nr_failed "$kind")))
	done
	expect "$1: allocations failed" $sum -gt 0
	note "$sum allocations failed"
}

split_all()
{
	echo 1 >/sys/kernel/debug/split_huge_pages
}

# Blocks that may go: not the first, and not the last, which boot has used.
blocks()
{
	local block

	for block in "$memory"/memory*/; do
		block=${block%/}
		echo "${block##*/memory}"
	done | sort -rn | sed -n '2,5p'
}

switch()	# STATE; of all blocks that are not in it
{
	local block

	for block in "${blocks[@]}"; do
		[[ $(<"$memory/memory$block/state") == "$1" ]] ||
			echo "${2-$1}" >"$memory/memory$block/state" || return
	done
}

for kind in "${kinds[@]}"; do
	echo 1 >"/sys/kernel/debug/$kind/task-filter"
	echo 0 >"/sys/kernel/debug/$kind/ignore-gfp-wait"
done
mapfile -t blocks < <(blocks)
total=$(meminfo MemTotal)
! dm_on || full=$(dm full_memmap_bytes)
expect_success "there is a device" ndctl create-namespace --force --mode=devdax --map=dev \
	--reconfig=namespace0.0
remember_memmap
expect_success "some memory is filled" hold_start some 200

for percent in 5 50; do
	expect_success "split, $percent %: huge pages are filled" hold_start huge 200 thp
	fail $percent
	for _ in 1 2 3; do
		failing 'echo 1 >/sys/kernel/debug/split_huge_pages'
	done
	fail_no_more
	expect_failed "split, $percent %"
	expect_success "split, $percent %: they keep their contents" hold_check huge
	expect_success "split, $percent %: the others are split" split_all
	expect_success "split, $percent %: they keep their contents" hold_check huge
	hold_stop huge
done

for percent in 2 30; do
	fail $percent
	for state in offline online_movable offline online_movable; do
		for block in "${blocks[@]}"; do
			failing "echo $state >$memory/memory$block/state"
		done
	done
	fail_no_more
	expect_failed "offline, $percent %"
	expect_success "offline, $percent %: all blocks go offline" switch offline
	expect_success "offline, $percent %: all come online" switch online online_movable
	expect "offline, $percent %: the total is what it was" "$(meminfo MemTotal)" -eq "$total"
	! dm_on || expect "offline, $percent %: the areas are those of before" \
		"$(dm full_memmap_bytes)" -eq "$full"
	expect_success "offline, $percent %: memory keeps its contents" hold_check some
done

# To bind the driver is to add memory, by the process that does it.
drivers=/sys/bus/dax/drivers
expect_success "the device has no driver" eval \
	"echo dax0.0 >$drivers/device_dax/unbind && echo dax0.0 >$drivers/device_dax/remove_id"
fail 5
for _ in {1..5}; do
	failing "echo dax0.0 >$drivers/kmem/new_id" || failing "echo dax0.0 >$drivers/kmem/bind"
done
fail_no_more
expect_failed "added"
[[ -d $drivers/kmem/dax0.0 ]] || echo dax0.0 >$drivers/kmem/new_id 2>/dev/null ||
	echo dax0.0 >$drivers/kmem/bind
expect_success "added: memory is there" eventually 30 eval '(($(meminfo MemTotal) > total))'
expect_success "added: more is filled" hold_start more 1000 thp
expect_success "added: it keeps its contents" hold_check more
hold_stop more

expect_success "start: huge pages are filled" hold_start huge 200 thp
fail 5 50
failing 'exec timeout 300 stress-ng --temp-path /tmp --fork 2 --mmap 1 --mmap-bytes 10% \
	--vm 1 --vm-bytes 10% --mremap 1 --mremap-bytes 10M --timeout 15' >/dev/null
fail_no_more
expect_failed "start"
expect_success "start: huge pages keep their contents" hold_check huge
expect_success "start: and other memory" hold_check some
hold_stop huge
hold_stop some
# KASAN has a byte for every eight that were added.
expect_memmap_back 20 $((6 << 10))
expect_consistent

finish
