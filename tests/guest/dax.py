#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Do with a mapped file what needs struct pages, and verify every byte.

usage: dax.py FILE DEVICE ACTION...

FILE is on a file system mounted with -o dax, or is a device of memory itself; DEVICE
is a block device. Both are overwritten. Says which ACTION failed and how.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import re
import select
import signal
import socket
import stat
import struct
import sys
import threading
import time

from libc import LIBC, must
from uring import Ring

MIB = 1 << 20
SIZE = 8 * MIB
PAGE = mmap.PAGESIZE
FUTEX = 202
FUTEX_WAIT, FUTEX_WAKE = 0, 1
FICLONE = 0x40049409
MADV_HWPOISON = 100


def call(function, *args):
    result = function(*args)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def pattern(seed):
    """Different for every page and every seed."""
    return b"".join(struct.pack("<QQ", seed, page) * (PAGE // 16)
                    for page in range(SIZE // PAGE))


def is_device(path):
    return stat.S_ISCHR(os.stat(path).st_mode)


def open_with(path, size):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    if not is_device(path):
        os.posix_fallocate(fd, 0, size)
    return fd


def map_file(path, seed):
    fd = open_with(path, SIZE)
    memory = mmap.mmap(fd, SIZE)
    os.close(fd)
    memory[:] = pattern(seed)
    return memory


def address_of(memory, offset=0):
    return ctypes.addressof(ctypes.c_char.from_buffer(memory, offset))


class IOVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def direct_write(path, device):
    memory = map_file(path, 1)
    fd = os.open(device, os.O_RDWR | os.O_DIRECT)
    must(os.pwrite(fd, memory, 0) == SIZE, "short write")
    back = mmap.mmap(-1, SIZE)
    must(os.preadv(fd, [back], 0) == SIZE, "short read")
    must(back[:] == pattern(1), "other contents")


def direct_read(path, device):
    memory = map_file(path, 2)
    fd = os.open(device, os.O_RDWR | os.O_DIRECT)
    source = mmap.mmap(-1, SIZE)
    source[:] = pattern(3)
    must(os.pwrite(fd, source, 0) == SIZE, "short write")
    must(os.preadv(fd, [memory], 0) == SIZE, "short read")
    must(memory[:] == pattern(3), "other contents")


def fork_cow(path, _):
    map_file(path, 4)
    fd = os.open(path, os.O_RDWR)
    private = mmap.mmap(fd, SIZE, mmap.MAP_PRIVATE)
    must(private[:] == pattern(4), "other contents before")
    private[PAGE:2 * PAGE] = b"p" * PAGE
    child = os.fork()
    if not child:
        private[0:PAGE] = b"c" * PAGE
        os._exit(private[PAGE:2 * PAGE] != b"p" * PAGE or private[0:PAGE] != b"c" * PAGE)
    must(os.waitpid(child, 0)[1] == 0, "the child reads something else")
    must(private[0:PAGE] == pattern(4)[0:PAGE], "the child wrote to the parent's page")
    with open(path, "rb") as file:
        must(file.read() == pattern(4), "the file was written")


def process_vm(path, _):
    memory = map_file(path, 5)
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        os.write(ready[1], b"r")
        os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    back = ctypes.create_string_buffer(SIZE)
    here, there = IOVec(ctypes.addressof(back), SIZE), IOVec(address_of(memory), SIZE)
    for function, wanted in ((LIBC.process_vm_readv, 5), (LIBC.process_vm_writev, 6)):
        if wanted == 6:
            ctypes.memmove(back, pattern(6), SIZE)
        got = call(function, child, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
        must(got == SIZE, "short transfer")
        must(back.raw == pattern(wanted) and memory[:] == pattern(wanted), "other contents")
    with open(f"/proc/{child}/mem", "rb") as file:
        file.seek(there.base)
        must(file.read(SIZE) == pattern(6), "other contents in /proc/PID/mem")
    os.write(go[1], b"g")
    os.waitpid(child, 0)


def futex(path, _):
    memory = map_file(path, 7)
    memory[0:4] = b"\0" * 4
    word = ctypes.c_void_p(address_of(memory))
    woken = []

    def wait():
        while memory[0] == 0:
            LIBC.syscall(FUTEX, word, FUTEX_WAIT, 0, None, None, 0)
        woken.append(True)

    waiter = threading.Thread(target=wait)
    waiter.start()
    child = os.fork()
    if not child:
        memory[0] = 1
        os._exit(LIBC.syscall(FUTEX, word, FUTEX_WAKE, 1, None, None, 0) < 0)
    must(os.waitpid(child, 0)[1] == 0, "the child cannot wake")
    waiter.join(30)
    must(woken, "nobody was woken")


def splices(path, device):
    memory = map_file(path, 8)
    reader, writer = os.pipe()
    chunk = IOVec(address_of(memory), 16 * PAGE)
    must(call(LIBC.vmsplice, writer, ctypes.byref(chunk), 1, 0) == 16 * PAGE, "short vmsplice")
    must(os.read(reader, 16 * PAGE) == pattern(8)[:16 * PAGE], "vmsplice: other contents")

    file, disk = os.open(path, os.O_RDONLY), os.open(device, os.O_RDWR)
    for offset in range(0, SIZE, 16 * PAGE):
        must(os.splice(file, writer, 16 * PAGE, offset_src=offset) == 16 * PAGE, "short splice")
        must(os.splice(reader, disk, 16 * PAGE, offset_dst=offset) == 16 * PAGE, "short splice")
    must(os.pread(disk, SIZE, 0) == pattern(8), "splice: other contents")

    near, far = socket.socketpair()
    received = bytearray()

    def receive():
        while len(received) < SIZE:
            received.extend(far.recv(MIB))

    receiver = threading.Thread(target=receive)
    receiver.start()
    sent = 0
    while sent < SIZE:
        sent += os.sendfile(near.fileno(), file, sent, SIZE - sent)
    receiver.join(60)
    must(received == pattern(8), "sendfile: other contents")


def pin(memory, offset, writer):
    """Into a pipe, without copying: a reference to the page."""
    page = IOVec(address_of(memory, offset), PAGE)
    must(call(LIBC.vmsplice, writer, ctypes.byref(page), 1, 0) == PAGE, "short vmsplice")


def pinned(path, _):
    """The end of a file waits for those who hold its pages."""
    reader, writer = os.pipe()
    pin(map_file(path, 14), PAGE, writer)
    fd = os.open(path, os.O_RDWR)
    cut = threading.Thread(target=os.ftruncate, args=(fd, 0))
    cut.start()
    cut.join(2)
    must(cut.is_alive(), "truncation did not wait for a pinned page")
    must(os.read(reader, PAGE) == pattern(14)[PAGE:2 * PAGE], "other contents of the pinned page")
    cut.join(60)
    must(not cut.is_alive(), "truncation still waits")


def unlinked(path, _):
    """What is pinned of a file that is gone is not given to another."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        pin(map_file(path, 15), 3 * PAGE, writer)
        os.unlink(path)
        os._exit(0)
    while os.path.exists(path) or not select.select([reader], [], [], 0)[0]:
        time.sleep(0.1)
    map_file(path, 16)
    must(os.read(reader, PAGE) == pattern(15)[3 * PAGE:4 * PAGE], "other contents of a lost file")
    os.waitpid(child, 0)


def longterm(path, _):
    """For ever: a device allows it, and a file that could change does not."""
    memory = map_file(path, 17)
    wanted = 0 if is_device(path) else errno.EOPNOTSUPP
    try:
        got = Ring().register((address_of(memory), SIZE)) or 0
    except OSError as error:
        got = error.errno
    must(got == wanted, f"io_uring registers a buffer: error {got}, and not {wanted}")


def queries(path, _):
    memory = map_file(path, 9)
    start = ctypes.c_void_p(address_of(memory))
    here = (ctypes.c_ubyte * (SIZE // PAGE))()
    call(LIBC.mincore, start, SIZE, here)
    must(all(page & 1 for page in here), "mincore: not all is in memory")
    call(LIBC.mlock, start, SIZE)
    call(LIBC.munlock, start, SIZE)
    with open("/proc/self/smaps", encoding="ascii") as file:
        of_file = file.read().partition(path)[2]
    must(re.search(rf"Rss: +{SIZE >> 10} kB", of_file), "smaps: not all is resident")
    with open("/proc/self/numa_maps", encoding="ascii") as file:
        must(path in file.read(), "numa_maps: the mapping is missing")
    with open("/proc/self/pagemap", "rb") as file:
        file.seek(start.value // PAGE * 8)
        entries = struct.unpack(f"<{SIZE // PAGE}Q", file.read(SIZE // PAGE * 8))
    must(all(entry >> 63 for entry in entries), "pagemap: not all is present")


def sync(path, _):
    fd = open_with(path, SIZE)
    memory = mmap.mmap(fd, SIZE, flags=0x80003)
    memory[:] = pattern(10)
    memory.flush()
    must(os.pread(fd, SIZE, 0) == pattern(10), "other contents")


def holes(path, _):
    memory = map_file(path, 11)
    fd = os.open(path, os.O_RDWR)
    expected = bytearray(pattern(11))
    for start, size in ((3 * PAGE, PAGE), (3 * MIB, PAGE * 5), (6 * MIB, 2 * MIB)):
        # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
        call(LIBC.fallocate, fd, 3, ctypes.c_long(start), ctypes.c_long(size))
        expected[start:start + size] = bytes(size)
    must(memory[:] == expected, "other contents after holes were punched")
    memory[3 * PAGE:4 * PAGE] = expected[3 * PAGE:4 * PAGE] = b"h" * PAGE
    must(memory[:] == expected, "other contents after a hole was filled")
    os.ftruncate(fd, 5 * MIB)
    must(memory[:5 * MIB] == expected[:5 * MIB], "other contents after the end was cut off")


def reflink(path, _):
    memory = map_file(path, 12)
    one, other = os.open(path, os.O_RDWR), os.open(path + ".other", os.O_RDWR | os.O_CREAT)
    fcntl.ioctl(other, FICLONE, one)
    copy = mmap.mmap(other, SIZE)
    must(copy[:] == pattern(12), "other contents of the copy")
    memory[5 * PAGE:6 * PAGE] = b"m" * PAGE
    copy[9 * PAGE:10 * PAGE] = b"c" * PAGE
    for which, written, filler in ((memory, 5, b"m"), (copy, 9, b"c")):
        expected = bytearray(pattern(12))
        expected[written * PAGE:(written + 1) * PAGE] = filler * PAGE
        must(which[:] == expected, "other contents after a write")
    os.unlink(path + ".other")


def figure(name):
    with open(f"/sys/kernel/mm/dynamic_memmap/{name}", encoding="ascii") as file:
        return int(file.read())


def memmap_in_use():
    """Bytes, without what is kept ready."""
    return figure("memmap_bytes") - figure("stock_free_frames") * PAGE


def single(path, _):
    areas = 256
    fd = open_with(path, areas * 2 * MIB)
    memory = mmap.mmap(fd, areas * 2 * MIB)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    before = memmap_in_use()
    for area in range(areas):
        memory[area * 2 * MIB] = area
    each = (memmap_in_use() - before) / areas
    print(f"{each:.0f} bytes each")
    must(each < 5 << 10, f"{each:.0f} bytes of memmap for one page in 2 MiB")
    must(all(memory[area * 2 * MIB] == area for area in range(areas)), "other contents")


class HugeMapping:
    """Where the file system has laid the file out in whole areas, or of a device."""

    AREAS, AREA = 64, 2 * MIB
    SIZE = AREAS * AREA

    def __init__(self, path):
        self.fd = open_with(path, self.SIZE)
        self.memory = mmap.mmap(self.fd, self.SIZE)

    def touch(self):
        before, huge_before = memmap_in_use(), figure("areas_huge")
        for area in range(self.AREAS):
            self.memory[area * self.AREA] = area
        each = (memmap_in_use() - before) / self.AREAS
        number = figure("areas_huge") - huge_before
        print(f"{each:.0f} bytes each, {number} are huge")
        must(number >= self.AREAS, "not all areas are huge")
        must(each <= 4.2 * 1024, f"{each:.0f} bytes of memmap for 2 MiB mapped as a whole")

    def fill(self, pages=range(0, SIZE, PAGE)):
        for page in pages:
            self.memory[page + 8:page + 16] = struct.pack("<Q", page)

    def check(self, skip=()):
        for page in set(range(0, self.SIZE, PAGE)) - set(skip):
            must(self.memory[page + 8:page + 16] == struct.pack("<Q", page),
                 f"other contents at {page:#x}")


def device_huge(path, _):
    mapping = HugeMapping(path)
    mapping.touch()
    mapping.fill()
    mapping.check()


def direct_huge(path, device):
    """What an entry maps as a whole goes to the disk and comes back, from within it too."""
    mapping = HugeMapping(path)
    mapping.memory[:] = os.urandom(mapping.AREA) * mapping.AREAS
    whole, view = bytes(mapping.memory[:mapping.AREA]), memoryview(mapping.memory)
    fd = os.open(device, os.O_RDWR | os.O_DIRECT)
    for area, start, size in ((0, 0, mapping.AREA), (2, 3 * PAGE + 512, MIB)):
        part = view[area * mapping.AREA + start:][:size]
        must(os.pwritev(fd, [part], 0) == size, "short write")
        back = mmap.mmap(-1, size)
        must(os.preadv(fd, [back], 0) == size, "short read")
        must(back[:] == whole[start:start + size], "the disk has other data")
        part[:] = bytes(size)
        must(os.preadv(fd, [part], 0) == size, "short read")
        must(part == back[:], "other data was read")
    part.release()
    view.release()
    must(mapping.memory[:] == whole * mapping.AREAS, "what is around has changed")


def gigantic(path, _):
    memory = mmap.mmap(os.open(path, os.O_RDWR), 1 << 30)
    for start in range(0, 1 << 30, MIB):
        memory[start:start + 8] = struct.pack("<Q", start)
    must(all(memory[start:start + 8] == struct.pack("<Q", start)
             for start in range(0, 1 << 30, MIB)), "other contents")


def huge(path, _):
    mapping = HugeMapping(path)
    memory, start = mapping.memory, address_of(mapping.memory)
    mapping.touch()
    mapping.fill()
    # Pages of an entry that maps a whole area, one by one: every other area.
    for area in range(0, mapping.SIZE, 2 * mapping.AREA):
        for protection in (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE):
            call(LIBC.mprotect, ctypes.c_void_p(start + area + MIB), PAGE, protection)
    mapping.check()
    mapping.fill()
    mapping.check()
    # Such an entry goes, and others come where it was.
    punched = range(MIB, mapping.SIZE, 4 * mapping.AREA)
    for page in punched:
        call(LIBC.fallocate, mapping.fd, 3, ctypes.c_long(page), ctypes.c_long(PAGE))
    mapping.check(skip=punched)
    must(all(memory[page:page + PAGE] == bytes(PAGE) for page in punched), "no hole")
    mapping.fill(punched)
    mapping.check()


def poison(path, _):
    memory = map_file(path, 13)
    bad = ctypes.c_void_p(address_of(memory, 7 * PAGE))
    child = os.fork()
    if not child:
        call(LIBC.madvise, bad, PAGE, MADV_HWPOISON)
        os._exit(memory[7 * PAGE])
    status = os.waitpid(child, 0)[1]
    must(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS,
         f"no SIGBUS, but wait status {status:#x}")
    must(memory[:7 * PAGE] == pattern(13)[:7 * PAGE], "other contents before the bad page")


ACTIONS = {
    "direct-write": direct_write, "direct-read": direct_read, "fork": fork_cow,
    "process-vm": process_vm, "futex": futex, "splice": splices, "query": queries,
    "sync": sync, "holes": holes, "pinned": pinned, "unlinked": unlinked,
    "longterm": longterm,
    # Not for every file system or machine.
    "reflink": reflink, "poison": poison, "single": single, "huge": huge,
    "device-huge": device_huge, "gigantic": gigantic, "direct-huge": direct_huge,
}


def main():
    if len(sys.argv) < 4 or not ACTIONS.keys() >= set(sys.argv[3:]):
        sys.exit(f"{__doc__.strip()}\n\nactions: {' '.join(ACTIONS)}")
    failed = 0
    for name in sys.argv[3:]:
        try:
            ACTIONS[name](sys.argv[1], sys.argv[2])
        except (AssertionError, OSError) as error:
            print(f"{name}: {error}")
            failed = 1
        if not is_device(sys.argv[1]):
            os.unlink(sys.argv[1])
    return failed


if __name__ == "__main__":
    sys.exit(main())
