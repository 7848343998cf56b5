#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Files on persistent memory come and go on four CPUs, while the worker takes their
# struct pages away as soon as it can.
#
# kernels: none
# also: stock dynamic debug
# mem: 1G
# cpus: 4
# pmem: 1G
# append: dynamic_memmap=on

# shellcheck disable=SC2034,SC2317 # counted, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

# Each file lies where another one lay a moment ago.
churn()	# NAME
{
	local round

	for round in {1..6}; do
		"$DYNMEMMAP/tests/guest/dax.py" "/mnt/dax/$1" /dev/null sync holes query || return
	done
}

all_churn()
{
	local name job

	for name in one two three four; do
		churn "$name" &
	done
	for job in $(jobs -p); do
		wait "$job" || return
	done
}

expect_success "there is a namespace with its struct pages in RAM" \
	make_fsdax
mkdir -p /mnt/dax
expect_success "xfs is made" mkfs.xfs -q -f /dev/pmem0
expect_success "it is mounted" mount -o dax=always /dev/pmem0 /mnt/dax
if dm_on; then
	echo 10 >"$DM/take_back_delay_ms"
	idle=$(device_areas_idle) gone=$(vmstat dynmemmap_unpopulate)
fi
expect_success "files come and go, and keep their contents" all_churn
if dm_on; then
	note "struct pages taken away: $(($(vmstat dynmemmap_unpopulate) - gone)) areas"
	expect "struct pages came and went" $(($(vmstat dynmemmap_unpopulate) - gone)) -ge 20
	expect_success "they are gone" eventually 30 device_areas_idle_are "$idle"
	note "of the device's areas, $idle were idle before, $(device_areas_idle) are now"
fi
expect_success "it is unmounted" umount /mnt/dax
expect_success "the namespace goes" ndctl destroy-namespace --force namespace0.0
expect_consistent

finish
