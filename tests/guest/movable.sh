#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A zone for movable memory only has a pool like the others.
#
# kernels: dynamic
# also: debug
# mem: 2G
# append: dynamic_memmap=on movablecore=1G

. "$DYNMEMMAP/tests/guest/lib.sh"

managed=$(awk '/zone +Movable/ { on = 1 } on && /managed/ { print $2; exit }' /proc/zoneinfo)
# The debug kernel takes its share of it.
expect "there is such a zone" "$managed" -ge $((512 << 8))
remember_memmap
areas=$(($(dm full_memmap_bytes) >> 15))
expect "it is idle, too" "$(dm areas_idle)" -ge $((areas * 7 / 10))
expect_success "most memory is filled" hold_start some $(($(meminfo MemTotal) * 3 / 4 / 1024)) thp
movable_free=$(awk '/zone +Movable/ { on = 1 } on && /pages free/ { print $3; exit }' /proc/zoneinfo)
expect "the zone was used" "$movable_free" -le $((managed / 2))
expect_success "it keeps its contents" hold_check some
hold_stop some
expect_memmap_back 15
expect_consistent

finish
