#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Without the parameter, nothing of dynamic memmap is there or happens.
#
# kernels: dynamic
# also: debug
# append@debug: dynamic_memmap=off
# mem: 1G

. "$DYNMEMMAP/tests/guest/lib.sh"

expect "there is no $DM" ! -e "$DM"

hold_start some 300
expect_success "memory keeps its contents" hold_check some
hold_stop some

for counter in {,un}populate {,un}populate_tails lend take_back read_repairs write_repairs; do
	expect "dynmemmap_$counter stays 0" "$(vmstat "dynmemmap_$counter")" -eq 0
done
# All of the memmap is there: 16 MiB at least are missing from the total.
expect "struct pages are allocated at boot" "$(vmstat nr_memmap_boot_pages)" -ge 4096

finish
