#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The test net, where ends are killed 25 times for each kind of memory and each route:
# 200 times in all.
#
# kernels: none
# also: stock dynamic debug
# mem: 1G
# variant: ram
# variant: pmem --pmem=512M
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/net.sh" 25
