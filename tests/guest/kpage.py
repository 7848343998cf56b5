#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Look at page frames through /proc/kpageflags.

usage: kpage.py idle            the first frame of an area without struct pages
       kpage.py buddy           a free frame among others that are in use
       kpage.py flags PFN       its flags as a number
       kpage.py of PID          a frame of the largest anonymous mapping of PID
       kpage.py offline         how many frames of System RAM are marked offline
       kpage.py runs PAGES      the numbers of aligned runs of so many without struct pages
       kpage.py sum             how many areas have no struct pages; all files are read
"""

import os
import re
import struct
import sys

AREA = 512
# What is said of a frame without a struct page; of a free block only its head has
# a flag, so it takes a whole area of these to tell.
NO_FLAGS = (0,) * AREA
BUDDY, OFFLINE = 1 << 10, 1 << 23


def ram():
    """Frames of System RAM, as (first, last + 1)."""
    with open("/proc/iomem", encoding="ascii") as iomem:
        for line in iomem:
            # That of a device is indented.
            if match := re.match(r" *([0-9a-f]+)-([0-9a-f]+) : System RAM", line):
                yield int(match[1], 16) >> 12, (int(match[2], 16) + 1) >> 12


def entries(name, pfn, number):
    with open(f"/proc/{name}", "rb", buffering=0) as file:
        data = os.pread(file.fileno(), number * 8, pfn * 8)
    return struct.unpack(f"{len(data) // 8}Q", data)


def whole_areas():
    """The first frame of each, and the flags of all."""
    for first, end in ram():
        start = -(-first // AREA) * AREA
        for pfn in range(start, end - AREA, AREA):
            yield pfn, entries("kpageflags", pfn, AREA)


def find_idle():
    return next((pfn for pfn, flags in whole_areas() if flags == NO_FLAGS), 0)


def find_buddy():
    """In what looks like the largest free block, which is not used soon."""
    best = (0, 0)
    for pfn, flags in whole_areas():
        heads = [index for index in range(AREA) if flags[index] & BUDDY]
        if len(heads) == AREA - flags.count(0):
            continue
        for head in heads:
            end = next((i for i in range(head + 1, AREA) if flags[i]), AREA)
            best = max(best, (end - head, pfn + head))
    return best[1]


def frame_of(pid):
    best = (0, 0)
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        for line in maps:
            start, end = (int(n, 16) for n in line.split()[0].split("-"))
            if line.split()[4] == "0" or "/anon_hugepage" in line:
                best = max(best, (end - start, start))
    address = best[1] + best[0] // 2
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        entry, = struct.unpack("Q", os.pread(pagemap.fileno(), 8, address // 4096 * 8))
    return entry & (1 << 55) - 1 if entry >> 63 else 0


def count_offline():
    return sum(1 for first, end in ram() for pfn in range(first, end, AREA)
               for flags in entries("kpageflags", pfn, min(AREA, end - pfn)) if flags & OFFLINE)


def runs(pages):
    for first, end in ram():
        for pfn in range(-(-first // pages) * pages, end - pages + 1, pages):
            if not any(any(entries("kpageflags", at, 1 << 15))
                       for at in range(pfn, pfn + pages, 1 << 15)):
                yield pfn // pages


def sum_all():
    areas = 0
    for first, end in ram():
        for pfn in range(first, end, 32768):
            number = min(32768, end - pfn)
            flags = entries("kpageflags", pfn, number)
            areas += sum(flags[at:at + AREA] == NO_FLAGS
                         for at in range(-pfn % AREA, number, AREA))
            entries("kpagecount", pfn, number)
            entries("kpagecgroup", pfn, number)
    return areas


def main():
    what = sys.argv[1]
    if what == "idle":
        print(find_idle())
    elif what == "buddy":
        print(find_buddy())
    elif what == "flags":
        print(entries("kpageflags", int(sys.argv[2]), 1)[0])
    elif what == "of":
        print(frame_of(sys.argv[2]))
    elif what == "offline":
        print(count_offline())
    elif what == "runs":
        print(*runs(int(sys.argv[2])))
    else:
        print(sum_all())


if __name__ == "__main__":
    main()
