#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Direct I/O between huge pages and a disk, and verify every byte.

usage: directio.py DISK KIND ACTION[,ACTION...] [FAR...]

  KIND  thp, hugetlb, shm (the last may consist of small pages), small, or a
        directory of a file system with -o dax; gigantic for the action of that name
  FAR   DEVICE[+BYTES]: what is written to DISK must be there, too; after "via:",
        and as one bio; after "not:", it must be something else

Says how ACTION failed.
"""

import ctypes
import errno
import functools
import mmap
import os
import random
import re
import signal
import sys
import threading
import time

from libc import (DM, HUGE, MAP_FIXED, call, expect_shared_tails, map_areas, must, pages_pinned,
                  vmstat)
from uring import ENTRIES, READ, READ_FIXED, WRITE, WRITE_FIXED, Ring

PAGE = 4096
AREAS = 3
SIZE = AREAS * HUGE
MAP_HUGETLB, MAP_HUGE_1GB, MADV_REMOVE, MADV_HUGEPAGE, MADV_NOHUGEPAGE = 0x40000, 30 << 26, 9, 14, 15
PRIVATE = ("thp", "small", "hugetlb")
FLAGS = {"thp": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, "small": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
         "hugetlb": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB,
         "shm": mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, "private": mmap.MAP_PRIVATE}
TRACE = "/sys/kernel/tracing/trace"
FAR = []


@functools.cache
def twice():
    return random.Random(0).randbytes(HUGE) * 2


def noise(number):
    """An area of it, not twice the same."""
    start = number * 104729 % HUGE
    return twice()[start:start + HUGE]


class Buffer:
    """Memory that begins with an area, and a hole of one area after it. Without a seed it
    is only read: of a file, or else zeros."""

    def __init__(self, kind, seed=None, file=-1):
        if kind.startswith("/"):
            file = dax_file(kind)
        self.base = map_areas(SIZE, FLAGS.get(kind, mmap.MAP_SHARED), file)
        if kind.startswith("/"):
            os.close(file)
        elif file < 0 and kind != "hugetlb":
            call("madvise", self.base, SIZE, MADV_NOHUGEPAGE if kind == "small" else MADV_HUGEPAGE)
        self.fill(seed)

    def fill(self, seed):
        self.view = memoryview((ctypes.c_char * SIZE).from_address(self.base)).cast("B")
        for area in range(AREAS):
            if seed is None:
                ctypes.string_at(self.base + area * HUGE, 1)
            else:
                self.view[area * HUGE:(area + 1) * HUGE] = noise(seed * AREAS + area)

    def __del__(self):
        call("munmap", self.base, SIZE)

    def protect(self, area, protection):
        call("mprotect", self.base + area * HUGE, HUGE, protection)

    def hide(self, area):
        """It is gone, and nothing else comes to where it was."""
        call("mmap", self.base + area * HUGE, HUGE, 0, FLAGS["small"] | MAP_FIXED, -1, 0)

    def discard(self, area):
        """Of a file: the file has a hole there."""
        call("madvise", self.base + area * HUGE, HUGE, MADV_REMOVE)


class Gigantic(Buffer):
    """The second area of a page of 1 GiB, and what comes after it."""

    def __init__(self, seed):
        self.page = call("mmap", 0, 1 << 30, mmap.PROT_READ | mmap.PROT_WRITE,
                         FLAGS["hugetlb"] | MAP_HUGE_1GB, -1, 0)
        self.base = self.page + HUGE
        self.fill(seed)

    def __del__(self):
        call("munmap", self.page, 1 << 30)


def dax_file(directory):
    """It lives as long as it is mapped, or open."""
    path = f"{directory}/{os.getpid()}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.unlink(path)
    os.posix_fallocate(fd, 0, SIZE)
    return fd


class Far:
    """Where else the data of a disk can be read."""

    def __init__(self, text):
        how, _, place = text.rpartition(":")
        self.path, _, offset = place.partition("+")
        self.offset, self.inverted, self.via = int(offset or 0), how == "not", how == "via"

    def check(self, data):
        fd, small = os.open(self.path, os.O_RDONLY | os.O_DIRECT), mmap.mmap(-1, len(data))
        must(os.preadv(fd, [small], self.offset) == len(data), f"short read from {self.path}")
        os.close(fd)
        must((small[:] == data) != self.inverted,
             f"{self.path} has {'the same' if self.inverted else 'other'} data")


def transfer(function, fd, buffer, start, size, at=0):
    return function(fd, [buffer.view[start:start + size]], at)


def error_of(function, *args):
    try:
        return function(*args)
    except OSError as error:
        return -error.errno


class Plain:
    """By system calls that take any memory."""

    # Of what may take more than one bio, when some of it is no memory.
    BAD = -errno.EFAULT

    def __init__(self, *_):
        pass

    def write(self, fd, buffer, start, size):
        return transfer(os.pwritev, fd, buffer, start, size)

    def read(self, fd, buffer, start, size):
        return transfer(os.preadv, fd, buffer, start, size)


class Queued(Plain):
    """By io_uring, from and to any memory."""

    BAD = -errno.EIO

    def __init__(self, *_):
        self.ring = Ring()

    def __del__(self):
        self.ring.close()

    def write(self, fd, buffer, start, size):
        return self.ring.transfer(WRITE, fd, buffer.base + start, size)

    def read(self, fd, buffer, start, size):
        return self.ring.transfer(READ, fd, buffer.base + start, size)


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
    for far in FAR:
        far.check(source.view[start:start + size])
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
    # What is registered stays, when it is mapped no more.
    wanted = noise(1000)
    buffer.view[:HUGE] = wanted
    buffer.hide(0)
    must(ring.write(fd, buffer, 0, HUGE) == HUGE, "what is not mapped any more is refused")
    expect_on_disk(fd, wanted)


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


def zero(fd, _):
    """The huge page of zeros, which is everybody's."""
    zeros, source = Buffer("thp"), Buffer("thp", 16)
    must(vmstat("thp_zero_page_alloc"), "there is no huge page of zeros")
    must(transfer(os.pwritev, fd, zeros, 0, HUGE) == HUGE, "short write")
    expect_on_disk(fd, bytes(HUGE))
    must(transfer(os.pwritev, fd, source, 0, HUGE) == HUGE, "short write")
    must(transfer(os.preadv, fd, zeros, HUGE, HUGE) == HUGE, "short read")
    must(zeros.view[HUGE:2 * HUGE] == source.view[:HUGE], "other data was read")
    must(not any(zeros.view[:HUGE]) and not any(zeros.view[2 * HUGE:]), "more was read to")
    others = Buffer("thp")
    must(not any(others.view), "the huge page of zeros was read to")


def private(fd, kind):
    """What is read to a private mapping of a file is not in the file."""
    file = dax_file(kind)
    shared, source = Buffer("shared", 17, file), Buffer("small", 18)
    copy, wanted = Buffer("private", None, file), bytes(shared.view)
    must(transfer(os.pwritev, fd, copy, 0, HUGE) == HUGE, "short write")
    expect_on_disk(fd, wanted[:HUGE])
    must(transfer(os.pwritev, fd, source, 0, HUGE) == HUGE, "short write")
    must(transfer(os.preadv, fd, copy, HUGE, HUGE) == HUGE, "short read")
    must(copy.view[HUGE:2 * HUGE] == source.view[:HUGE], "other data was read")
    must(shared.view == wanted, "it is in the file")
    os.close(file)


def trimmed(fd, kind):
    """A bio that would end within a sector, because memory does, becomes shorter: what only
    the rest of it was in is not pinned any more."""
    buffer, before = Buffer(kind, 19), pages_pinned()
    buffer.hide(2)
    for parts in (((0, (64 << 10) + 4), (2 * HUGE, 508)),
                  ((0, 64 << 10), (5 * PAGE - 4, 8), (2 * HUGE, 504))):
        pieces = [buffer.view[start:start + size] for start, size in parts]
        for function in (os.pwritev, os.preadv):
            told = error_of(function, fd, pieces, 0)
            # The rest goes through the page cache.
            must(told == -errno.EFAULT or 64 << 10 <= told < (64 << 10) + 512,
                 f"{function.__name__}: {told}")
            must(pages_pinned() == before, f"{function.__name__}: pages are still pinned")


def refused(fd, kind):
    """Bad input gets what it gets of a stock kernel; of what is good only in part, some
    is done if one bio would take it all."""
    for way in (Plain, Queued):
        expect_refusals(fd, Buffer(kind, 6), way())
    if kind.startswith("/"):
        buffer = Buffer(kind, 6)
        told = error_of(Ring().register, (buffer.base, HUGE))
        must(told == -errno.EOPNOTSUPP, f"a file that may be truncated is registered: {told}")


def expect_refusals(fd, buffer, way):
    def expect(wanted, what, functions, start, size):
        for function in functions:
            told = error_of(function, fd, buffer, start, size)
            must(told == wanted, f"{what}, {type(way).__name__} {function.__name__}: "
                 f"{told}, and not {wanted}")

    half, both, write, read = 256 << 10, (way.write, way.read), (way.write,), (way.read,)
    expect(-errno.EINVAL, "a length that is no multiple of a sector", both, 0, HUGE - 100)
    expect(-errno.EINVAL, "a buffer at an odd address", both, 1, HUGE)
    expect(0, "nothing", both, 0, 0)
    buffer.protect(1, mmap.PROT_READ)
    expect(HUGE, "what can only be read", write, HUGE, HUGE)
    expect(way.BAD, "what can only be read", read, HUGE, HUGE)
    expect(-errno.EFAULT, "a part of what can only be read", read, HUGE + 512, half)
    expect(half, "a half that can only be read", read, HUGE - half, 2 * half)
    expect(way.BAD, "an area that can only be read", read, 512, 2 * HUGE)
    buffer.protect(1, 0)
    expect(way.BAD, "what cannot be accessed", both, HUGE, HUGE)
    buffer.protect(1, mmap.PROT_READ | mmap.PROT_WRITE)
    expect(HUGE, "what is as it was", both, HUGE, HUGE)
    buffer.hide(2)
    expect(way.BAD, "what is not there", both, 2 * HUGE, HUGE)
    expect(-errno.EFAULT, "a part of what is not there", both, 2 * HUGE, half)
    expect(half, "a half that is not there", both, 2 * HUGE - half, 2 * half)
    expect(way.BAD, "a third that is not there", both, 0, SIZE)
    expect(HUGE, "the rest", both, HUGE - 512, HUGE)


def expect_on_disk(fd, wanted):
    small = Buffer("small", -1)
    must(transfer(os.preadv, fd, small, 0, len(wanted)) == len(wanted), "short read")
    must(small.view[:len(wanted)] == wanted, "the disk has other data")
    for far in FAR:
        far.check(wanted)


class Repeated(threading.Thread):
    """The same transfer, until it fails."""

    def __init__(self, *args):
        super().__init__()
        self.args, self.results = args, []
        self.start()

    def run(self):
        while not self.results or self.results[-1] == SIZE:
            self.results.append(error_of(transfer, *self.args, 0, SIZE))


def vanish(fd, kind):
    """The last area goes while all is written or read again and again: that is done, or
    refused, but nothing else."""
    for go in (Buffer.hide, lambda buffer, area: buffer.protect(area, 0)):
        vanish_once(fd, kind, go)


def vanish_once(fd, kind, go):
    source, target = Buffer(kind, 14), Buffer(kind, -1)
    wanted = bytes(source.view)
    for function, buffer in ((os.pwritev, source), (os.preadv, target)):
        transfers = Repeated(function, fd, buffer)
        while not transfers.results:
            time.sleep(0)
        time.sleep(random.random() / 50)
        go(buffer, 2)
        transfers.join()
        must(transfers.results[-1] == -errno.EFAULT, f"{transfers.results[-1]}, and not EFAULT")
        if buffer is source:
            expect_on_disk(fd, wanted)
    must(target.view[:2 * HUGE] == wanted[:2 * HUGE], "other data was read")


def held(fd, kind):
    """A device of dm waits, and has the memory of what is written to and read from it pinned.
    That goes: it is written as it was, and read to nowhere. In a file with -o dax, it goes
    afterwards."""
    disk, dax, file = os.path.basename(sys.argv[1]), kind.startswith("/"), kind not in PRIVATE
    for opcode in (WRITE, READ):
        buffer, ring, before = Buffer(kind, 13), Ring(), pages_pinned()
        wanted = bytes(buffer.view)
        must(os.system(f"dmsetup suspend --noflush --nolockfs {disk}") == 0, "it is not suspended")
        for area in range(AREAS):
            ring.submit(opcode, fd, buffer.base + area * HUGE, HUGE, area * HUGE)
        # Each CPU counts some of them for itself.
        for _ in range(600):
            if pages_pinned() >= before + SIZE // PAGE - 1000:
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"{before} pages were pinned, and now {pages_pinned()}")
        hole = threading.Thread(target=buffer.discard if file else buffer.hide, args=(0,))
        hole.start()
        if not dax:
            hole.join()
        for area in range(1, AREAS):
            buffer.hide(area)
        must(not dax or hole.is_alive(), "what is pinned has gone from the file")
        must(os.system(f"dmsetup resume {disk}") == 0, "it is not resumed")
        for _ in range(AREAS):
            must(ring.wait() == HUGE, "short transfer, or an error")
        hole.join()
        must(not file or buffer.view[:HUGE] == bytes(HUGE), "the file has no hole")
        ring.close()
        expect_on_disk(fd, wanted)


class Bios:
    """What the block layer is given; stacks_trace in stacks.bash makes it tell."""

    BIO = re.compile(r" (\w+): \(.*\) dev=(\d+) size=(\d+) done=(\d+) vectors=(\d+) "
                     r"length=(\d+) offset=(\d+)$", re.MULTILINE)
    REQUEST = re.compile(r" started: \(.*\) dev=(\d+) size=(\d+) segments=(\d+)$", re.MULTILINE)
    # Small pages of what was a huge one have got struct pages of their own.
    SPLIT = re.compile(r" dynmemmap_populate_tails: .* reason=(split|device|repair) ")

    def __init__(self, *args):
        with open(TRACE, "w", encoding="ascii"):
            pass
        function, *args = args
        self.result = function(*args)
        with open(TRACE, encoding="ascii") as trace:
            self.text = trace.read()

    def of(self, device, event="submitted"):
        """Of each: size, number of bio_vecs (0 if they are another's), size and offset of
        what the first of them gives."""
        number = number_of(device)
        return [(size, vectors, min(length - done, size), offset + done)
                for size, done, vectors, length, offset in
                (tuple(map(int, line[2:])) for line in self.BIO.findall(self.text)
                 if line[0] == event and int(line[1]) == number)]

    def requests(self, device):
        """Bytes and segments of each that its driver was given."""
        number = number_of(device)
        return [(int(size), int(segments)) for dev, size, segments in
                self.REQUEST.findall(self.text) if int(dev) == number]


def number_of(device):
    """As the kernel keeps it."""
    number = os.stat(device).st_rdev
    return os.major(number) << 20 | os.minor(number)


def queue_of(device):
    number = os.stat(device).st_rdev
    return f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/queue"


def limit_of(device, name):
    with open(f"{queue_of(device)}/{name}", encoding="ascii") as file:
        return int(file.read())


def takes_requests(device):
    """Others are made of bios."""
    return os.path.isdir(f"{queue_of(device)}/../mq")


def probe(fd, _):
    """Bios and requests of small pages are told as they are."""
    disk, small = sys.argv[1], Buffer("small", 7)
    parts = [small.view[start:start + 512] for start in (PAGE + 512, 3 * PAGE, 5 * PAGE + 1024)]
    bios = Bios(os.pwritev, fd, parts, 0)
    must(bios.result == 1536, "short write")
    must(bios.of(disk) == [(1536, 3, 512, 512)], f"bios: {bios.text}")
    must(bios.requests(disk) == [(1536, 3)] * takes_requests(disk), f"requests: {bios.text}")
    print(*(f"{name} {limit_of(disk, name)}" for name in
            ("max_sectors_kb", "max_segments", "max_segment_size")), sep=", ")


def counters():
    """What must not change when huge pages are read and written."""
    with open("/proc/vmstat", encoding="ascii") as file:
        words = dict(line.split() for line in file)
    return [words["thp_split_page"], words["thp_split_pmd"]]


def one_bio(fd, kind):
    """Whatever way it is asked for, an area is one bio_vec, and two areas are one bio."""
    # A file that may be truncated cannot be registered.
    for way in (Plain, Queued) if kind.startswith("/") else (Plain, Queued, Fixed):
        for start, size in ((0, HUGE), (5 * PAGE + 512, HUGE - 6 * PAGE),
                            (HUGE - 3 * PAGE - 512, HUGE)):
            see_bios(fd, kind, way, start, size)


def see_bios(fd, kind, way, start, size):
    disk = sys.argv[1]
    source, target = Buffer(kind, start), Buffer(kind, -1)
    with_ring = way(source, target)
    before = counters()
    expect_shared_tails(kind, 2 * AREAS)
    for function, buffer in ((with_ring.write, source), (with_ring.read, target)):
        what = f"{kind}, {way.__name__} {function.__name__} of {size} at {start}"
        bios = Bios(function, fd, buffer, start, size)
        must(bios.result == size, f"{what}: {bios.result}")
        must(not Bios.SPLIT.search(bios.text), f"{what}: an area was split")
        pieces = expect_whole(bios, disk, what, [(start, size)], may_wait=way is Plain,
                              own=None if way is Fixed else (start + size - 1) // HUGE + 1)
        for far in FAR:
            if far.via and function == with_ring.write:
                expect_whole(bios, far.path, what, pieces, "queued")
    must(target.view[start:start + size] == source.view[start:start + size],
         f"{what}: other data was read")
    expect_on_disk(fd, source.view[start:start + size])
    expect_shared_tails(kind, 2 * AREAS)
    must(counters() == before, f"{what}: a huge page was split")


def gigantic(fd, _):
    """Two areas of one page are one bio_vec."""
    disk, buffer = sys.argv[1], Gigantic(20)
    for start, size in ((0, HUGE), (5 * PAGE + 512, 2 * HUGE)):
        wanted = bytes(buffer.view[start:start + size])
        for function in (os.pwritev, os.preadv):
            bios = Bios(transfer, function, fd, buffer, start, size)
            must(bios.result == size, f"{function.__name__}: {bios.result}")
            told = bios.of(disk)
            expect_on_dynamic(told == [(size, 1, size, HUGE + start)], f"bios: {told}")
            expect_on_disk(fd, wanted)
            must(buffer.view[start:start + size] == wanted, "other data was read")
            buffer.view[start:start + size] = bytes(size)


def written(fd, kind):
    """The packets of a write are traced, and of nothing else."""
    source, event = Buffer(kind, 15), "/sys/kernel/tracing/events/net/net_dev_start_xmit/enable"
    with open(event, "w", encoding="ascii", buffering=1) as trace:
        trace.write("1\n")
        result = error_of(transfer, os.pwritev, fd, source, 0, HUGE)
        trace.write("0\n")
    must(result == HUGE, f"{result} bytes were written")
    expect_on_disk(fd, source.view[:HUGE])


def cut(piece, size, boundary=0):
    """Into pieces of at most that size, the first of which may end at a boundary."""
    start, end = piece[0], sum(piece)
    while start < end:
        length = min(size - start % boundary if boundary else size, end - start)
        yield start, length
        start += length


def expect_whole(bios, device, what, pieces, event="submitted", own=None, may_wait=True):
    """One bio for each piece, with one bio_vec for each area: it has that many of its own, if
    not others'. No more requests than its driver's limits make necessary, with no more
    segments. On stock, they are printed. Returns the pieces that are passed on."""
    limit = limit_of(device, "max_sectors_kb") << 10
    told = bios.of(device, event)
    wanted = [(size, own, min(size, HUGE - start % HUGE), start % HUGE) for start, size in pieces]
    if event != "submitted":
        told = [(size, None, *first) for size, _, *first in told]
    elif own is None:
        wanted = [(size, 0, *first) for size, _, *first in wanted]
    if takes_requests(device) and not may_wait:
        # Who may not wait may not split either: it is submitted again by somebody else.
        wanted += [bio for bio in wanted if bio[0] > limit]
    expect_on_dynamic(sorted(told) == sorted(wanted), f"{what}: bios of {device}: {told}")
    told = bios.requests(device)
    if not takes_requests(device):
        must(not told, f"{what}: requests of {device}: {told}")
        return pieces
    must(sum(request[0] for request in told) == sum(size for _, size in pieces),
         f"{what}: requests of {device}: {told}")
    pieces = [part for piece in pieces for part in cut(piece, limit)]
    largest = limit_of(device, "max_segment_size")
    wanted = [(piece[1], sum(len(list(cut(area, largest))) for area in cut(piece, HUGE, HUGE)))
              for piece in pieces]
    expect_on_dynamic(sorted(told) == sorted(wanted), f"{what}: requests of {device}: {told}")
    return pieces


def expect_on_dynamic(value, what):
    if not value:
        must(not os.path.isdir(DM), what)
        print(what)


def forever(fd, kind):
    """Writes and reads until it is killed, or the disk is no more; several at a time."""
    ring, buffer, rng = Ring(), Buffer(kind, 12), random.Random()
    areas = os.lseek(fd, 0, os.SEEK_END) // HUGE

    def start():
        ring.submit(rng.choice((READ, WRITE)), fd, buffer.base + rng.randrange(0, SIZE - HUGE, 512),
                    HUGE, rng.randrange(areas) * HUGE)

    for _ in range(ENTRIES):
        start()
    print("running", flush=True)
    while True:
        must(ring.wait() == HUGE, "short transfer, or an error")
        start()


def main():
    disk, kind, actions, *far = sys.argv[1:]
    FAR.extend(map(Far, far))
    fd = os.open(disk, os.O_RDWR | os.O_DIRECT)
    for action in actions.split(","):
        globals()[action](fd, kind)


if __name__ == "__main__":
    main()
