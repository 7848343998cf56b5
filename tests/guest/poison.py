#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Have one small page of huge memory fail, and verify what is left.

usage: poison.py CASE...

  thp              of a process, through debugfs; then who reads it is told
  thp-killed       MADV_HWPOISON: who has it is told at once
  thp-pinned       of a huge page that cannot be split, because it is pinned
  thp-offline      MADV_SOFT_OFFLINE: nothing is lost
  shmem            of a file below /mnt/huge
  hugetlb          of a page of hugetlb in use: all of that is lost
  hugetlb-killed   MADV_HWPOISON
  hugetlb-free     of one that nobody uses
  hugetlb-kept     of one that is shared: it stays what it is
  hugetlb-offline  MADV_SOFT_OFFLINE: nothing is lost
  gigantic         of a page of 1 GiB: all of that is lost
  gigantic-offline MADV_SOFT_OFFLINE, which there is no other page for

Each leaves one page bad, if any, and its page frame number in /tmp/poison.CASE. What
is asked for is what a stock kernel does. Says which CASE failed and how.
"""

import contextlib
import ctypes
import errno
import mmap
import os
import signal
import sys

from huge import AREAS, PAGE, PAGES, Memory, page_content
from kpage import entries
from libc import HUGE, call, figure, must, run_each, start

GIGANTIC = 1 << 30
MAP_HUGETLB, MAP_HUGE_2MB, MAP_HUGE_1GB = 0x40000, 21 << 26, 30 << 26
MADV_HWPOISON, MADV_SOFT_OFFLINE = 100, 101
EHWPOISON = 133
KPF_HEAD, KPF_TAIL, KPF_HUGE, KPF_HWPOISON, KPF_THP = (1 << bit for bit in (15, 16, 17, 19, 22))
# While nobody can have got the pages around it.
KPF_SPLIT = KPF_HEAD | KPF_TAIL | KPF_THP
# In the second area, and in a vmemmap page that tails of huge folios share.
BAD = PAGES + 64 + 5
INJECT = "/sys/kernel/debug/hwpoison/corrupt-pfn"


def count_areas(state):
    """In that state, or None on a kernel that has no areas."""
    try:
        return figure(f"areas_{state}")
    except FileNotFoundError:
        return None


def expect_areas(state, least, most, what):
    found = count_areas(state)
    if found is not None:
        must(least <= found <= most, f"{what}: {found} areas are {state}, "
             f"not {least} to {most}")


class Mapped(Memory):
    """Of any kind that mmap() makes; of each area only some pages are looked at."""

    def __init__(self, size, flags, fd=-1):
        self.size = size
        self.base = call("mmap", 0, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, fd, 0)
        self.seeds = [None] * (size // PAGE)

    def fill(self, seed):
        for area in range(0, len(self.seeds), PAGES):
            for page in (0, 1, BAD - PAGES - 1, BAD - PAGES, PAGES - 1):
                self.write(area + page, seed)

    def forget(self, first, number):
        self.seeds[first:first + number] = [None] * number


def hugetlb(pages, kind=mmap.MAP_PRIVATE):
    return Mapped(pages * HUGE, kind | mmap.MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB)


def frame_at(address):
    with open("/proc/self/pagemap", "rb", buffering=0) as file:
        entry = int.from_bytes(os.pread(file.fileno(), 8, address // PAGE * 8), sys.byteorder)
    must(entry >> 63, f"nothing is mapped at {address:#x}")
    return entry & (1 << 55) - 1


def flags_around(pfn):
    return entries("kpageflags", pfn // PAGES * PAGES, PAGES)


def bad_pages():
    with open("/proc/meminfo", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("HardwareCorrupted:"))
    return int(line.split()[1]) * 1024 // PAGE


def number_of(size_kib, wanted=None):
    """How many pages of hugetlb there are, after there were to be as many as wanted."""
    path = f"/sys/kernel/mm/hugepages/hugepages-{size_kib}kB/nr_hugepages"
    if wanted is not None:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(wanted))
    with open(path, encoding="ascii") as file:
        return int(file.read())


def expect_number(size_kib, wanted):
    found = number_of(size_kib)
    must(found == wanted, f"there are {found} pages of hugetlb, and not {wanted}")


def fail(pfn, wanted=0):
    try:
        with open(INJECT, "w", encoding="ascii") as file:
            file.write(str(pfn))
        result = 0
    except OSError as error:
        result = error.errno
    must(result == wanted, f"{pfn:#x} fails: {errno.errorcode.get(result, result)}, "
         f"not {errno.errorcode.get(wanted, wanted)}")


def expect_errno(wanted, name, *args):
    try:
        call(name, *args)
    except OSError as error:
        must(error.errno == wanted, f"{error}: not {os.strerror(wanted)}")
    else:
        raise AssertionError(f"{name} succeeds, and should not: {os.strerror(wanted)}")


def killed_by_sigbus(function):
    status = os.waitpid(start(function), 0)[1]
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS


def expect_lost(memory, page):
    """Who reads it is told, himself or by the system call that does it for him."""
    must(killed_by_sigbus(lambda: ctypes.string_at(memory.address(page), 1)),
         f"page {page} can be read")
    ends = os.pipe()
    expect_errno(errno.EFAULT, "write", ends[1], memory.address(page), PAGE)
    for end in ends:
        os.close(end)


def expect_bad(pfn, not_in=KPF_HUGE):
    """Of all its area, it is the only bad page, and none is in such a folio."""
    flags = flags_around(pfn)
    bad = [index for index, flag in enumerate(flags) if flag & KPF_HWPOISON]
    must(bad == [pfn % PAGES], f"pages {bad} of its area are bad, not {pfn % PAGES}")
    must(not any(flag & not_in for flag in flags), "its folio has not been split")


def expect_whole(pfn, kind):
    must(all(flag & kind == kind for flag in flags_around(pfn)),
         f"the area of {pfn:#x} is not one that has the flags {kind:#x}")


def fill_huge():
    before = count_areas("huge") or 0
    memory = Memory()
    memory.fill(1)
    expect_areas("huge", AREAS, before + AREAS, "filled")
    expect_whole(frame_at(memory.address(BAD)), KPF_THP)
    return memory


def thp(note):
    memory = fill_huge()
    pfn, huge = note(frame_at(memory.address(BAD))), count_areas("huge")
    fail(pfn)
    expect_bad(pfn, not_in=KPF_SPLIT)
    if huge is not None:
        expect_areas("huge", AREAS - 1, huge - 1, "one is split")
    expect_whole(frame_at(memory.address(0)), KPF_THP)
    memory.seeds[BAD] = None
    memory.verify()
    for page in (BAD - 1, BAD + 1, PAGES, 2 * PAGES - 1, 0):
        memory.write(page, 2)
    memory.verify()
    expect_lost(memory, BAD)
    fail(pfn, EHWPOISON)
    memory.free()
    expect_bad(pfn)


def thp_killed(note):
    def child():
        memory = fill_huge()
        note(frame_at(memory.address(BAD)))
        call("madvise", memory.address(BAD), PAGE, MADV_HWPOISON)
    must(killed_by_sigbus(child), "who has the page is not told")
    expect_bad(note())


def thp_pinned(note):
    memory = fill_huge()
    pfn, huge = note(frame_at(memory.address(BAD))), count_areas("huge")
    ends = os.pipe()
    vector = (ctypes.c_ulong * 2)(memory.address(BAD + 9), PAGE)
    must(call("vmsplice", ends[1], ctypes.addressof(vector), 1, 0) == PAGE, "nothing is pinned")
    fail(pfn, EHWPOISON)
    # Nobody has been told, and nothing taken away.
    memory.verify()
    expect_whole(pfn, KPF_THP)
    must(flags_around(pfn)[pfn % PAGES] & KPF_HWPOISON, "it is not marked")
    if huge is not None:
        expect_areas("huge", AREAS - 1, huge - 1, "one has all its struct pages")
    must(os.read(ends[0], PAGE) == page_content(1, BAD + 9), "the pin is of another page")
    for end in ends:
        os.close(end)
    memory.verify()
    memory.free()
    expect_bad(pfn)


def thp_offline(note):
    memory = fill_huge()
    pfn = note(frame_at(memory.address(BAD)))
    call("madvise", memory.address(BAD), PAGE, MADV_SOFT_OFFLINE)
    must(frame_at(memory.address(BAD)) != pfn, "the page is still mapped")
    expect_bad(pfn, not_in=KPF_SPLIT)
    memory.verify()
    expect_whole(frame_at(memory.address(0)), KPF_THP)
    memory.write(BAD, 2)
    memory.verify()
    memory.free()
    expect_bad(pfn)


def shmem(note):
    fd = os.open("/mnt/huge/poison", os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 2 * HUGE)
    memory = Mapped(2 * HUGE, mmap.MAP_SHARED, fd)
    memory.fill(1)
    pfn = note(frame_at(memory.address(BAD)))
    expect_whole(pfn, KPF_THP)
    fail(pfn)
    expect_bad(pfn, not_in=KPF_SPLIT)
    memory.seeds[BAD] = None
    memory.verify()
    expect_lost(memory, BAD)
    expect_errno(errno.EIO, "pread", fd, memory.address(0), PAGE, BAD * PAGE)
    must(os.pread(fd, PAGE, (BAD - 1) * PAGE) == page_content(1, BAD - 1), "its neighbour is lost")
    memory.free()
    os.close(fd)
    os.unlink("/mnt/huge/poison")
    expect_bad(pfn)


def hugetlb_in_use(note):
    number_of(2048, 4)
    memory = hugetlb(2)
    memory.fill(1)
    pfn = note(frame_at(memory.address(BAD)))
    expect_whole(pfn, KPF_HUGE)
    fail(pfn)
    expect_number(2048, 3)
    expect_bad(pfn)
    memory.forget(PAGES, PAGES)
    memory.verify()
    expect_lost(memory, PAGES)
    expect_lost(memory, BAD)
    fail(pfn, EHWPOISON)
    memory.free()
    number_of(2048, 0)
    expect_bad(pfn)


def hugetlb_killed(note):
    def child():
        memory = hugetlb(2)
        memory.fill(1)
        note(frame_at(memory.address(BAD)))
        call("madvise", memory.address(BAD), PAGE, MADV_HWPOISON)
    number_of(2048, 4)
    must(killed_by_sigbus(child), "who has the page is not told")
    expect_number(2048, 3)
    expect_bad(note())
    number_of(2048, 0)


def hugetlb_free(note):
    number_of(2048, 4)
    memory = hugetlb(2)
    memory.fill(1)
    pfn = note(frame_at(memory.address(BAD)))
    memory.free()
    expect_whole(pfn, KPF_HUGE)
    fail(pfn)
    expect_number(2048, 3)
    expect_bad(pfn)
    number_of(2048, 0)


def hugetlb_kept(note):
    number_of(2048, 3)
    memory = hugetlb(2, mmap.MAP_SHARED)
    memory.fill(1)
    pfn = frame_at(memory.address(BAD))
    # Its head has the mark as long as it is a page of hugetlb.
    note(pfn // PAGES * PAGES)
    fail(pfn)
    expect_number(2048, 3)
    expect_whole(pfn, KPF_HUGE | KPF_HWPOISON)
    memory.forget(PAGES, PAGES)
    memory.verify()
    expect_lost(memory, BAD)
    expect_lost(memory, PAGES)
    fail(pfn, EHWPOISON)
    memory.free()
    number_of(2048, 0)
    expect_whole(pfn, KPF_HUGE | KPF_HWPOISON)


def hugetlb_offline(note):
    number_of(2048, 4)
    memory = hugetlb(2)
    memory.fill(1)
    pfn = note(frame_at(memory.address(BAD)))
    call("madvise", memory.address(BAD), PAGE, MADV_SOFT_OFFLINE)
    must(frame_at(memory.address(BAD)) != pfn, "the page is still mapped")
    expect_whole(frame_at(memory.address(BAD)), KPF_HUGE)
    expect_number(2048, 3)
    expect_bad(pfn)
    memory.verify()
    memory.free()
    number_of(2048, 0)


def gigantic():
    must(number_of(1048576, 1) == 1, "there is no page of 1 GiB")
    memory = Mapped(GIGANTIC, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_1GB)
    memory.fill(1)
    return memory


def gigantic_in_use(note):
    memory = gigantic()
    bad = 300 * PAGES + BAD
    pfn = note(frame_at(memory.address(bad)))
    expect_whole(pfn, KPF_HUGE)
    fail(pfn)
    expect_number(1048576, 0)
    expect_bad(pfn)
    expect_lost(memory, bad)
    expect_lost(memory, 0)
    fail(pfn, EHWPOISON)
    memory.free()
    expect_bad(pfn)


def gigantic_offline(_):
    memory = gigantic()
    pfn = frame_at(memory.address(BAD))
    expect_errno(errno.ENOMEM, "madvise", memory.address(BAD), PAGE, MADV_SOFT_OFFLINE)
    must(frame_at(memory.address(BAD)) == pfn, "another page is mapped")
    must(not any(flag & KPF_HWPOISON for flag in flags_around(pfn)), "it is marked")
    memory.verify()
    memory.write(BAD, 2)
    memory.free()
    number_of(1048576, 0)


CASES = {
    "thp": thp, "thp-killed": thp_killed, "thp-pinned": thp_pinned, "thp-offline": thp_offline,
    "shmem": shmem, "hugetlb": hugetlb_in_use, "hugetlb-killed": hugetlb_killed,
    "hugetlb-free": hugetlb_free, "hugetlb-kept": hugetlb_kept,
    "hugetlb-offline": hugetlb_offline, "gigantic": gigantic_in_use,
    "gigantic-offline": gigantic_offline,
}


def run_case(name):
    def note(pfn=None):
        """Remember the page frame number; a child may be the one who knows it."""
        if pfn is not None:
            with open(path, "w", encoding="ascii") as file:
                file.write(f"{pfn}\n")
        with open(path, encoding="ascii") as file:
            return int(file.read())

    path = f"/tmp/poison.{name}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    before = bad_pages()
    CASES[name](note)
    counted = bad_pages() - before
    must(counted == os.path.exists(path), f"{counted} pages more are counted as bad")


def main():
    names = sys.argv[1:]
    if not names or not CASES.keys() >= set(names):
        sys.exit(__doc__.strip())
    return run_each(run_case, names)


if __name__ == "__main__":
    sys.exit(main())
