#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Free pages are unmapped and poisoned, and zeroed when allocated and freed.
#
# kernels: dynamic
# also: debug
# mem: 1G
# append: dynamic_memmap=on init_on_alloc=1 init_on_free=1
# append@debug: debug_pagealloc=on page_poison=1 init_on_alloc=0 init_on_free=0

. "$DYNMEMMAP/tests/guest/lib.sh"

# Poison is looked at when a page is allocated, and a complaint fails the test.
remember_memmap
for kind in anon thp shm; do
	expect_success "$kind memory is filled" hold_start some 500 $kind
	expect_success "it keeps its contents" hold_check some
	hold_stop some
	pause 2
done
expect_success "stress-ng finds no error" stress-ng --temp-path /tmp \
	--vm 2 --vm-bytes 60% --vm-method zero-one --verify --timeout 5
expect_success "memory just mapped is zero" /usr/bin/python3 -I -c '
import mmap
memory = mmap.mmap(-1, 400 << 20)
for at in range(0, len(memory), 1 << 20):
    assert not any(memory[at:at + 4096])'
expect_memmap_back 40
expect_consistent

finish
