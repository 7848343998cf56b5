#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Have huge pages in the memory of a device that no processor can read, and verify them.

usage: hmm.py ACTION...

The device is that of the kernel's module test_hmm. It keeps a copy elsewhere of what is
there; what a processor touches comes back. Each ACTION begins and ends as those of huge.py
do, and where areas are counted, those of the pages that are whole and in RAM are HUGE.
Says which ACTION failed and how.
"""

import contextlib
import ctypes
import errno
import os
import random
import signal
import socket
import sys
import time

import huge
from huge import (MADV_COLLAPSE, MAP_PRIVATE_ANONYMOUS, PAGE, PAGES, PROT_READ, PROT_RW, Memory,
                  ask_driver, becomes_true, page_content)
from libc import (HUGE, call, call_once, error_of, figure, in_child, is_dynamic, must, run_each,
                  start)

AREAS = 3
(READ, WRITE, TO_DEVICE, TO_SYSTEM, SNAPSHOT, EXCLUSIVE, CHECK_EXCLUSIVE, RELEASE, FLAGS,
 READ_UNLOCKED) = range(10)
FAIL_ALLOC, NO_FLAG = 1, 2
# What a snapshot says of each page.
READABLE, WRITABLE, WHOLE, IN_DEVICE = 1, 2, 4, 0x20
MAP_SHARED_ANONYMOUS, MAP_HUGETLB, MAP_NORESERVE = 0x21, 0x40000, 0x4000
BUFFER = ctypes.create_string_buffer(2 * PAGE)


class Device:
    """What sees the memory of this process, and can have pages of it in its own."""

    def __init__(self, memory, number=0):
        self.memory = memory
        self.file = os.open(f"/dev/hmm_dmirror{number}", os.O_RDWR)

    def close(self):
        """All that it has comes back, of others, too. It cannot give back so what was huge
        when it came, and then was split there: that has to be gone."""
        os.close(self.file)

    def ask_at(self, what, address, pages, buffer=0):
        """Return: how many pages it was done to."""
        return ask_driver(self.file, ord("H"), what, address, buffer, pages, 0, 0)[3]

    def ask(self, what, first=0, pages=None, content=b""):
        """Of pages of the memory; what is there is read into, or written from, a buffer."""
        pages = len(self.memory.seeds) - first if pages is None else pages
        buffer = ctypes.create_string_buffer(content, pages * PAGE)
        done = self.ask_at(what, self.memory.address(first), pages, ctypes.addressof(buffer))
        return done, buffer.raw

    def must_ask(self, what, first=0, pages=None):
        """All pages, and what the device sees there is what has to be there."""
        pages = len(self.memory.seeds) - first if pages is None else pages
        done, found = self.ask(what, first, pages)
        must(done == pages, f"request {what}: {done} of {pages} pages")
        for page in range(pages):
            seed = self.memory.seeds[first + page]
            must(seed is None or
                 found[page * PAGE:(page + 1) * PAGE] == page_content(seed, first + page),
                 f"request {what}: the device does not see what is in page {first + page}")

    def states(self, first=0, pages=None):
        """Where these pages are, and how they are mapped."""
        pages = len(self.memory.seeds) - first if pages is None else pages
        return set(self.ask(SNAPSHOT, first, pages)[1][:pages])

    def expect(self, wanted, first=0, pages=None):
        states = self.states(first, pages)
        must(states == {wanted},
             f"pages from {first} are {', '.join(map(hex, states))}, not {wanted:#x}")

    def send(self, first=0, pages=None):
        """Have pages go to the device, those that can."""
        try:
            self.must_ask(TO_DEVICE, first, pages)
        except OSError as problem:
            # It has some already, and has forgotten where, because they were remapped. Nor
            # may it look that up: it would take its own memory for RAM.
            if problem.errno != errno.ENOENT:
                raise problem

    def take(self, first=0, pages=None, state=IN_DEVICE | WRITABLE | WHOLE):
        def goes():
            self.send(first, pages)
            return self.states(first, pages) == {state}
        # Those that somebody moves, or makes whole, just then stay.
        if not becomes_true(goes):
            self.expect(state, first, pages)

    def take_all(self):
        self.take()
        self.memory.expect_huge(0, "in the device")

    def own(self, first=0, pages=None):
        """Have pages that nobody else may use. Who moves one just then has that forgotten."""
        def owns():
            try:
                self.must_ask(EXCLUSIVE, first, pages)
            except OSError as problem:
                if problem.errno != errno.ENOENT:
                    raise problem
                return False
            return True
        must(becomes_true(owns), f"pages from {first} are moved all the time")

    def give(self, first=0, pages=None, state=WRITABLE | WHOLE):
        self.ask(TO_SYSTEM, first, pages)
        self.expect(state, first, pages)

    @contextlib.contextmanager
    def failing(self):
        """The next page of the size that is wanted is not to be had."""
        self.ask_at(FLAGS, 0, FAIL_ALLOC)
        try:
            yield
        finally:
            self.ask_at(FLAGS, 0, NO_FLAG)

    def write(self, page, seed):
        self.ask(WRITE, page, 1, page_content(seed, page))
        self.memory.seeds[page] = seed


def back(memory, device):
    """As a whole, because the device is asked to, and because a processor touches them."""
    for _ in range(2):
        device.take_all()
        device.give()
        memory.expect_huge(memory.areas, "given back")
        memory.verify()
        device.take_all()
        memory.verify(memory.each_middle())
        device.expect(WRITABLE | WHOLE)
        memory.expect_huge(memory.areas, "touched")


def each_in_turn(memory, function):
    """When it has been called for this one and those before, so many areas are HUGE."""
    for area in range(memory.areas):
        function(area)
        memory.verify(range(area * PAGES, (area + 1) * PAGES))


def fail_to_device(memory, device):
    """It has small pages only: each huge one is split on the way."""
    def take(area):
        with device.failing():
            device.take(area * PAGES, PAGES, IN_DEVICE | WRITABLE)
        memory.expect_huge(memory.areas - area - 1, f"{area + 1} of them were split")
    each_in_turn(memory, take)


def fail_to_system(memory, device):
    """There are small pages only for what comes back."""
    def give(area):
        with device.failing():
            device.give(area * PAGES, PAGES, WRITABLE)
    device.take_all()
    each_in_turn(memory, give)


def fail_at_fault(memory, device):
    def touch(area):
        with device.failing():
            memory.verify([area * PAGES + PAGES // 2])
        # Others may be left in the device.
        device.expect(WRITABLE, area * PAGES + PAGES // 2, 1)
        memory.expect_huge(0, "come back in parts")
    device.take_all()
    each_in_turn(memory, touch)


def some_pages(memory, device):
    """A few of each huge page, and what lies over the end of one."""
    for page in memory.each_middle():
        device.take(page, 3, IN_DEVICE | WRITABLE)
        device.expect(WRITABLE, page - 2, 2)
    device.take(PAGES - 1, 2, IN_DEVICE | WRITABLE)
    memory.expect_huge(0, "taken in parts")
    memory.verify()
    for page in memory.each_middle():
        device.take(page, 3, IN_DEVICE | WRITABLE)
        device.give(page, 2, WRITABLE)
        device.expect(IN_DEVICE | WRITABLE, page + 2, 1)


def some_back(memory, device):
    """Of huge pages that it has, a few come back; and those, and the others, go again."""
    device.take_all()
    for page in memory.each_middle():
        device.give(page, 3, WRITABLE)
        device.expect(IN_DEVICE | WRITABLE, page + 3, 2)
    memory.expect_huge(0, "small pages have come back")
    device.take(state=IN_DEVICE | WRITABLE)


def holes(memory, device):
    """Pages that were never used, or only read."""
    memory.free()
    for read in False, True:
        # In the place of the other, for which the device knows it.
        memory.map_all_anew()
        if read:
            memory.verify(memory.each_middle())
        device.take_all()
        memory.verify()
        memory.expect_huge(memory.areas, "holes have come back")
        call("munmap", memory.base, memory.size)
    memory.map_all_anew()
    memory.fill(4)


def fork_child_reads(memory, device):
    device.take_all()
    in_child(memory.verify)
    device.expect(READABLE | WHOLE)


def fork_child_writes(memory, device):
    device.take_all()
    huge.fork_child_writes(memory)


def fork_parent_writes(memory, device):
    device.take_all()
    huge.fork_parent_writes(memory)


@contextlib.contextmanager
def partner(function):
    """A child that runs it; both have one end of what they tell each other to go on by."""
    ours, theirs = socket.socketpair()
    process = start(lambda: function(theirs))
    theirs.close()
    with ours:
        yield ours
    must(os.waitpid(process, 0)[1] == 0, "the child failed")


def tell(end):
    end.send(b"x")


def wait(end):
    must(end.recv(1), "the other one has gone")


def fork_both_write(memory, device):
    """What the child writes is not what the parent does, and all of it comes back small."""
    def child(parent):
        for page in range(1, len(memory.seeds), 2):
            memory.write(page, 80)
        memory.verify()
        wait(parent)
    device.take_all()
    with partner(child) as end:
        for page in range(0, len(memory.seeds), 2):
            memory.write(page, 81)
        tell(end)


def protect_middle(memory):
    for page in memory.each_middle():
        call("mprotect", memory.address(page), PAGE, PROT_READ)


def fork_parts_whole(memory, device):
    """A child has them by PTEs, and its parent takes and has them back as a whole."""
    def child(parent):
        protect_middle(memory)
        tell(parent)
        for _ in range(2):
            wait(parent)
            memory.verify()
            tell(parent)
        wait(parent)
    device.take_all()
    with partner(child) as end:
        wait(end)
        for _ in range(2):
            memory.verify(memory.each_middle())
            device.expect(READABLE | WHOLE)
            memory.expect_huge(0, "the child has parts of them")
            tell(end)
            wait(end)
            device.take(state=IN_DEVICE | READABLE | WHOLE)
        memory.verify()
        tell(end)
    memory.expect_whole("the child has gone")


def fork_parts_first(memory, device):
    """The child has small pages back, for which the device splits the huge ones."""
    def child():
        protect_middle(memory)
        memory.verify()
    device.take_all()
    in_child(child)


def fork_takes(memory, device):
    """The device of a child takes what is the parent's, too."""
    def child(parent):
        other = Device(memory)
        # Nobody may write to what is shared.
        other.take(state=IN_DEVICE | READABLE | WHOLE)
        memory.expect_huge(0, "in the device of the child")
        tell(parent)
        wait(parent)
        memory.verify()
        other.take(state=IN_DEVICE | READABLE | WHOLE)
        other.close()
        memory.verify()
    with partner(child) as end:
        wait(end)
        memory.verify()
        memory.expect_huge(memory.areas, "come back to both")
        tell(end)
    memory.verify()
    device.take(state=IN_DEVICE | READABLE | WHOLE)


def in_device(function):
    """Do to what is in the device what splits it, or not, and have it back."""
    def action(memory, device):
        device.take_all()
        function(memory)
    return action


def collapse(memory, device):
    """What has come back in small pages becomes huge again, and goes there so."""
    device.take_all()
    huge.protect(memory)
    memory.expect_huge(0, "come back in parts")
    call("madvise", memory.base, memory.size, MADV_COLLAPSE)
    memory.expect_huge(memory.areas, "collapsed")
    device.take_all()


def exclusive(memory, device):
    """Nobody but the device may use some pages, and then all; until a processor does."""
    def expect(error, pages):
        for first in pages:
            must(error_of(lambda: device.ask(CHECK_EXCLUSIVE, first, 1)) == error,
                 f"page {first} is the device's alone, or is not: not error {error}")
    for page in memory.each_middle():
        device.own(page, 3)
    memory.expect_huge(0, "in use in parts")
    expect(errno.EPERM, memory.each_middle())
    for page in memory.each_middle():
        memory.write(page, 90)
    expect(0, memory.each_middle())
    # The device forgets what is next to what changes, too.
    expect(errno.EPERM, [page + 2 for page in memory.each_middle()])
    device.own()
    expect(errno.EPERM, range(1, len(memory.seeds), PAGES // 8))
    in_child(memory.verify)
    device.own()
    # What it has for itself alone can go into its memory, too, when others have seen it.
    memory.verify()
    device.take(state=IN_DEVICE | WRITABLE)


def device_access(memory, device):
    """The device reads and writes in RAM, and in its own memory."""
    for _ in range(2):
        for request in READ, READ_UNLOCKED:
            device.must_ask(request)
        for page in memory.each_middle():
            device.write(page, random.randrange(1, 1 << 60))
        device.must_ask(READ)
        device.expect(WRITABLE | WHOLE)
        memory.expect_huge(memory.areas, "used by the device")
        memory.verify(memory.each_middle())
        device.take_all()
        for page in memory.each_middle():
            device.write(page + 1, random.randrange(1, 1 << 60))
        device.must_ask(READ)
        device.expect(IN_DEVICE | WRITABLE | WHOLE)
        memory.verify()


def release(memory, device):
    """The device loses its memory, and gets some anew."""
    for _ in range(2):
        device.take_all()
        device.ask_at(RELEASE, 0, 1)
        device.expect(WRITABLE | WHOLE)
        memory.expect_huge(memory.areas, "the memory of the device has gone")
        memory.verify()
    device.take_all()
    memory.verify(memory.each_middle())
    for area in range(memory.areas):
        with device.failing():
            device.take(area * PAGES, PAGES, IN_DEVICE | WRITABLE)
    device.ask_at(RELEASE, 0, 1)


def killed(memory, device):
    """A process whose memory is on its way to and fro, in pieces and as a whole."""
    def child():
        device.close()
        mine = Memory(AREAS)
        other = Device(mine)
        mine.fill(6)
        os.write(ready[1], b"x")
        while True:
            other.send(0, 2 * PAGES)
            with other.failing():
                other.send(2 * PAGES)
            in_child(lambda: huge.discard(mine))
            mine.verify()
            call("madvise", mine.base, mine.size, MADV_COLLAPSE)
    for _ in range(3):
        ready = os.pipe()
        process = start(child)
        os.close(ready[1])
        os.read(ready[0], 1)
        os.close(ready[0])
        time.sleep(random.random())
        os.kill(process, signal.SIGKILL)
        must(os.waitpid(process, 0)[1] == signal.SIGKILL, "the child failed before it was killed")
    memory.expect_whole("the children were killed")


class Mixture:
    """One thing after another to what may be anywhere, at random."""

    ROUNDS = 30

    def __init__(self, memory, device):
        self.memory, self.device = memory, device
        # What is whole and where is anybody's guess.
        memory.counted = False

    def some(self):
        """Where, and how many: whole huge pages as often as not."""
        if random.random() < 0.5:
            first = random.randrange(self.memory.areas)
            return first * PAGES, random.randrange(1, self.memory.areas - first + 1) * PAGES
        first = random.randrange(len(self.memory.seeds))
        return first, random.randrange(1, min(PAGES + 1, len(self.memory.seeds) - first + 1))

    @contextlib.contextmanager
    def may_fail(self):
        fails = random.random() < 0.3
        with self.device.failing() if fails else contextlib.nullcontext():
            yield fails

    def take(self):
        with self.may_fail():
            self.device.send(*self.some())

    def give(self):
        with self.may_fail() as fails:
            error = error_of(lambda: self.device.ask(TO_SYSTEM, *self.some()))
        # There was no small page.
        must(not error or (error == errno.ENOMEM and fails), f"error {error} of what comes back")

    def touch(self):
        for page in random.sample(range(len(self.memory.seeds)), 5):
            self.memory.verify([page])
            self.memory.write(page, random.randrange(1, 1 << 60))

    def use(self):
        first, pages = self.some()
        # See Device.send().
        self.memory.verify(range(first, first + pages))
        self.device.must_ask(READ, first, pages)
        self.device.write(first, random.randrange(1, 1 << 60))

    def own(self):
        first, pages = self.some()
        self.device.own(first, min(pages, 50))

    def collapse(self):
        area = random.randrange(self.memory.areas) * PAGES
        try:
            call_once("madvise", self.memory.address(area), HUGE, MADV_COLLAPSE)
        except OSError:
            # It is in the device, or in use.
            pass

    def fork(self):
        def child():
            for page in random.sample(range(len(self.memory.seeds)), 5):
                self.memory.write(page, 7)
            self.memory.verify()
        process = start(child)
        self.touch()
        must(os.waitpid(process, 0)[1] == 0, "the child failed")

    def cut(self):
        random.choice([huge.protect, huge.discard, huge.unmap, huge.move])(self.memory)
        # One mapping again, for who wants all of it to be huge.
        call("madvise", self.memory.base, self.memory.size, huge.MADV_HUGEPAGE)

    def run(self):
        actions = [self.take, self.take, self.take, self.give, self.touch, self.use, self.own,
                   self.collapse, self.collapse, self.fork, self.cut]
        for _ in range(self.ROUNDS):
            random.choice(actions)()
        self.memory.verify()


def mixture(memory, device):
    seed = random.randrange(1 << 32)
    random.seed(seed)
    print(f"seed {seed}", flush=True)
    Mixture(memory, device).run()


def bad_requests(memory, device):
    """Each, and the error that it gets; they leave all huge pages whole."""
    everything = READ, WRITE, TO_DEVICE, TO_SYSTEM, SNAPSHOT, EXCLUSIVE, CHECK_EXCLUSIVE, \
        READ_UNLOCKED
    buffer = ctypes.addressof(BUFFER)
    for what in *everything, FLAGS, RELEASE:
        for address, pages in ((memory.base + 1, 1), (memory.base + PAGE // 2, 2),
                               (memory.base, 0), (memory.base, 1 << 52),
                               (memory.base, (1 << 52) - 1), ((1 << 64) - PAGE, 1)):
            yield (what, address, pages, buffer), errno.EINVAL
    for what in 10, 11, 255:
        yield (what, memory.base, 1, buffer), errno.EINVAL
    # There is nothing, or what nobody may read, or the kernel.
    for address in PAGE, memory.base + memory.size, 0xffff888000000000:
        for what in READ, READ_UNLOCKED, WRITE, EXCLUSIVE:
            yield (what, address, 1, buffer), errno.EFAULT
        for what in TO_DEVICE, TO_SYSTEM:
            yield (what, address, 1, buffer), errno.EINVAL
        for what in SNAPSHOT, CHECK_EXCLUSIVE:
            yield (what, address, 1, buffer), 0
    for what in READ, READ_UNLOCKED, WRITE, SNAPSHOT:
        yield (what, memory.base, 1, 8), errno.EFAULT
    for what in TO_SYSTEM, CHECK_EXCLUSIVE:
        yield (what, memory.base, 1, 8), 0
    shared = call("mmap", 0, PAGE, PROT_RW, MAP_SHARED_ANONYMOUS, -1, 0)
    for what, error in (TO_DEVICE, errno.ENOENT), (READ, 0), (WRITE, 0), (TO_SYSTEM, 0), \
            (EXCLUSIVE, errno.EOPNOTSUPP):
        yield (what, shared, 1, buffer), error
    call("munmap", shared, PAGE)
    constant = call("mmap", 0, PAGE, PROT_READ, MAP_PRIVATE_ANONYMOUS, -1, 0)
    for what, error in (WRITE, errno.EPERM), (EXCLUSIVE, errno.EFAULT), (READ, 0), (TO_DEVICE, 0):
        yield (what, constant, 1, buffer), error
    call("munmap", constant, PAGE)
    hugetlb = call("mmap", 0, HUGE, PROT_RW,
                   MAP_PRIVATE_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0)
    for what in TO_DEVICE, TO_SYSTEM:
        yield (what, hugetlb, 1, buffer), errno.EINVAL
    call("munmap", hugetlb, HUGE)


def bad_input(memory, device):
    for request, wanted in bad_requests(memory, device):
        error = error_of(lambda: device.ask_at(*request))
        must(error == wanted, f"request {request}: error {error}, not {wanted}")
        device.expect(WRITABLE | WHOLE)
    memory.expect_huge(memory.areas, "nothing was done")
    memory.verify()
    must(error_of(lambda: call_once("ioctl", device.file, 3 << 30 | 40 << 16 | ord("H") << 8, 8)) ==
         errno.EFAULT, "a request that cannot be read was understood")
    # It goes as far as it can.
    last = len(memory.seeds) - PAGES
    must(error_of(lambda: device.ask_at(TO_DEVICE, memory.address(last), PAGES + 1)) ==
         errno.EINVAL, "more than there is was taken")
    device.expect(IN_DEVICE | WRITABLE | WHOLE, last, PAGES)
    must(error_of(lambda: device.ask_at(TO_DEVICE, memory.base, PAGES, 8)) == errno.EFAULT,
         "what cannot be written was")
    device.expect(IN_DEVICE | WRITABLE | WHOLE, 0, PAGES)
    memory.expect_huge(memory.areas - 2, "the first and the last were taken")
    # What one device has is nothing that another one can take, or give.
    other = Device(memory, 1)
    must(error_of(lambda: other.ask_at(TO_DEVICE, memory.base, PAGES)) == errno.ENOENT,
         "another device has taken what the first one has")
    other.ask(TO_SYSTEM)
    device.expect(IN_DEVICE | WRITABLE | WHOLE, 0, PAGES)
    other.must_ask(READ)
    other.close()


# What splits every huge page, and what leaves them whole in the end.
SPLITTERS = {
    "fail-to-device": fail_to_device, "fail-to-system": fail_to_system,
    "fail-at-fault": fail_at_fault, "some-pages": some_pages, "some-back": some_back,
    "protect": in_device(huge.protect), "unmap": in_device(huge.unmap),
    "discard": in_device(huge.discard), "move": in_device(huge.move),
    "lock": in_device(huge.lock), "fork-parent-writes": fork_parent_writes,
    "fork-both-write": fork_both_write, "fork-parts-first": fork_parts_first,
    "exclusive": exclusive, "release": release,
}
OTHERS = {
    "back": back, "holes": holes, "lazy-free": in_device(huge.lazy_free),
    "move-whole": in_device(lambda memory: huge.move_whole(memory, 0)),
    "fork-child-reads": fork_child_reads, "fork-child-writes": fork_child_writes,
    "fork-parts-whole": fork_parts_whole, "fork-takes": fork_takes, "collapse": collapse,
    "device-access": device_access, "killed": killed, "bad-input": bad_input,
}


def run_action(name):
    # An area cannot be HUGE for want of memory.
    memory = Memory(AREAS, counted="MEMORY_RUNS_OUT" not in os.environ)
    device = Device(memory)
    memory.expect_huge(0, "at first", 50)
    memory.fill(1)
    memory.expect_huge(AREAS, "filled")
    {**SPLITTERS, **OTHERS, "mixture": mixture}[name](memory, device)
    memory.verify()
    if name != "mixture":
        memory.expect_huge(0 if name in SPLITTERS else AREAS, "afterwards")
    for page in range(0, memory.size // PAGE, 7):
        memory.write(page, 2)
    memory.verify()
    memory.free()
    device.close()
    must(not is_dynamic() or figure("write_repairs") == 0, "a missing struct page was written to")


def main():
    names = sys.argv[1:]
    known = *SPLITTERS, *OTHERS, "mixture"
    if not names or not set(known) >= set(names):
        sys.exit(f"{__doc__.strip()}\n\nactions: {' '.join(known)}")
    return run_each(run_action, names)


if __name__ == "__main__":
    sys.exit(main())
