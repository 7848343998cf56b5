#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Nearly all memory used in many ways, and verified; then the memmap goes again.
#
# kernels: dynamic
# mem: 4G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

remember_memmap
idle=$(dm areas_idle)

expect_success "stress-ng finds no error" stress-ng --temp-path /tmp \
	--vm 4 --vm-bytes 80% --vm-method all --verify --timeout "${1:-20}"
expect "areas were lent" "$(vmstat dynmemmap_lend)" -ge $((idle / 4))
expect_memmap_back 10
expect "areas were taken back" "$(vmstat dynmemmap_take_back)" -ge $((idle / 4))
expect_consistent

finish
