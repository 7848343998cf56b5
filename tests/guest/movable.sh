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
# The debug kernel takes its share of it, and of the rest.
least=1000 idle=850 filled=1600
[[ $KERNEL != debug ]] || least=512 idle=700 filled=1200
expect "there is such a zone" "$managed" -ge $((least << 8))
remember_memmap
expect "it is idle, too" "$(dm areas_idle)" -ge $idle
expect_success "most memory is filled" hold_start some $filled thp
movable_free=$(awk '/zone +Movable/ { on = 1 } on && /pages free/ { print $3; exit }' /proc/zoneinfo)
expect "the zone was used" "$movable_free" -le $((managed / 2))
expect_success "it keeps its contents" hold_check some
hold_stop some
expect_memmap_back 15
expect_consistent

finish
