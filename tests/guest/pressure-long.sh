#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The pressure test, for two minutes.
#
# kernels: none
# also: dynamic debug
# mem: 4G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/pressure.sh" 120
