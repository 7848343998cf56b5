#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# iSCSI to a target in the same guest
# under direct I/O from and to huge pages of every kind. An area arrives at the top as
# one bio_vec, and nothing is split; the data is looked at below, too.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# disk: one:64M
# disk: two:64M
# append: dynamic_memmap=on memmap=128M!512M

. "$DYNMEMMAP/tests/guest/stacks.bash"

stacks_begin
try_stack iscsi
stacks_end

finish
