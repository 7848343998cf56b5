#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Persistent memory is turned into ordinary memory and back: its areas have no
# struct pages until they are used.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# pmem: 2G
# append: dynamic_memmap=on memhp_default_state=online_movable
# append: memory_hotplug.memmap_on_memory=1

# shellcheck disable=SC2016,SC2034,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

memory=/sys/devices/system/memory

# As daxctl does, which wants to load the drivers, and they are built in.
give_to()	# DRIVER
{
	local old

	old=$(basename "$(readlink /sys/bus/dax/devices/dax0.0/driver)")
	echo dax0.0 >"/sys/bus/dax/drivers/$old/unbind" &&
		echo dax0.0 >"/sys/bus/dax/drivers/$old/remove_id" &&
		echo dax0.0 >"/sys/bus/dax/drivers/$1/new_id" &&
		[[ -d /sys/bus/dax/drivers/$1/dax0.0 ]]
}

blocks()
{
	local range start end size

	size=$((0x$(<"$memory/block_size_bytes")))
	range=$(sed -nE 's/^ *([0-9a-f]+)-([0-9a-f]+) : System RAM \(kmem\)$/\1 \2/p' /proc/iomem)
	while read -r start end; do
		seq $((0x$start / size)) $((0x$end / size))
	done <<<"$range"
}

offline_all()
{
	local block

	for block in $(blocks); do
		echo offline >"$memory/memory$block/state" || return
	done
}

total=$(meminfo MemTotal)
expect_success "there is a namespace" ndctl create-namespace --force --mode=devdax \
	--map=dev --reconfig=namespace0.0
if dm_on; then
	full=$(dm full_memmap_bytes) idle=$(dm areas_idle)
	answer=$({ echo 1 >/sys/bus/dax/devices/dax0.0/memmap_on_memory; } 2>&1)
	expect "it cannot be asked to hold its own memmap" "${answer##*: }" = \
		"Operation not supported"
fi
remember_memmap
for round in 1 2; do
	expect_success "round $round: it becomes memory" \
		give_to kmem
	added=$(($(meminfo MemTotal) - total))
	expect "round $round: most of 2 GiB is added" $added -ge $((1800 << 10))
	if dm_on; then
		expect "round $round: it has areas" \
			$(($(dm full_memmap_bytes) - full)) -eq $((added << 4))
		expect_success "round $round: most of them are idle" \
			eventually 10 eval '(($(dm areas_idle) >= idle + 800))'
	fi
	expect_success "round $round: more than there was is filled" hold_start more 1200 thp
	expect_success "round $round: it keeps its contents" hold_check more
	hold_stop more
	expect_success "round $round: its blocks go offline" offline_all
	expect_success "round $round: it is persistent memory again" give_to device_dax
	expect "round $round: the guest has what it had" "$(meminfo MemTotal)" -eq "$total"
	! dm_on || expect "round $round: the areas are those of before" \
		"$(dm full_memmap_bytes)" -eq "$full"
done
expect_memmap_back 20
expect_consistent

finish
