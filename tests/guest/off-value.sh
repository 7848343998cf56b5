#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A wrong value of the parameter is reported, and means off.
#
# kernels: dynamic
# mem: 1G
# append: dynamic_memmap=maybe

. "$DYNMEMMAP/tests/guest/lib.sh"

complaint=$(dmesg | grep -v 'ommand line' | grep 'dynamic_memmap=maybe')
note "$complaint"
expect "the wrong value is reported" -n "$complaint"
expect "there is no $DM" ! -e "$DM"
expect "nothing was lent" "$(vmstat dynmemmap_lend)" -eq 0

finish
