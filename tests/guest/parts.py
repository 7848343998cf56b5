#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Take small pages out of the huge pages of a file, and verify every byte.

usage: parts.py FILE fill|punch|again
       parts.py FILE churn SEED
       parts.py FILE long SECONDS SEED

  fill   write it: 16 huge pages, if the file system makes such
  punch  a hole of one page in each huge one, where that hurts most: then a half, a
         quarter and an eighth of it stay in one piece
  again  more holes, in those pieces
  churn  holes, writes, and mappings of single pages, at random
  long   that, and in between all goes to swap or is made whole

Each begins where the one before has ended. Says how it failed.
"""

import errno
import mmap
import os
import random
import struct
import sys
import time

from huge import MADV_COLLAPSE, MADV_PAGEOUT
from libc import call, call_once, map_areas, must, patiently

PAGE, HUGE = 4096, 2 << 20
PAGES = HUGE // PAGE
AREAS = 16
KEEP_SIZE_PUNCH_HOLE = 3


def pattern(seed, page):
    return struct.pack("<QQ", seed, page) * (PAGE // 16)


class File:
    """What has to be in each page: a seed, or 0 for a hole. Remembered beside it."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT)
        self.notes = f"/tmp/parts.{os.path.basename(path)}"
        self.seeds = [0] * (AREAS * PAGES)
        if os.path.exists(self.notes):
            with open(self.notes, "rb") as file:
                self.seeds = list(struct.unpack(f"{AREAS * PAGES}I", file.read()))

    def save(self):
        with open(self.notes, "wb") as file:
            file.write(struct.pack(f"{AREAS * PAGES}I", *self.seeds))

    def write(self, page, seed, nr_pages=1):
        data = b"".join(pattern(seed, page + i) for i in range(nr_pages))
        done = 0
        while done < len(data):
            done += patiently(os.pwrite, self.fd, data[done:], page * PAGE + done)
        self.seeds[page:page + nr_pages] = [seed] * nr_pages

    def punch(self, page, nr_pages=1):
        call("fallocate", self.fd, KEEP_SIZE_PUNCH_HOLE, page * PAGE, nr_pages * PAGE)
        self.seeds[page:page + nr_pages] = [0] * nr_pages

    def map_and_read(self, page):
        with mmap.mmap(self.fd, PAGE, mmap.MAP_SHARED, mmap.PROT_READ, offset=page * PAGE) as view:
            self.check(page, view[:])

    def advise(self, advice):
        """It may be that there is no huge page, or that somebody uses the pages."""
        size = AREAS * HUGE
        view = map_areas(size, mmap.MAP_SHARED, self.fd)
        try:
            call_once("madvise", view, size, advice)
        except OSError as error:
            must(error.errno in (errno.EAGAIN, errno.EBUSY, errno.EINVAL, errno.ENOMEM), error)
        call("munmap", view, size)

    def check(self, page, data):
        wanted = pattern(self.seeds[page], page) if self.seeds[page] else bytes(PAGE)
        must(data == wanted, f"page {page} does not hold what was written")

    def verify(self):
        for page in range(AREAS * PAGES):
            self.check(page, os.pread(self.fd, PAGE, page * PAGE))


def fill(file):
    os.ftruncate(file.fd, AREAS * HUGE)
    for page in range(AREAS * PAGES):
        file.write(page, 1)


def punch(file):
    """In the second half of some, and in the first half of others."""
    for area in range(AREAS):
        file.punch(area * PAGES + (PAGES // 2 if area % 2 else PAGES // 2 - 1))


def again(file):
    for area in range(AREAS):
        for page in (3, PAGES // 4, PAGES - 70):
            file.punch(area * PAGES + page)


def churn(file, seed):
    rng = random.Random(seed)
    for _ in range(500):
        page = rng.randrange(AREAS * PAGES)
        what = rng.randrange(5)
        if what == 0:
            file.punch(page, min(rng.choice((1, 1, 3, 64, 200)), AREAS * PAGES - page))
        elif what == 1:
            file.map_and_read(page)
        elif what == 2:
            # A whole one again.
            first = page // PAGES * PAGES
            file.punch(first, PAGES)
            file.write(first, 7, PAGES)
        else:
            file.write(page, rng.randrange(1, 1 << 31))


def long(file, seconds, seed):
    end = time.monotonic() + seconds
    fill(file)
    while time.monotonic() < end:
        churn(file, seed)
        file.advise((MADV_COLLAPSE, MADV_PAGEOUT)[seed % 2])
        file.verify()
        seed += 1


def main():
    path, action, *args = sys.argv[1:]
    file = File(path)
    globals()[action](file, *map(int, args))
    file.verify()
    file.save()


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, OSError) as error:
        sys.exit(f"{sys.argv[2]}: {error}")
