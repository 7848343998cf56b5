#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The same with four times the memory: the memmap grows by much less than that.
#
# kernels: dynamic
# mem: 16G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/idle.sh" 16384 6
