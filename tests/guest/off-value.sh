#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A wrong value of the parameter is reported, and means off, whatever was said before.
#
# kernels: dynamic
# variant: wrong dynamic_memmap=maybe
# variant: later dynamic_memmap=on dynamic_memmap=maybe
# variant: empty dynamic_memmap=on dynamic_memmap=
# variant: none dynamic_memmap=on dynamic_memmap
# mem: 1G

. "$DYNMEMMAP/tests/guest/lib.sh"

value=" $(</proc/cmdline) " value=${value##*" dynamic_memmap"} value=${value%% *}
complaint=$(dmesg | grep "dynmemmap: dynamic_memmap=${value#=} is neither")
note "$complaint"
expect "the wrong value is reported" -n "$complaint"
expect "there is no $DM" ! -e "$DM"
expect "nothing was lent" "$(vmstat dynmemmap_lend)" -eq 0

finish
