#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The page cache goes, and its memmap with it.
#
# kernels: dynamic
# also: debug
# mem: 2G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

sum=$(md5sum "$DYNMEMMAP/tests/run")
echo 3 >/proc/sys/vm/drop_caches
remember_memmap
# The host's own files, through 9p.
find /usr/bin /usr/lib/x86_64-linux-gnu -maxdepth 1 -type f -size +100k -size -2000k 2>/dev/null |
	head -n 300 | xargs cat >/dev/null 2>&1
cached=$(meminfo Cached)
split=$(dm areas_split)
note "cached: $cached KiB, split areas: $split"
expect "there is a page cache" "$cached" -ge $((40 << 10))
echo 3 >/proc/sys/vm/drop_caches
expect "there is next to none" "$(meminfo Cached)" -le $((30 << 10))
expect_memmap_back 15
expect "files read as before" "$(md5sum "$DYNMEMMAP/tests/run")" = "$sum"
expect_consistent

finish
