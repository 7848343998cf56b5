#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Device mapper: dm-linear and dm-crypt
# under direct I/O from and to huge pages of every kind. An area arrives at the top as
# one bio_vec, and nothing is split; the data is looked at below, too.
#
# kernels: none
# also: stock dynamic debug
# mem: 1G
# disk: one:64M
# disk: two:64M
# append: dynamic_memmap=on memmap=128M!512M

. "$DYNMEMMAP/tests/guest/stacks.bash"

stacks_begin
for stack in linear crypt; do
	try_stack $stack
done
stacks_end

finish
