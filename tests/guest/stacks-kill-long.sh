#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The test stacks-kill, two hundred times.
#
# kernels: none
# also: stock dynamic debug
# mem: 1G
# disk: one:64M
# disk: two:64M
# append: dynamic_memmap=on memmap=128M!512M brd.rd_nr=1 brd.rd_size=65536
# timeout: 3600

. "$DYNMEMMAP/tests/guest/stacks-kill.sh" 200
