#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Direct I/O between huge pages and a disk, and verify every byte.

usage: directio.py DISK KIND ACTION

  KIND  thp, hugetlb, shm (the last may consist of small pages), small

Says how ACTION failed.
"""

import ctypes
import errno
import functools
import mmap
import os
import random
import signal
import sys

from libc import HUGE, MAP_FIXED, call, map_areas, must
from uring import READ_FIXED, WRITE_FIXED, Ring

PAGE = 4096
AREAS = 3
SIZE = AREAS * HUGE
MAP_HUGETLB, MADV_HUGEPAGE, MADV_NOHUGEPAGE = 0x40000, 14, 15
FLAGS = {"thp": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, "small": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
         "hugetlb": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB,
         "shm": mmap.MAP_SHARED | mmap.MAP_ANONYMOUS}


class Buffer:
    """Memory that begins with an area, and a hole of one area after it."""

    def __init__(self, kind, seed):
        self.base = map_areas(SIZE, FLAGS[kind])
        if kind != "hugetlb":
            call("madvise", self.base, SIZE, MADV_NOHUGEPAGE if kind == "small" else MADV_HUGEPAGE)
        self.view = memoryview((ctypes.c_char * SIZE).from_address(self.base)).cast("B")
        self.view[:] = random.Random(seed).randbytes(HUGE) * AREAS

    def __del__(self):
        call("munmap", self.base, SIZE)


def transfer(function, fd, buffer, start, size, at=0):
    return function(fd, [buffer.view[start:start + size]], at)


def error_of(function, *args):
    try:
        return function(*args)
    except OSError as error:
        return -error.errno


class Plain:
    """By system calls that take any memory."""

    def __init__(self, *_):
        pass

    def write(self, fd, buffer, start, size):
        return transfer(os.pwritev, fd, buffer, start, size)

    def read(self, fd, buffer, start, size):
        return transfer(os.preadv, fd, buffer, start, size)


class Fixed:
    """By io_uring, from and to what is registered of buffers."""

    def __init__(self, *buffers, first=0, size=SIZE):
        self.buffers, self.ring = buffers, Ring()
        self.ring.register(*((buffer.base + first, size) for buffer in buffers))

    def __del__(self):
        self.ring.close()

    def _transfer(self, opcode, fd, buffer, start, size):
        return self.ring.transfer(opcode, fd, buffer.base + start, size,
                                  index=self.buffers.index(buffer))

    def write(self, *args):
        return self._transfer(WRITE_FIXED, *args)

    def read(self, *args):
        return self._transfer(READ_FIXED, *args)


def move(fd, kind, start, size, way=Plain):
    """There and back, and seen by way of small pages, too."""
    source, target, small = Buffer(kind, start), Buffer(kind, -1), Buffer("small", -2)
    way = way(source, target)
    must(way.write(fd, source, start, size) == size, "short write")
    must(transfer(os.preadv, fd, small, 0, size) == size, "short read")
    must(small.view[:size] == source.view[start:start + size], "the disk has other data")
    must(way.read(fd, target, start, size) == size, "short read")
    must(target.view[start:start + size] == source.view[start:start + size], "other data was read")
    rest = Buffer("small", -1)
    must(target.view[:start] == rest.view[:start] and
         target.view[start + size:] == rest.view[start + size:], "more was read than asked for")


def whole(fd, kind):
    move(fd, kind, 0, HUGE)


def inner(fd, kind):
    """Begins beyond the first page of an area, and ends in it."""
    move(fd, kind, 3 * PAGE + 512, HUGE // 2)


# Where it begins is within the first area, but not within its first page.
ODD = ((3 * PAGE + 512, HUGE), (PAGE, HUGE - PAGE), (HUGE - 512, PAGE),
       (HUGE - PAGE, HUGE + 2 * PAGE), (5 * PAGE, 64 << 10), (0, 2 * HUGE))


def odd(fd, kind):
    for start, size in ODD:
        move(fd, kind, start, size)


def fixed_whole(fd, kind):
    move(fd, kind, 0, HUGE, Fixed)


def fixed_inner(fd, kind):
    move(fd, kind, 3 * PAGE + 512, HUGE // 2, Fixed)


def fixed_odd(fd, kind):
    """All of the buffer is registered, and just what is transferred."""
    for start, size in ODD:
        move(fd, kind, start, size, Fixed)
        move(fd, kind, start, size, functools.partial(Fixed, first=start, size=size))


def fixed_mixed(fd, kind):
    """An area in the middle, or a part of it, is mapped by small pages."""
    for first, size in ((HUGE, HUGE), (HUGE + PAGE, PAGE), (2 * HUGE, HUGE)):
        source = Buffer(kind, 7)
        wanted = bytes(source.view)
        call("mmap", source.base + first, size, mmap.PROT_READ | mmap.PROT_WRITE,
             FLAGS["small"] | MAP_FIXED, -1, 0)
        call("madvise", source.base + first, size, MADV_NOHUGEPAGE)
        source.view[first:first + size] = wanted[first:first + size]
        must(Fixed(source).write(fd, source, 0, SIZE) == SIZE, "short write")
        back = Buffer("small", -3)
        must(transfer(os.preadv, fd, back, 0, SIZE) == SIZE, "short read")
        must(back.view == wanted, "the disk has other data")


def fixed_forked(fd, kind):
    """What is read goes to the parent, whose pages are not those of its children."""
    source, target = Buffer(kind, 8), Buffer(kind, 9)
    must(transfer(os.pwritev, fd, source, 0, HUGE) == HUGE, "short write")
    ring = Fixed(target)
    for turn in range(5):
        target.view[::PAGE] = bytes(len(target.view) // PAGE)
        child = os.fork()
        if not child:
            target.view[turn * PAGE] = 1
            os._exit(0)
        must(ring.read(fd, target, 0, HUGE) == HUGE, "short read")
        os.waitpid(child, 0)
        must(target.view[:HUGE] == source.view[:HUGE], "the parent has other data")


def fixed_refused(fd, kind):
    """Bad buffers get what the kernel's API promises, and good ones are none the worse."""
    buffer = Buffer(kind, 10)
    ring = Fixed(buffer)
    must(error_of(ring.ring.register, (buffer.base, SIZE)) == -errno.EBUSY,
         "a second set of buffers is not refused")
    for start, size in ((SIZE - PAGE, 2 * PAGE), (-PAGE, 2 * PAGE), (SIZE, PAGE)):
        must(ring.write(fd, buffer, start, size) == -errno.EFAULT,
             "what is beyond the buffer is not refused")
    must(ring.write(fd, buffer, 0, HUGE - 100) == -errno.EINVAL,
         "a length that is no multiple of a sector is not refused")
    ring.ring.unregister()
    for start, size in ((0, 0), (0, SIZE + PAGE), (SIZE, HUGE), (0, (1 << 30) + 1)):
        must(error_of(ring.ring.register, (buffer.base + start, size)) == -errno.EFAULT,
             f"{size:#x} bytes at {start:#x} of a buffer are not refused")
    call("mprotect", buffer.base + 2 * HUGE, HUGE, mmap.PROT_READ)
    must(error_of(ring.ring.register, (buffer.base, SIZE)) == -errno.EFAULT,
         "memory that cannot be written is not refused")
    ring.ring.register((buffer.base, 2 * HUGE))
    must(ring.write(fd, buffer, 0, HUGE) == HUGE, "but other memory is as well")


def fixed_forever(_, kind):
    """Until it is killed."""
    ring = Fixed(Buffer(kind, 11))
    print("registered", flush=True)
    signal.pause()
    ring.ring.unregister()


def pieces(fd, kind):
    """Of huge and of small pages, in turn."""
    source, small, target = Buffer(kind, 1), Buffer("small", 2), Buffer(kind, 3)
    sizes = [64 << 10, 512, HUGE, PAGE, 100 << 10, 128 << 10]
    parts = [(source, small)[i % 2].view[i * 512:i * 512 + size] for i, size in enumerate(sizes)]
    data = b"".join(parts)
    must(os.pwritev(fd, parts, 0) == len(data), "short write")
    must(transfer(os.preadv, fd, target, 0, len(data)) == len(data), "short read")
    must(target.view[:len(data)] == data, "other data was read")


def forked(fd, kind):
    """What is read goes to the parent, whatever children that share the pages do."""
    source, target = Buffer(kind, 4), Buffer(kind, 5)
    must(transfer(os.pwritev, fd, source, 0, HUGE) == HUGE, "short write")
    for turn in range(20):
        target.view[::PAGE] = bytes(len(target.view) // PAGE)
        child = os.fork()
        if not child:
            target.view[turn * PAGE] = 1
            os._exit(0)
        must(transfer(os.preadv, fd, target, 0, HUGE) == HUGE, "short read")
        os.waitpid(child, 0)
        must(target.view[:HUGE] == source.view[:HUGE], "the parent has other data")


def refused(fd, kind):
    """Bad input gets what the kernel's API promises."""
    buffer = Buffer(kind, 6)
    must(error_of(transfer, os.pwritev, fd, buffer, 0, HUGE - 100) == -errno.EINVAL,
         "a length that is no multiple of a sector is not refused")
    must(error_of(transfer, os.pwritev, fd, buffer, 1, HUGE) == -errno.EINVAL,
         "a buffer at an odd address is not refused")
    # The last area is not there any more.
    call("munmap", buffer.base + 2 * HUGE, HUGE)
    done = error_of(transfer, os.pwritev, fd, buffer, HUGE, 2 * HUGE)
    must(done in (-errno.EFAULT, HUGE), f"half a buffer: {done}")
    must(error_of(transfer, os.preadv, fd, buffer, 2 * HUGE, HUGE) == -errno.EFAULT,
         "memory that is not there is not refused")
    call("mprotect", buffer.base, HUGE, mmap.PROT_READ)
    must(error_of(transfer, os.preadv, fd, buffer, 0, HUGE) == -errno.EFAULT,
         "memory that cannot be written is not refused")
    must(transfer(os.pwritev, fd, buffer, 0, HUGE) == HUGE, "but it can be read")


def main():
    disk, kind, action = sys.argv[1:]
    fd = os.open(disk, os.O_RDWR | os.O_DIRECT)
    globals()[action](fd, kind)


if __name__ == "__main__":
    main()
