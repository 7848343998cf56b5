#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Hibernation is prepared, up to the image: every area gets its struct pages
# for it, and is idle again afterwards.
#
# kernels: dynamic
# also: debug
# mem: 1G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

# A root on 9p does not survive that its device is suspended: for the image itself
# see hibernation-image.sh. All that comes before can be had from /dev/snapshot.
remember_memmap
expect_success "memory is filled" hold_start some 200
idle=$(dm areas_idle)
expect "there is /dev/snapshot" -c /dev/snapshot
left=$(/usr/bin/python3 -I - <<'END'
import fcntl, os
FREEZE, UNFREEZE = 0x3301, 0x3302
fd = os.open("/dev/snapshot", os.O_RDONLY)
fcntl.ioctl(fd, FREEZE)
with open("/sys/kernel/mm/dynamic_memmap/areas_idle", encoding="ascii") as file:
    print(file.read().strip())
fcntl.ioctl(fd, UNFREEZE)
os.close(fd)
END
)
note "idle areas: $idle before, $left while the tasks are frozen"
expect "processes are frozen and go on" -n "$left"
expect "next to no area is idle meanwhile" "${left:-$idle}" -le 8
expect_success "memory keeps its contents" hold_check some
hold_stop some
expect_memmap_back 15
expect_consistent

finish
