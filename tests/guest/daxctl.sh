#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# daxctl makes RAM of a device that has its struct pages in RAM and on demand, and a
# device again.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# mem@debug: 2G
# pmem: 1G
# append: dynamic_memmap=on memhp_default_state=offline brd.rd_nr=1 brd.rd_size=65536

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

dax=$DYNMEMMAP/tests/guest/dax.py

use()
{
	"$dax" /dev/dax0.0 /dev/ram0 direct-write direct-read process-vm futex
}

total=$(meminfo MemTotal)
expect_success "the built-in drivers are known" \
	drivers_are_known drivers/dax/{kmem,device_dax}
expect_success "there is a device" ndctl create-namespace --force --mode=devdax --map=mem \
	--align=2M --reconfig=namespace0.0
! dm_on || full=$(dm full_memmap_bytes)
for round in 1 2; do
	expect_success "round $round: the device is mapped and used" use
	expect_success "round $round: it becomes memory" \
		daxctl reconfigure-device --mode=system-ram dax0.0
	expect "round $round: most of 1 GiB is added" \
		$(($(meminfo MemTotal) - total)) -ge $((800 << 10))
	expect_success "round $round: more than there was is filled" hold_start more 1200 thp
	expect_success "round $round: it keeps its contents" hold_check more
	hold_stop more
	expect_success "round $round: it becomes a device" \
		daxctl reconfigure-device --mode=devdax --force dax0.0
	expect "round $round: the guest has what it had" "$(meminfo MemTotal)" -eq "$total"
	! dm_on || expect "round $round: the areas are those of before" \
		"$(dm full_memmap_bytes)" -eq "$full"
done
expect_success "the device is mapped and used" use
expect_success "it goes" ndctl destroy-namespace --force namespace0.0
expect_consistent

finish
