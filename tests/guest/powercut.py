#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Write what must survive a power cut, and look for it afterwards.

usage: powercut.py write DISK KIND DIR...  start writers that never end; ends when all of
                                           them have done much, and then those of one
                                           KIND alone some more
       powercut.py check DISK DIR...       is all there that they had synced?

There are four writers for each DIR. Each counts what it has synced in a sector of
its own of DISK, which loses nothing; the first sector is not theirs.
"""

import mmap
import os
import signal
import struct
import sys
import time

from libc import must

SECTOR = 512
PAGE, AREA = mmap.PAGESIZE, 2 << 20
SIZE = 128 << 20
MUCH, SOME = 150, 50
MAP_SHARED_SYNC = 0x80003
MADV_NOHUGEPAGE = 15


class Counter:
    """In a sector of a disk."""

    def __init__(self, disk, number):
        self.fd = os.open(disk, os.O_RDWR | os.O_DIRECT)
        self.offset = (1 + number) * SECTOR
        self.sector = mmap.mmap(-1, PAGE)

    def set(self, count):
        self.sector[:8] = struct.pack("<Q", count)
        os.pwritev(self.fd, [memoryview(self.sector)[:SECTOR]], self.offset)

    def get(self):
        os.preadv(self.fd, [memoryview(self.sector)[:SECTOR]], self.offset)
        return struct.unpack("<Q", self.sector[:8])[0]


class Mapped:
    """Records in pages of a file with holes: MAP_SYNC makes them blocks for good.

    A processor would have to be told to write them back; an emulated one has no cache.
    """

    FLAGS = MAP_SHARED_SYNC

    def __init__(self, path, seed):
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        os.ftruncate(fd, SIZE)
        self.memory = mmap.mmap(fd, SIZE, flags=self.FLAGS)
        self.seed = seed

    def record(self, number):
        return struct.pack("<QQ", self.seed, number + 1) * 4

    def offset(self, number):
        return number * 37 % (SIZE // PAGE) * PAGE

    def write(self, number):
        start = self.offset(number)
        self.memory[start:start + 64] = self.record(number)

    def read(self, number):
        start = self.offset(number)
        return self.memory[start:start + 64]

    def check(self, count):
        for number in range(count):
            must(self.read(number) == self.record(number), f"record {number} is not what it was")
        # The next one may have been under way; no others.
        for number in range(count + 1, SIZE // PAGE):
            must(self.read(number) == bytes(64), f"page {number} is not empty")


class SmallPages(Mapped):
    def __init__(self, path, seed):
        super().__init__(path, seed)
        self.memory.madvise(MADV_NOHUGEPAGE)


class Flushed(SmallPages):
    """They are for good when msync() says so."""

    FLAGS = mmap.MAP_SHARED

    def write(self, number):
        super().write(number)
        self.memory.flush(self.offset(number), PAGE)


class HugePages(Mapped):
    """One record in each area in turn."""

    def offset(self, number):
        areas = SIZE // AREA
        return number % areas * AREA + number // areas * PAGE


class Files:
    """Small ones with other names than they got at first."""

    def __init__(self, path, seed):
        self.path, self.seed = path, seed
        os.makedirs(path, exist_ok=True)
        self.dir = os.open(path, os.O_RDONLY)

    def contents(self, number):
        return struct.pack("<QQ", self.seed, number) * (256 + number % 256)

    def write(self, number):
        with open(f"{self.path}/new", "wb") as file:
            file.write(self.contents(number))
            file.flush()
            os.fsync(file.fileno())
        os.rename(f"{self.path}/new", f"{self.path}/{number}")
        os.fsync(self.dir)

    def check(self, count):
        for number in range(count):
            with open(f"{self.path}/{number}", "rb") as file:
                must(file.read() == self.contents(number), f"file {number} is not what it was")


KINDS = [SmallPages, Flushed, HugePages, Files]


def writers(dirs):
    return [(kind, f"{path}/{kind.__name__}") for path in dirs for kind in KINDS]


def start(disk, seed, kind, path):
    """A writer, which goes on where it was when the power was cut."""
    child = os.fork()
    if child:
        return child
    # Whoever waits for the end of what we print does not wait for them.
    output = os.open("/tmp/powercut", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    writer, counter = kind(path, seed), Counter(disk, seed)
    for number in range(counter.get(), SIZE // PAGE):
        writer.write(number)
        counter.set(number + 1)
    while True:
        signal.pause()


def wait_for_more(counters, more):
    targets = [min(counter.get() + more, SIZE // PAGE) for counter in counters]
    while any(counter.get() < target for counter, target in zip(counters, targets)):
        must(os.waitpid(-1, os.WNOHANG) == (0, 0), "a writer has ended: see /tmp/powercut")
        time.sleep(0.2)


def write(disk, last, dirs):
    """Who syncs may sync what others have written, and hide that they have not: so the
    last ones do nothing but what is to be looked at."""
    counters, lasting, others = [], [], []
    for seed, (kind, path) in enumerate(writers(dirs)):
        child = start(disk, seed, kind, path)
        counters.append(Counter(disk, seed))
        if kind.__name__ == last:
            lasting.append(counters[-1])
        else:
            others.append(child)
    must(lasting, f"there is no {last}")
    wait_for_more(counters, MUCH)
    for child in others:
        os.kill(child, signal.SIGSTOP)
        must(os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1]), "a writer does not stop")
    wait_for_more(lasting, SOME)


def check(disk, dirs):
    for seed, (kind, path) in enumerate(writers(dirs)):
        count = Counter(disk, seed).get()
        print(f"{path}: {count} were synced")
        must(count >= MUCH, "they are not many")
        kind(path, seed).check(count)


def main():
    if len(sys.argv) > 4 and sys.argv[1] == "write":
        write(sys.argv[2], sys.argv[3], sys.argv[4:])
    elif len(sys.argv) > 3 and sys.argv[1] == "check":
        check(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(__doc__.strip())


if __name__ == "__main__":
    main()
