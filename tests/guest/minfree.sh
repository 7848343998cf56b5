#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The watermarks go up and down at run time.
#
# kernels: dynamic
# also: debug
# mem: 1G
# mem@debug: 1280M
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

min=$(cat /proc/sys/vm/min_free_kbytes)
remember_memmap
expect_success "some memory is filled" hold_start some 300
for kib in 131072 1024 262144 "$min"; do
	expect_success "min_free_kbytes is $kib" eval "echo $kib >/proc/sys/vm/min_free_kbytes"
	expect_success "memory is filled" hold_start more 300
	expect_success "it keeps its contents" hold_check more
	expect "what is not available stays free" "$(meminfo MemFree)" -ge $((kib / 2))
	hold_stop more
done

# Free memory in the pool is free: nothing is reclaimed while there is some.
echo 131072 >/proc/sys/vm/min_free_kbytes
dd if=/dev/zero of=/tmp/file bs=1M count=100 2>/dev/null
stalls=$(awk '/^allocstall/ { sum += $2 } END { print sum }' /proc/vmstat)
expect_success "memory is filled" hold_start more 150
expect "without direct reclaim" \
	"$(awk '/^allocstall/ { sum += $2 } END { print sum }' /proc/vmstat)" -eq "$stalls"
hold_stop more
rm /tmp/file
echo "$min" >/proc/sys/vm/min_free_kbytes
expect_success "memory keeps its contents" hold_check some
hold_stop some
expect_memmap_back 15
expect_consistent

finish
