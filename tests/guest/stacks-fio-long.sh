#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The test stacks-fio, a minute for each stack, with nearly no memory left.
#
# kernels: none
# also: stock dynamic debug
# mem: 1G
# disk: one:64M
# disk: two:64M
# append: dynamic_memmap=on memmap=128M!512M brd.rd_nr=1 brd.rd_size=65536
# timeout: 1800

. "$DYNMEMMAP/tests/guest/stacks-fio.sh" 60
