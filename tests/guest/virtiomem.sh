#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# virtio-mem adds memory and takes it away again, and no area is lost or gained.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# virtio-mem: 1G
# append: dynamic_memmap=on memhp_default_state=online_movable

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

ask_for()	# SIZE
{
	monitor "qom-set vmem0 requested-size $1"
}

total=$(meminfo MemTotal)
! dm_on || full=$(dm full_memmap_bytes)
remember_memmap
for round in 1 2; do
	expect_success "round $round: 512 MiB are plugged" ask_for 512M
	eventually 30 eval '(($(meminfo MemTotal) >= total + (512 << 10)))'
	expect "round $round: the guest has them" $(($(meminfo MemTotal) - total)) -eq $((512 << 10))
	expect_success "round $round: more than there was is filled" hold_start more 1050 thp
	expect_success "round $round: it keeps its contents" hold_check more
	hold_stop more
	expect_success "round $round: some memory is filled" hold_start some 300
	expect_success "round $round: all are unplugged" ask_for 0
	eventually 60 eval '(($(meminfo MemTotal) == total))'
	expect "round $round: the guest has what it had" "$(meminfo MemTotal)" -eq "$total"
	expect_success "round $round: memory keeps its contents" hold_check some
	hold_stop some
done
if dm_on; then
	# Memory is offline first, and removed later.
	eventually 30 eval '(($(dm full_memmap_bytes) == full))'
	expect "the areas are those of boot" "$(dm full_memmap_bytes)" -eq "$full"
fi
expect_memmap_back 20
expect_consistent

finish
