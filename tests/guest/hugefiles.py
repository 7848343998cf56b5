#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Do to huge pages of files what maps, splits, moves and frees them, and verify every byte.

usage: hugefiles.py STATE KIND [FILE]

  STATE  of areas of whole huge pages: huge, split, or none where there are no areas
  KIND   anonymous    shared memory, by its mapping
         memfd        by write()
         written      FILE of a tmpfs, by write()
         within-size  the same; what is beyond the last whole area is small
         advised      FILE of a tmpfs, by a mapping that asks for huge pages
         disk         FILE, by write(); its pages go to where it lies, those of others to
                      swap

Each action begins where the one before has ended. Where areas are counted, looks after
each how many there are more than in the beginning. Says which ACTION failed and how.
"""

import ctypes
import errno
import mmap
import os
import re
import sys
import tempfile
import time

from areas import LOOKS, Areas, maps_whole, put
from huge import (MADV_COLLAPSE, MADV_HUGEPAGE, MADV_PAGEOUT, PROT_READ, PROT_RW, ask_to_split,
                  expect_answer, vmstat)
from libc import HUGE, LIBC, call, in_child, map_areas, must, number_in
from parts import KEEP_SIZE_PUNCH_HOLE, PAGE, PAGES, pattern

AREAS = 24
SIZE = AREAS * HUGE
# What else comes and goes meanwhile.
FEW = AREAS // 2
# What small pages that go leave behind, spread over areas, and what swap makes of them.
REST = AREAS * 3 // 4
SWAPPED_IN = "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/stats/swpin"


def mapped_by_pmds(address):
    """Bytes of the mapping that begins there."""
    with open("/proc/self/smaps", encoding="ascii") as file:
        text = file.read()
    start = text.index(f"{address:x}-")
    return 1024 * sum(map(int, re.findall(r"^(?:Shmem|File)PmdMapped: +(\d+) kB",
                                          text[start:text.index("VmFlags", start)], re.M)))


class File:
    def __init__(self, state, kind, path):
        self.state, self.kind, self.path, self.view = state, kind, path, None
        # Nothing as large is allocated later: that would be areas, too.
        self.wanted, self.room = bytearray(SIZE), bytearray(HUGE)
        self.wanted_address, self.room_address = (
            ctypes.addressof(ctypes.c_char.from_buffer(memory))
            for memory in (self.wanted, self.room))
        self.new_contents(0, 1, AREAS * PAGES)
        if kind == "anonymous":
            self.view = map_areas(SIZE, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
            path = f"/proc/self/map_files/{self.view:x}-{self.view + SIZE:x}"
        self.fd = os.memfd_create("huge") if kind == "memfd" else \
            os.open(path, os.O_RDWR | os.O_CREAT)
        os.ftruncate(self.fd, SIZE)
        self.areas = Areas()

    def name(self):
        """By which others find it."""
        return self.path or f"/proc/self/fd/{self.fd}"

    def map(self):
        """All of it, anew: by PMDs if it can be."""
        self.unmap()
        self.view = map_areas(SIZE, mmap.MAP_SHARED, self.fd)
        call("madvise", self.view, SIZE, MADV_HUGEPAGE)

    def unmap(self):
        if self.view:
            call("munmap", self.view, SIZE)
        self.view = None

    def sync(self):
        """Only what is clean can be split or dropped."""
        if self.kind == "disk":
            os.fsync(self.fd)

    def new_contents(self, first, seed, nr_pages=1):
        for page in range(first, first + nr_pages):
            self.wanted[page * PAGE:(page + 1) * PAGE] = pattern(seed, page)

    def write(self, page, nr_pages=1):
        """What is wanted there."""
        part = memoryview(self.wanted)[page * PAGE:(page + nr_pages) * PAGE]
        must(os.pwrite(self.fd, part, page * PAGE) == len(part), "not all is written")

    def write_mapped(self, address, page, nr_pages=1):
        ctypes.memmove(address, self.wanted_address + page * PAGE, nr_pages * PAGE)

    def punch(self, page, nr_pages=1):
        call("fallocate", self.fd, KEEP_SIZE_PUNCH_HOLE, page * PAGE, nr_pages * PAGE)
        self.wanted[page * PAGE:(page + nr_pages) * PAGE] = bytes(nr_pages * PAGE)

    def write_all(self):
        for page in range(0, AREAS * PAGES, PAGES):
            if self.kind in ("anonymous", "advised"):
                self.write_mapped(self.view + page * PAGE, page, PAGES)
            else:
                self.write(page, PAGES)

    def verify(self):
        for start in range(0, SIZE, HUGE):
            must(os.preadv(self.fd, [self.room], start) == HUGE, "not all can be read")
            self.check(start, self.room_address, HUGE)

    def verify_view(self, view, first=0, last=SIZE):
        for start in range(first, last, HUGE):
            self.check(start, view + start - first, min(HUGE, last - start))

    def check(self, start, address, size):
        if LIBC.memcmp(ctypes.c_long(address), ctypes.c_long(self.wanted_address + start),
                       ctypes.c_long(size)):
            page = next(at for at in range(0, size, PAGE) if ctypes.string_at(
                address + at, PAGE) != self.wanted[start + at:start + at + PAGE])
            raise AssertionError(f"page {(start + page) // PAGE} does not hold what was written")

    def expect_whole(self, looks=1):
        for start in range(0, SIZE, HUGE):
            # Mapped, to be seen.
            ctypes.string_at(self.view + start, 1)
            must(maps_whole(self.view + start), f"area {start // HUGE} is not one huge page")
        if self.state == "huge":
            self.areas.expect(range(AREAS, AREAS + 1), range(-FEW, REST), looks)
        else:
            self.expect_split(looks)

    def expect_split(self, looks=1):
        self.areas.expect(range(1), range(AREAS - FEW, 2 * AREAS), looks)

    def expect_gone(self):
        """What was freed has no struct pages soon."""
        self.areas.expect(range(1), range(-AREAS, REST), LOOKS)


def fill(file):
    if not file.view:
        file.map()
    call("madvise", file.view, SIZE, MADV_HUGEPAGE)
    file.write_all()
    file.verify()
    file.expect_whole()


def beyond(file):
    """A rest that is no whole area."""
    os.ftruncate(file.fd, SIZE + HUGE // 2)
    data = pattern(1, 1)
    os.pwrite(file.fd, data * (PAGES // 2), SIZE)
    view = call("mmap", 0, PAGE, PROT_READ, mmap.MAP_SHARED, file.fd, SIZE)
    must(ctypes.string_at(view, PAGE) == data, "it does not hold what was written")
    must(not maps_whole(view), "it has a huge page")
    call("munmap", view, PAGE)
    os.ftruncate(file.fd, SIZE)


def by_pmds(file):
    file.map()
    file.verify_view(file.view)
    must(mapped_by_pmds(file.view) == SIZE, f"{mapped_by_pmds(file.view)} bytes are mapped by PMDs")
    file.expect_whole()


def by_ptes(file):
    """While it is mapped by PMDs, too."""
    # One page off, so that nothing fits a PMD.
    size = SIZE - HUGE
    view = map_areas(size, mmap.MAP_SHARED, file.fd, PAGE)
    file.verify_view(view, PAGE, PAGE + size)
    must(mapped_by_pmds(view) == 0, "it is mapped by PMDs")
    must(mapped_by_pmds(file.view) == SIZE, "it is not mapped by PMDs any more")
    file.expect_whole()
    for area in range(AREAS - 1):
        page = area * PAGES + PAGES // 2
        file.new_contents(page, 3)
        file.write_mapped(view + (page - 1) * PAGE, page)
    file.verify()

    def child():
        call("mprotect", view, size // 2, PROT_READ)
        call("munmap", view + size // 2 + PAGE, size // 4)
        file.verify_view(view, PAGE, PAGE + size // 2)
        file.verify_view(file.view)
    in_child(child)
    for area in range(AREAS - 1):
        call("munmap", view + (area * PAGES + 100) * PAGE, PAGE)
    file.verify_view(view, PAGE, PAGE + 100 * PAGE)
    for area in range(AREAS):
        call("mprotect", file.view + (area * PAGES + 7) * PAGE, PAGE, PROT_READ)
    file.verify_view(file.view)
    call("mprotect", file.view, SIZE, PROT_RW)
    call("munmap", view, size)
    file.expect_whole()


def bad_requests(path):
    """Each text for debugfs, and what is to come of it; there is nothing to split in any."""
    size = hex(AREAS * PAGES)
    for text in (path, f"{path} 0x0,{size}", f"{path},", f"{path},,", f"{path},0x0", f"{path},0x0,",
                 f"{path},0,{AREAS * PAGES}", f"{path},0x0 {size}", f"{path},-0x1,{size}",
                 f" {path},0x0,{size}", f"{path}.not,0x0,{size}", f"{path}/,0x0,{size}",
                 f"{path}/file,0x0,{size}", f"{path}{'/' * 256},0x0,{size}"):
        yield text, errno.EINVAL
    for order in "9", "10", "64", "-1", "9,0", "9,-1", "9,512", "2147483647,3", "-1,100000":
        yield f"{path},0x0,{size},{order}", 0
    end, last = AREAS * PAGES, (1 << 64) - 1
    for first, end in ((0, 0), (PAGES, 0), (1, 1), (end, end + 9), (last // PAGE, last // PAGE + 2),
                       (last - 1, last), (last, 9)):
        yield f"{path},{first:#x},{end:#x}", 0
    with tempfile.NamedTemporaryFile() as empty:
        yield f"{empty.name},0x0,{size}", 0
    for other in "/tmp", "/dev/null", "/proc/self/maps":
        yield f"{other},0x0,{size}", 0


def bad_input(file):
    """To the file that asks for splits, while they would be possible."""
    file.sync()
    for mapped in True, False:
        for text, wanted in bad_requests(file.name()):
            expect_answer(text, wanted)
        if mapped and file.kind != "anonymous":
            file.unmap()
    file.map()
    file.verify()
    file.expect_whole()


def swap(file):
    """Out, and in again."""
    out, back = vmstat("pswpout"), vmstat("pswpin")
    file.map()
    file.verify_view(file.view)
    call("madvise", file.view, SIZE, MADV_PAGEOUT)
    out = vmstat("pswpout") - out
    must(out >= AREAS * PAGES // 2, f"{out} pages went to swap")
    file.expect_gone()
    file.verify_view(file.view)
    back = vmstat("pswpin") - back
    must(back >= AREAS * PAGES // 2, f"{back} pages came from swap")
    file.verify()


def drop(file):
    """Out of the page cache, and in again."""
    file.unmap()
    file.sync()
    put("1", "/proc/sys/vm/drop_caches")
    file.expect_gone()
    file.map()
    file.verify_view(file.view)


def swap_whole(file):
    """As huge pages, which no other kind of memory comes back as."""
    whole = number_in(SWAPPED_IN)
    swap(file)
    whole = number_in(SWAPPED_IN) - whole
    must(whole >= AREAS // 2, f"{whole} huge pages came from swap as a whole")
    file.expect_whole()


def drop_whole(file):
    drop(file)
    file.expect_whole()


def holes(file):
    """In the second half of some, and in the first half of others."""
    file.sync()
    split = vmstat("thp_split_page")
    for area in range(AREAS):
        file.punch(area * PAGES + (PAGES // 2 if area % 2 else PAGES // 2 - 1))
    split = vmstat("thp_split_page") - split
    must(split >= AREAS, f"{split} huge pages were split")
    file.verify()
    file.verify_view(file.view)
    file.expect_split()


def truncate(file):
    """By two huge pages and a half; what comes after it again is a hole."""
    size = SIZE - 2 * HUGE - HUGE // 2 + 3 * PAGE + 100
    os.ftruncate(file.fd, size)
    must(os.pread(file.fd, PAGE, size) == b"", "there is something beyond its end")
    file.wanted[size:] = bytes(SIZE - size)
    os.ftruncate(file.fd, SIZE)
    file.verify()


def refill(file):
    """As huge pages, in place of what was there."""
    file.punch(0, AREAS * PAGES)
    file.verify()
    # What was read of holes may have pages, small ones.
    file.punch(0, AREAS * PAGES)
    file.expect_gone()
    file.new_contents(0, 4, AREAS * PAGES)
    file.map()
    fill(file)


def collapse(file):
    holes(file)
    for page in range(PAGES // 2 - 1, AREAS * PAGES, PAGES):
        file.new_contents(page, 5, 2)
        file.write(page, 2)
    file.sync()
    for start in range(0, SIZE, HUGE):
        # Who looks at a page just now is no reason to give up.
        for tries in range(100, 0, -1):
            try:
                call("madvise", file.view + start, HUGE, MADV_COLLAPSE)
                break
            except BlockingIOError:
                must(tries > 1, f"area {start // HUGE} does not collapse")
    file.verify()
    # Where the small pages were is free.
    file.expect_whole(LOOKS)


def split(file):
    """To large pieces, and one half to small pages."""
    file.sync()
    before = vmstat("thp_split_page")
    for order, nr_pages in ((8, AREAS * PAGES), (2, AREAS * PAGES // 2), (0, AREAS * PAGES // 4)):
        ask_to_split(f"{file.name()},0x0,{nr_pages:#x},{order}")
        file.verify()
        file.verify_view(file.view)
    before = vmstat("thp_split_page") - before
    must(before >= AREAS, f"{before} huge pages were split")
    file.expect_split()


def delete(file):
    file.unmap()
    if file.path:
        os.unlink(file.path)
    os.close(file.fd)
    file.expect_gone()


def actions(kind):
    whole, pieces = (drop_whole, drop) if kind == "disk" else (swap_whole, swap)
    more = [beyond] if kind == "within-size" else []
    return [fill, *more, by_pmds, by_ptes, bad_input, whole, holes, pieces, truncate, pieces,
            refill, collapse, split, pieces, delete]


def main():
    state, kind, path = [*sys.argv[1:], None][:3]
    file = File(state, kind, path)
    for action in actions(kind):
        start = time.monotonic()
        try:
            action(file)
        except (AssertionError, OSError) as error:
            sys.exit(f"{action.__name__}: {error}")
        print(f"{action.__name__}: {time.monotonic() - start:.1f}", flush=True)


if __name__ == "__main__":
    main()
