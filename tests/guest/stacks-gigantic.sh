#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A page of 1 GiB under direct I/O: what crosses the border of two areas is one bio_vec,
# and one bio.
#
# kernels: dynamic
# also: stock debug
# mem: 4G
# disk: one:64M
# append: dynamic_memmap=on memmap=128M!512M hugepagesz=1G hugepages=1

. "$DYNMEMMAP/tests/guest/stacks.bash"

stacks_begin
for stack in virtio null; do
	expect_success "$stack: it is set up" ${stack}_up
	expect_success "bios are traced" stacks_trace
	expect_success "$stack: bios are told as they are" probe $stack
	expect_success "$stack: two areas of a page of 1 GiB are one bio_vec" \
		directio "$(${stack}_top)" gigantic gigantic
	stacks_trace_end
	expect_success "$stack: it goes" ${stack}_down
done
stacks_end

finish
