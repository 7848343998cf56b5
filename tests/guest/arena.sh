#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The memory of a BPF arena is allocated with interrupts off, by who may not wait for any
# lock: all of it is there, and comes back.
#
# kernels: dynamic
# also: stock debug
# mem: 2G
# append: dynamic_memmap=on

# shellcheck disable=SC2016 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

# As much as there is, but for what the machine needs to go on.
mib=1536
[[ $KERNEL != debug ]] || mib=128
remember_memmap
expect_success "all of an arena can be used" "$DYNMEMMAP/tests/guest/arena.py" $mib
# A worker frees it, when who had it is gone.
expect_success "it is free again" eventually 60 eval '(($(meminfo MemFree) >> 10 >= mib))'
expect_success "and once more" "$DYNMEMMAP/tests/guest/arena.py" $mib
# KASAN has shadow for all of the 4 GiB that it could be, until vmalloc() lets them go.
[[ $KERNEL == debug ]] || expect_memmap_back 10 4096
expect_consistent

finish
