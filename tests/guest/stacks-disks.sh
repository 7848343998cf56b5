#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Disks: null_blk, virtio-blk, brd, loop
# under direct I/O from and to huge pages of every kind. An area arrives at the top as
# one bio_vec, and nothing is split; the data is looked at below, too.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# disk: one:64M
# disk: two:64M
# append: dynamic_memmap=on memmap=128M!512M brd.rd_nr=1 brd.rd_size=65536

. "$DYNMEMMAP/tests/guest/stacks.bash"

stacks_begin
for stack in null virtio brd loop; do
	try_stack $stack
done
stacks_end

finish
