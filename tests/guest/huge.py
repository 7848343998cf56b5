#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Do to huge pages what splits them, and verify every byte.

usage: huge.py ACTION...
       huge.py churn|races SECONDS SEED

Where areas are counted, each ACTION also checks that its huge pages had few struct
pages before, and all of them afterwards if it splits them. churn does one thing
after another to the same pages, at random; its processes may be killed at any time.
races does it from several threads and their children at once: each huge page belongs to
all of them, and each small page of it to one.
Says which ACTION failed and how.
"""

import ctypes
import os
import random
import signal
import struct
import sys
import threading
import time

from libc import HUGE, MAP_FIXED, call, in_child, must, start

PAGE = 4096
PAGES = HUGE // PAGE
AREAS = 6
PROT_RW, PROT_READ = 3, 1
MAP_PRIVATE_ANONYMOUS = 0x22
MREMAP_TO = 3
MADV_DONTNEED, MADV_FREE, MADV_MERGEABLE, MADV_HUGEPAGE = 4, 8, 12, 14
MADV_PAGEOUT, MADV_COLLAPSE = 21, 25
SYSFS = "/sys/kernel/mm/dynamic_memmap"


def count_areas(state):
    """Areas in a state, or None on a kernel that has no areas."""
    try:
        with open(f"{SYSFS}/areas_{state}", encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return None


def page_pattern(seed, page):
    return struct.pack("<QQ", seed, page) * (PAGE // 16)


class Memory:
    """Huge pages, and what has to be in each of their small ones; None: anything."""

    def __init__(self, areas=AREAS):
        self.size = areas * HUGE
        room = call("mmap", 0, self.size + HUGE, 0, MAP_PRIVATE_ANONYMOUS, -1, 0)
        self.base = (room + HUGE - 1) // HUGE * HUGE
        call("mmap", self.base, self.size, PROT_RW, MAP_PRIVATE_ANONYMOUS | MAP_FIXED, -1, 0)
        call("madvise", self.base, self.size, MADV_HUGEPAGE)
        self.seeds = [0] * (self.size // PAGE)

    def address(self, page):
        return self.base + page * PAGE

    def write(self, page, seed):
        ctypes.memmove(self.address(page), page_pattern(seed, page), PAGE)
        self.seeds[page] = seed

    def fill(self, seed):
        for page in range(self.size // PAGE):
            self.write(page, seed)

    def verify(self, pages=None):
        for page in range(len(self.seeds)) if pages is None else pages:
            seed = self.seeds[page]
            if seed is None:
                continue
            wanted = page_pattern(seed, page) if seed else bytes(PAGE)
            must(ctypes.string_at(self.address(page), PAGE) == wanted,
                 f"page {page} does not hold what was written")

    def each_middle(self):
        """A page in the middle of each huge one."""
        return range(PAGES // 2, self.size // PAGE, PAGES)

    def free(self):
        call("munmap", self.base, self.size)


def protect(memory):
    for page in memory.each_middle():
        call("mprotect", memory.address(page), PAGE, PROT_READ)
    memory.verify()
    call("mprotect", memory.base, memory.size, PROT_RW)


def unmap(memory):
    for page in memory.each_middle():
        call("munmap", memory.address(page), PAGE)
        call("mmap", memory.address(page), PAGE, PROT_RW,
             MAP_PRIVATE_ANONYMOUS | MAP_FIXED, -1, 0)
        memory.seeds[page] = 0


def discard(memory):
    for page in memory.each_middle():
        call("madvise", memory.address(page), PAGE, MADV_DONTNEED)
        memory.seeds[page] = 0


def lazy_free(memory):
    for page in memory.each_middle():
        call("madvise", memory.address(page), PAGE, MADV_FREE)
        memory.seeds[page] = None


def move(memory):
    """A small page out of each huge one, to another address and back."""
    room = call("mmap", 0, PAGE, 0, MAP_PRIVATE_ANONYMOUS, -1, 0)
    for page in memory.each_middle():
        for source, target in ((memory.address(page), room), (room, memory.address(page))):
            call("mremap", source, PAGE, PAGE, MREMAP_TO, target)
    call("munmap", room, PAGE)


def lock(memory):
    for page in memory.each_middle():
        call("mlock", memory.address(page), PAGE)
        call("munlock", memory.address(page), PAGE)


def fork_child_writes(memory):
    def child():
        for page in memory.each_middle():
            memory.write(page, 77)
        memory.verify()
    in_child(child)


def fork_parent_writes(memory):
    def child():
        os.read(go[0], 1)
        memory.verify()
    go = os.pipe()
    process = start(child)
    for page in memory.each_middle():
        memory.write(page, 78)
    os.write(go[1], b"g")
    must(os.waitpid(process, 0)[1] == 0, "the child sees what the parent wrote")
    for end in go:
        os.close(end)


def page_out(memory):
    call("madvise", memory.base, memory.size, MADV_PAGEOUT)


def collapse(memory):
    discard(memory)
    call("madvise", memory.base, memory.size, MADV_COLLAPSE)


def merge(memory):
    """Pages that are alike, for KSM, if that runs."""
    for page in memory.each_middle():
        ctypes.memset(memory.address(page), 1, PAGE)
        memory.seeds[page] = None
    call("madvise", memory.base, memory.size, MADV_MERGEABLE)
    time.sleep(0.5)


def whole_again(memory):
    """Mapped in parts by a child only: when that has gone, nobody needs the tails."""
    before = count_areas("huge")
    in_child(lambda: protect(memory))
    tries = 300
    while before is not None and count_areas("huge") < before and tries:
        time.sleep(0.2)
        tries -= 1
    must(tries, "the tails of huge pages that are mapped as a whole do not go")
    memory.verify()
    # And they come back.
    protect(memory)


def killed(memory):
    """A child that splits all it has is killed somewhere in between."""
    child = os.fork()
    if not child:
        while True:
            fork_child_writes(memory)
            protect(memory)
            discard(memory)
    time.sleep(random.random() / 10)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


# What splits every huge page, and what does not have to.
SPLITTERS = {
    "protect": protect, "unmap": unmap, "discard": discard, "lazy-free": lazy_free,
    "move": move, "lock": lock, "fork-parent-writes": fork_parent_writes,
    "page-out": page_out, "whole-again": whole_again,
}
OTHERS = {
    "fork-child-writes": fork_child_writes, "collapse": collapse, "merge": merge,
    "killed": killed, "rest": lambda memory: None,
}


def expect_areas(state, least, most, what):
    found = count_areas(state)
    if found is not None:
        must(least <= found <= most, f"{what}: {found} areas are {state}, "
             f"not {least} to {most}")


def run_action(name):
    before = count_areas("huge") or 0
    memory = Memory()
    memory.fill(1)
    # Those that were kept from before may be among them.
    expect_areas("huge", AREAS, before + AREAS, "filled")
    memory.verify()
    {**SPLITTERS, **OTHERS}[name](memory)
    if name in SPLITTERS:
        expect_areas("huge", 0, before, "split")
    memory.verify()
    for page in range(0, memory.size // PAGE, 7):
        memory.write(page, 2)
    memory.verify()
    memory.free()


def churn(seconds, seed):
    random.seed(seed)
    # KSM and swap take their time for each.
    actions = [*SPLITTERS.values(), *OTHERS.values(), fork_child_writes, collapse, protect]
    # It waits for what only comes to pass while nobody else does anything.
    actions.remove(whole_again)
    end = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end:
        memory = Memory(4)
        memory.fill(random.randrange(1, 1 << 60))
        for _ in range(random.randrange(1, 6)):
            action = random.choice(actions)
            try:
                action(memory)
            except OSError as error:
                # Nobody promises that there is memory for a huge page.
                if action is not collapse:
                    raise error
            memory.verify()
            memory.write(random.randrange(memory.size // PAGE), random.randrange(1, 1 << 60))
        memory.verify()
        memory.free()
        rounds += 1
    print(f"{rounds} rounds")


class Racer(threading.Thread):
    """One of the threads: every few pages, one of each huge page's is its own."""

    THREADS = 3

    def __init__(self, memory, number, seconds, seed):
        super().__init__()
        self.end = time.monotonic() + seconds
        self.memory, self.number, self.random = memory, number, random.Random(seed + number)
        self.pages = range(number, memory.size // PAGE, self.THREADS)
        # With a page on both sides, so that nothing else fits where it is for a moment.
        self.room = call("mmap", 0, 3 * PAGE, 0, MAP_PRIVATE_ANONYMOUS, -1, 0) + PAGE
        self.failure, self.rounds = None, 0

    def some(self, most):
        return self.random.sample(self.pages, self.random.randrange(1, most))

    def new_seed(self):
        return self.random.randrange(1, 1 << 60)

    def write(self, page):
        self.memory.write(page, self.new_seed())

    def map_anew(self, page):
        call("mmap", self.memory.address(page), PAGE, PROT_RW,
             MAP_PRIVATE_ANONYMOUS | MAP_FIXED, -1, 0)
        call("madvise", self.memory.address(page), PAGE, MADV_HUGEPAGE)
        self.memory.seeds[page] = 0

    def unmap(self, page):
        call("munmap", self.memory.address(page), PAGE)
        self.map_anew(page)

    def discard(self, page):
        call("madvise", self.memory.address(page), PAGE, MADV_DONTNEED)
        self.memory.seeds[page] = 0

    def protect(self, page):
        call("mprotect", self.memory.address(page), PAGE, PROT_READ)
        self.memory.verify([page])
        call("mprotect", self.memory.address(page), PAGE, PROT_RW)

    def move(self, page):
        here = self.memory.address(page)
        for source, target in ((here, self.room), (self.room, here)):
            call("mremap", source, PAGE, PAGE, MREMAP_TO, target)
        call("mmap", self.room, PAGE, 0, MAP_PRIVATE_ANONYMOUS | MAP_FIXED, -1, 0)

    def page_out(self, page):
        call("madvise", self.memory.address(page), PAGE, MADV_PAGEOUT)

    def whole(self, page):
        """All of the area, with what others do in it just now."""
        area = page // PAGES * PAGES
        try:
            call("madvise", self.memory.address(area), HUGE, MADV_COLLAPSE)
        except OSError:
            # There are holes in it, or somebody is faster.
            pass

    def split(self, page):
        start = self.memory.address(page // PAGES * PAGES)
        with open("/sys/kernel/debug/split_huge_pages", "w", encoding="ascii") as file:
            file.write(f"{os.getpid()},{start:#x},{start + HUGE:#x}")

    def fork(self, _):
        """Of a child, only what belongs to this thread is known."""
        def child():
            self.memory.verify(self.some(100))
            for page in self.some(60):
                self.random.choice([self.write, self.write, self.unmap, self.discard,
                                    self.protect, self.move])(page)
            self.memory.verify(self.pages)
        process = start(child)
        killed = self.random.random() < 0.3
        for page in self.some(60):
            self.write(page)
        if killed:
            os.kill(process, signal.SIGKILL)
        status = os.waitpid(process, 0)[1]
        must(status == 0 or killed and status == signal.SIGKILL, "the child failed")

    def run(self):
        actions = [self.write, self.unmap, self.discard, self.protect, self.move, self.page_out,
                   self.map_anew]
        try:
            while not self.failure and time.monotonic() < self.end:
                for page in self.some(10):
                    self.random.choice(actions)(page)
                self.random.choice([self.fork, self.fork, self.whole, self.whole, self.split])(
                    self.random.choice(self.pages))
                self.memory.verify(self.some(50))
                self.rounds += 1
            self.memory.verify(self.pages)
        except (AssertionError, OSError) as error:
            self.failure = error


def races(seconds, seed):
    memory = Memory(2)
    memory.fill(seed + 1)
    racers = [Racer(memory, number, seconds, seed) for number in range(Racer.THREADS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    for racer in racers:
        must(not racer.failure, f"races, seed {seed}: {racer.failure}")
    memory.verify()
    print(f"{sum(racer.rounds for racer in racers)} rounds")


def main():
    names = sys.argv[1:]
    if len(names) == 3 and names[0] in ("churn", "races"):
        {"churn": churn, "races": races}[names[0]](float(names[1]), int(names[2]))
        return 0
    if not names or not SPLITTERS.keys() | OTHERS.keys() >= set(names):
        sys.exit(f"{__doc__.strip()}\n\nactions: {' '.join([*SPLITTERS, *OTHERS])}")
    for name in names:
        try:
            run_action(name)
        except (AssertionError, OSError) as error:
            print(f"{name}: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
