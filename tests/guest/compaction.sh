#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Memory with holes everywhere is compacted, and the memmap of what becomes
# free goes.
#
# kernels: dynamic
# mem: 1G
# append: dynamic_memmap=on
# timeout: 300

# shellcheck disable=SC2016 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

remember_memmap
expect_success "memory with holes is filled" hold_start sparse 500 sparse
sleep 3
with_holes=$(dm areas_split)
migrated=$(vmstat pgmigrate_success)
echo 1 >/proc/sys/vm/compact_memory
eventually 15 eval '(($(dm areas_split) <= with_holes - 120))'
note "split areas: $with_holes before, $(dm areas_split) after;" \
	"pages moved: $(($(vmstat pgmigrate_success) - migrated))"
expect "pages were moved" $(($(vmstat pgmigrate_success) - migrated)) -ge 10000
expect "areas became idle" "$(dm areas_split)" -le $((with_holes - 120))
expect_success "memory keeps its contents" hold_check sparse

# A request for whole blocks, while there are none but in the pool.
echo 200 >/proc/sys/vm/nr_hugepages
expect "200 huge pages can be had" "$(cat /proc/sys/vm/nr_hugepages)" -eq 200
expect_success "memory keeps its contents" hold_check sparse
echo 0 >/proc/sys/vm/nr_hugepages
hold_stop sparse
expect_memmap_back 15
expect_consistent

finish
