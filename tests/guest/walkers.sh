#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Everything that walks over page frames walks, while areas come and go.
#
# kernels: dynamic
# also: debug
# mem: 4G
# append: dynamic_memmap=on
# append@debug: page_owner=on kmemleak=on

. "$DYNMEMMAP/tests/guest/lib.sh"

remember_memmap
expect_success "some memory is filled" hold_start some 300
load_start --vm 2 --vm-bytes 30% --vm-method write64 --brk 1

idle=$(/usr/bin/python3 -I "$DYNMEMMAP/tests/guest/kpage.py" sum)
note "idle areas: $idle, and now $(dm areas_idle)"
expect "kpageflags, kpagecount and kpagecgroup are read, and know idle areas" "$idle" -gt 0

# All of the vmemmap as /proc/kcore shows it, one page in 16; and of the memory.
expect_success "kcore is read" /usr/bin/python3 -I - <<'END'
import os, struct, sys
fd = os.open("/proc/kcore", os.O_RDONLY)
header = os.pread(fd, 64, 0)
phoff, = struct.unpack_from("Q", header, 32)
number, = struct.unpack_from("H", header, 56)
read = 0
for i in range(number):
    kind, _, offset, _, _, size, _, _ = struct.unpack("IIQQQQQQ", os.pread(fd, 56, phoff + 56 * i))
    if kind != 1 or size > 1 << 36:
        continue
    for at in range(offset, offset + size, max(65536, size // 512)):
        read += len(os.pread(fd, 4096, at))
sys.exit(read == 0)
END
ram=$(/usr/bin/python3 -I -c '
import struct
with open("/proc/kcore", "rb") as kcore:
    header = kcore.read(65536)
number, = struct.unpack_from("H", header, 56)
segments = [struct.unpack_from("IIQQQQQQ", header, 64 + 56 * i) for i in range(number)]
print(sum(s[5] for s in segments if s[0] == 1 and s[4] < 1 << 60) >> 20)')
expect "kcore has all of memory" "$ram" -ge 4000
expect_success "pagetypeinfo is read" cat /proc/pagetypeinfo
expect_success "buddyinfo is read" cat /proc/buddyinfo
expect_success "zoneinfo is read" cat /proc/zoneinfo
for file in page_owner kmemleak; do
	if ! [[ -e /sys/kernel/debug/$file ]]; then
		skip "$file is read" "the kernel has none"
		continue
	fi
	[[ $file != kmemleak ]] || echo scan >/sys/kernel/debug/kmemleak
	expect_success "$file is read" eval "head -n 20000 /sys/kernel/debug/$file >/dev/null"
done

bitmap=/sys/kernel/mm/page_idle/bitmap
expect_success "all pages are marked idle" /usr/bin/python3 -I -c "
import os
fd = os.open('$bitmap', os.O_RDWR)
try:
    for at in range(0, (8 << 30 >> 12) // 8, 8192):
        os.pwrite(fd, b'\\xff' * 8192, at); os.pread(fd, 8192, at)
except OSError as error:
    if error.errno != 6: raise  # past the end of memory"
echo 1 >/proc/sys/vm/compact_memory
expect_success "extfrag is read" cat /sys/kernel/debug/extfrag/unusable_index

load_stop
expect_success "memory keeps its contents" hold_check some
hold_stop some
expect_memmap_back 20
may_repair_reads="a walker had found a page online before its area was taken back"
expect_consistent

finish
