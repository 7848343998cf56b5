#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Do to huge pages what splits them, and verify every byte.

usage: huge.py ACTION...
       huge.py churn|races SECONDS SEED

Where areas are counted, each ACTION also checks that its huge pages have few struct
pages before, and afterwards all of them if it splits them, few if it does not; nobody
else may have huge pages then. churn does one thing after another to the same pages, at
random; its processes may be killed at any time.
races does it from several threads and their children at once: each huge page belongs to
all of them, and each small page of it to one.
Says which ACTION failed and how.
"""

import ctypes
import errno
import fcntl
import os
import random
import re
import signal
import struct
import sys
import threading
import time

from libc import (DM, HUGE, LIBC, MAP_FIXED, call, figure, files_share_tails, in_child, must,
                  number_in, run_each, start, vmstat)

PAGE = 4096
PAGES = HUGE // PAGE
PAGES_OF_STRUCT_PAGES = PAGES * 64 // PAGE
AREAS = 6
PROT_RW, PROT_READ = 3, 1
MAP_PRIVATE_ANONYMOUS = 0x22
MREMAP_TO, MREMAP_DONTUNMAP = 3, 4
MADV_DONTNEED, MADV_FREE, MADV_MERGEABLE, MADV_HUGEPAGE = 4, 8, 12, 14
MADV_PAGEOUT, MADV_COLLAPSE = 21, 25
SPLIT_FILE = "/sys/kernel/debug/split_huge_pages"
KPF_HEAD, KPF_TAIL = 1 << 15, 1 << 16
# In place of a seed: a page that is like all others of that kind.
ALIKE = -1


def page_content(seed, page):
    if seed == ALIKE:
        return b"\1" * PAGE
    return struct.pack("<QQ", seed, page) * (PAGE // 16) if seed else bytes(PAGE)


def becomes_true(condition, tries=300, pause=0.2):
    """What others do, they do later."""
    while not condition():
        if not tries:
            return False
        tries -= 1
        time.sleep(pause)
    return True


def ask_to_split(text):
    """Through debugfs, as it stands there. Return: what is written there, or the error."""
    file = os.open(SPLIT_FILE, os.O_WRONLY)
    try:
        return os.write(file, text.encode())
    finally:
        os.close(file)


def expect_answer(text, wanted):
    """The error that a request to split gets, or 0."""
    error = 0
    try:
        ask_to_split(text)
    except OSError as problem:
        error = problem.errno
    must(error == wanted, f"'{text}': error {error}, not {wanted}")


def split_request(pid, first, size, *order_and_offset):
    return ",".join([str(pid), hex(first), hex(first + size), *map(str, order_and_offset)])


def words_of(name, place, number):
    """Of a file of /proc that has 64 bits for each page or page frame."""
    with open(f"/proc/{name}", "rb", buffering=0) as file:
        return struct.unpack(f"{number}Q", os.pread(file.fileno(), number * 8, place * 8))


def ask_driver(file, kind, number, *words):
    """_IOWR(kind, number, these words of 64 bits). Return: what they are then."""
    request = bytearray(struct.pack(f"{len(words)}Q", *words))
    fcntl.ioctl(file, 3 << 30 | len(request) << 16 | kind << 8 | number, request)
    return struct.unpack(f"{len(words)}Q", request)


class Memory:
    """Huge pages, and what has to be in each of their small ones; None: anything."""

    def __init__(self, areas=AREAS, counted=False):
        """counted: nobody else has huge pages; else, no assertion is made of areas."""
        self.areas, self.size = areas, areas * HUGE
        self.counted = counted and os.path.exists(DM)
        room = call("mmap", 0, self.size + HUGE, 0, MAP_PRIVATE_ANONYMOUS, -1, 0)
        self.base = (room + HUGE - 1) // HUGE * HUGE
        self.map_all_anew()

    def map_all_anew(self):
        call("mmap", self.base, self.size, PROT_RW, MAP_PRIVATE_ANONYMOUS | MAP_FIXED, -1, 0)
        call("madvise", self.base, self.size, MADV_HUGEPAGE)
        self.seeds = [0] * (self.size // PAGE)

    def address(self, page):
        return self.base + page * PAGE

    def write(self, page, seed):
        ctypes.memmove(self.address(page), page_content(seed, page), PAGE)
        self.seeds[page] = seed

    def fill(self, seed):
        for page in range(self.size // PAGE):
            self.write(page, seed)

    def verify(self, pages=None):
        for page in range(len(self.seeds)) if pages is None else pages:
            seed = self.seeds[page]
            if seed is None:
                continue
            must(ctypes.string_at(self.address(page), PAGE) == page_content(seed, page),
                 f"page {page} does not hold what was written")

    def each_middle(self):
        """A page in the middle of each huge one."""
        return range(PAGES // 2, self.size // PAGE, PAGES)

    def expect_huge(self, wanted, what, tries=10):
        """So many of all areas are HUGE and somebody's: those in the cache are nobody's."""
        def count():
            # Taken one after the other, while a worker may empty the cache.
            found[0] = figure("areas_huge") - figure("cached_areas")
            return found[0] == wanted
        found = [0]
        if self.counted:
            must(becomes_true(count, tries), f"{what}: {found[0]} areas are huge, not {wanted}")

    def expect_whole(self, what):
        """Within the time in which somebody looks for them."""
        self.expect_huge(self.areas, what, 300)

    def frames(self, page, number=1):
        """The page frames of so many pages."""
        words = words_of("self/pagemap", self.address(page) // PAGE, number)
        return [word & (1 << 55) - 1 for word in words]

    def folios(self, area):
        """The sizes in pages of the folios in an area that is in one piece physically."""
        frames = self.frames(area * PAGES, PAGES)
        must(frames == list(range(frames[0], frames[0] + PAGES)), f"area {area} is scattered")
        flags = words_of("kpageflags", frames[0], PAGES)
        heads = [page for page in range(PAGES) if not flags[page] & KPF_TAIL]
        sizes = [end - head for head, end in zip(heads, heads[1:] + [PAGES])]
        must(all((size > 1) == bool(flags[head] & KPF_HEAD) for head, size in zip(heads, sizes)),
             f"area {area} has tails without heads")
        return sizes

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


def reserve(size):
    """Addresses, aligned to a huge page, for at most so many bytes."""
    room = call("mmap", 0, size + HUGE, 0, MAP_PRIVATE_ANONYMOUS, -1, 0)
    return (room + HUGE - 1) // HUGE * HUGE, lambda: call("munmap", room, size + HUGE)


def move_whole(memory, wanted=None):
    """Each huge page as it is, to another address and back; areas of so many are HUGE."""
    room, free = reserve(HUGE)
    for area in range(memory.areas):
        here = memory.address(area * PAGES)
        # There is no hole but between the last two, or Python might get memory there.
        call("mremap", here, HUGE, HUGE, MREMAP_TO | MREMAP_DONTUNMAP, room)
        memory.expect_huge(memory.areas if wanted is None else wanted, "moved away")
        call("mremap", room, HUGE, HUGE, MREMAP_TO, here)
        call("mmap", room, HUGE, 0, MAP_PRIVATE_ANONYMOUS | MAP_FIXED, -1, 0)
    free()


class Userfault:
    """A userfaultfd of this process, for a while."""

    MISSING, PROTECT = 1, 2
    CALL, API, FAULT, FLAG_PROTECT = 323, 0xaa, 0x12, 2
    FEATURES = 1 | 1 << 16

    def __enter__(self):
        self.file = call("syscall", self.CALL, os.O_CLOEXEC)
        self.ask(0x3f, self.API, self.FEATURES, 0)
        return self

    def __exit__(self, *_):
        """Whoever waits for an answer goes on without."""
        os.close(self.file)

    def ask(self, number, *words):
        ask_driver(self.file, 0xaa, number, *words)

    def register(self, first, size, mode):
        self.ask(0x00, first, size, mode, 0)

    def move(self, target, source, size):
        self.ask(0x05, target, source, size, 0, 0)

    def protect(self, first, size, on):
        self.ask(0x06, first, size, int(on))

    def expect_write(self, address):
        event, flags, where = struct.unpack("<B7xQQ8x", os.read(self.file, 32))
        must(event == self.FAULT and flags & self.FLAG_PROTECT and where == address,
             f"event {event:#x}, flags {flags:#x} at {where:#x}, not a write to {address:#x}")


def uffd_protect(memory):
    """All of it first, which is no reason to split, and then one page of each."""
    with Userfault() as userfault:
        userfault.register(memory.base, memory.size, userfault.PROTECT)
        userfault.protect(memory.base, memory.size, True)
        memory.verify()
        memory.expect_huge(memory.areas, "protected as a whole")
        userfault.protect(memory.base, memory.size, False)
        for page in memory.each_middle():
            address = memory.address(page)
            # Only a page that is there is protected; and KSM, which would undo that, does
            # not touch what nothing else is like.
            old, new = (random.randrange(1, 1 << 60) for _ in range(2))
            memory.write(page, old)
            userfault.protect(address, PAGE, True)
            writer = threading.Thread(target=LIBC.memcpy, daemon=True, args=(
                ctypes.c_void_p(address), page_content(new, page), ctypes.c_size_t(PAGE)))
            writer.start()
            userfault.expect_write(address)
            memory.verify([page])
            userfault.protect(address, PAGE, False)
            writer.join()
            memory.seeds[page] = new


def uffd_move(memory):
    """A small page out of each huge one, to another address and back."""
    room, free = reserve(PAGE)
    call("mmap", room, PAGE, PROT_RW, MAP_PRIVATE_ANONYMOUS | MAP_FIXED, -1, 0)
    try:
        for page in memory.each_middle():
            # What is shared with a child, or was, cannot be moved.
            memory.write(page, 5)
        with Userfault() as userfault:
            for place, size in (room, PAGE), (memory.base, memory.size):
                userfault.register(place, size, userfault.MISSING)
            for page in memory.each_middle():
                userfault.move(room, memory.address(page), PAGE)
                must(ctypes.string_at(room, PAGE) == page_content(5, page),
                     f"page {page} is another one where it was moved to")
                userfault.move(memory.address(page), room, PAGE)
    finally:
        free()


def uffd_move_whole(memory):
    """Each huge page as it is, to another address and back."""
    room, free = reserve(memory.size)
    call("mmap", room, memory.size, PROT_RW, MAP_PRIVATE_ANONYMOUS | MAP_FIXED, -1, 0)
    with Userfault() as userfault:
        for place in room, memory.base:
            userfault.register(place, memory.size, userfault.MISSING)
        userfault.move(room, memory.base, memory.size)
        memory.expect_huge(memory.areas, "moved away")
        userfault.move(memory.base, room, memory.size)
    free()


def lock(memory):
    for page in memory.each_middle():
        call("mlock", memory.address(page), PAGE)
        call("munlock", memory.address(page), PAGE)


def fork_child_writes(memory):
    def child():
        for page in memory.each_middle():
            memory.write(page, 77)
        memory.verify()
        memory.expect_huge(0, "mapped in parts by the child")
    in_child(child)
    memory.expect_whole("the child has gone")


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
    memory.expect_huge(0, "mapped in parts")
    call("madvise", memory.base, memory.size, MADV_COLLAPSE)


def make_alike(memory):
    """One page of each, for KSM, if that runs."""
    for page in memory.each_middle():
        memory.write(page, ALIKE)
    call("madvise", memory.base, memory.size, MADV_MERGEABLE)


def merge(memory):
    make_alike(memory)
    must(becomes_true(lambda: number_in("/proc/self/ksm_merging_pages") >= memory.areas),
         "KSM does not merge")


def merge_some(memory):
    """As many as there is time for: under pressure, that may be none."""
    make_alike(memory)
    time.sleep(0.5)


def whole_again(memory):
    """Mapped in parts by a child only: when that has gone, nobody needs the tails."""
    in_child(lambda: protect(memory))
    memory.expect_whole("the child has gone")
    memory.verify()
    # And they come back.
    protect(memory)


def killed(memory):
    """A child that splits all it has is killed somewhere in between."""
    def child():
        # Its areas are those of its parent, too: they do not become whole.
        memory.counted = False
        while True:
            fork_child_writes(memory)
            protect(memory)
            discard(memory)
    process = start(child)
    time.sleep(random.random() / 10)
    os.kill(process, signal.SIGKILL)
    must(os.waitpid(process, 0)[1] == signal.SIGKILL, "the child failed before it was killed")
    memory.expect_whole("the child was killed")


def split_around(memory, area, size, *order_and_offset):
    ask_to_split(split_request(os.getpid(), memory.address(area * PAGES), size, *order_and_offset))


def folios_after(order=0, offset=-1):
    """What a split leaves of a huge page, in pages: parts that are alike, or that become
    the smaller the nearer OFFSET is."""
    if not 0 <= offset < PAGES:
        return [1 << order] * (PAGES >> order)
    sizes = [PAGES]
    for size in (1 << smaller for smaller in range(8, order - 1, -1) if smaller != 1):
        index = first = 0
        while first + sizes[index] <= offset:
            first += sizes[index]
            index += 1
        sizes[index:index + 1] = [size] * (sizes[index] // size)
    return sizes


def split_orders(memory):
    """Others, through debugfs: one to each order, and around some page; then they are freed."""
    # An anonymous folio has no order of 1; and where there is no such page, there is none.
    cases = [(), (0, PAGES), (3, -1)]
    for order in 8, 7, 6, 5, 4, 3, 2, 0:
        cases += [(order,), (order, random.choice((0, 1, 255, 256, 300, 511)))]
    split = figure("areas_split") if memory.counted else 0
    more = Memory(len(cases))
    more.fill(9)
    for area, case in enumerate(cases):
        what = f"asked for {case}"
        must(more.folios(area) == [PAGES], f"{what}: it was no huge page")
        # The one that the first page is in, or the smaller folios would be split, too.
        split_around(more, area, PAGE, *case)
        memory.expect_huge(memory.areas + more.areas - area - 1, what)
        sizes = more.folios(area)
        must(sizes == folios_after(*case), f"{what}: there are folios of {sizes}")
        more.verify(range(area * PAGES, (area + 1) * PAGES))
    more.verify()
    for page in range(0, more.size // PAGE, 7):
        more.write(page, 10)
    more.verify()
    more.free()
    if memory.counted:
        # Some stay with the allocator, and those of others come and go.
        must(becomes_true(lambda: figure("areas_split") <= split + 8),
             f"{figure('areas_split')} areas are split, not {split} as before")


def split_some(memory):
    """Each huge page around some page, to some order; what is no huge page any more, perhaps."""
    for area in range(memory.areas):
        split_around(memory, area, PAGE, random.choice((0, 0, 2, 5, 7, 8)),
                     random.randrange(-1, PAGES))


class VmemmapPages:
    """Those of the huge pages of some memory, which are HUGE at first, and then all SPLIT."""

    def __init__(self, memory):
        self.memory = memory
        self.split, self.frames = self.figures()

    def figures(self):
        if not self.memory.counted:
            return 0, 0
        return figure("areas_split"), figure("stock_frames") - figure("stock_free_frames")

    def expect(self, wanted, what):
        """So many for each, but for page tables of struct pages."""
        def count():
            split, frames = self.figures()
            others = split - self.split - areas
            found[0] = frames - self.frames - PAGES_OF_STRUCT_PAGES * others + areas
            return abs(found[0] - wanted * areas) <= 2
        areas, found = self.memory.areas, [0]
        must(not self.memory.counted or becomes_true(count, 50),
             f"{what}: {found[0]} vmemmap pages for {areas} areas, not {wanted} each")


def take_out(memory):
    """A small page out of the middle of each: what stays in large pieces has few struct pages
    until it is written to."""
    few = 4 if files_share_tails() else 8
    vmemmap = VmemmapPages(memory)
    for area in range(memory.areas):
        page = PAGES // 2 - area % 2
        split_around(memory, area, PAGE, 0, page)
        sizes = memory.folios(area)
        must(sizes == folios_after(0, page), f"there are folios of {sizes}")
    memory.verify()
    vmemmap.expect(few, "a small page is taken out")
    in_child(memory.verify)
    vmemmap.expect(few, "a child has read")

    def child():
        for page in range(0, memory.size // PAGE, 3):
            memory.write(page, 79)
        memory.verify()
    in_child(child)
    memory.verify()
    for page in range(0, memory.size // PAGE, 5):
        memory.write(page, 80)
    memory.verify()
    vmemmap.expect(8, "all pieces are written to")


def bad_requests(memory):
    """Each text for debugfs, and what is to come of it; there is nothing to split in any."""
    child = start(lambda: None)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    everything = os.getpid(), memory.base, memory.size
    for text in ("", "\n", "no numbers", "0", "-1", "1,0x0", "0,0x0", "0x1,0x0,0x1000", ",,,",
                 ",0x0,0x1000", split_request(*everything).replace("0x", ""), "/", "/file",
                 "/" * 300, "/tmp,", "/tmp,0x0", "/tmp,0,1", "/no/such/file,0x0,0x1",
                 split_request(child, *everything[1:]), split_request(2, *everything[1:])):
        yield text, errno.EINVAL
    os.waitpid(child, 0)
    for pid in 0, -1, child, 99999999:
        yield split_request(pid, *everything[1:]), errno.ESRCH
    for order in (9,), (10,), (-1,), (64,), (9, PAGES), (9, -1), (-1, 3):
        yield split_request(*everything, *order), 0
    yield split_request(os.getpid(), memory.base + memory.size, -memory.size), 0
    yield split_request(os.getpid(), memory.base, 0), 0
    yield split_request(os.getpid(), 0, PAGE), 0
    yield split_request(os.getpid(), (1 << 64) - 2 * PAGE, PAGE), 0


def bad_input(memory):
    for text, wanted in bad_requests(memory):
        expect_answer(text, wanted)
        for area in range(memory.areas):
            must(memory.folios(area) == [PAGES], f"'{text}' splits")
        memory.expect_huge(memory.areas, f"'{text}'")
    file = os.open(SPLIT_FILE, os.O_WRONLY)
    try:
        # Nobody can read what is there.
        call("write", file, 8, 16)
        must(False, "what cannot be read was understood")
    except OSError as problem:
        must(problem.errno == errno.EFAULT, f"{problem} of what cannot be read")
    finally:
        os.close(file)


def die_while_split(by_itself, areas=32):
    """Return: whether it was killed before all was split."""
    def child():
        victim = Memory(areas)
        ctypes.memset(victim.base, 1, victim.size)
        os.write(ready[1], struct.pack("Q", victim.base))
        if by_itself:
            ask_to_split(split_request(os.getpid(), victim.base, victim.size))
        signal.pause()
    ready = os.pipe()
    before = vmstat("thp_split_page")
    process = start(child)
    os.close(ready[1])
    base, = struct.unpack("Q", os.read(ready[0], 8).ljust(8))
    os.close(ready[0])
    request = split_request(process, base, areas * HUGE)
    helper = None if by_itself else start(lambda: ask_to_split(request))
    must(becomes_true(lambda: vmstat("thp_split_page") > before, 10000, 0), "nothing is split")
    os.kill(process, signal.SIGKILL)
    in_time = vmstat("thp_split_page") < before + areas
    must(os.waitpid(process, 0)[1] == signal.SIGKILL, "it was not killed")
    must(not helper or os.waitpid(helper, 0)[1] == 0, "who splits what is another's failed")
    return in_time


def die(memory):
    """Processes die in the middle of their split, or when another has them split."""
    for by_itself in True, False:
        for _ in range(3):
            must(any(die_while_split(by_itself) for _ in range(10)),
                 "all was split each time before the process was killed")
    memory.verify()


class Remappings:
    """Areas that get struct pages, or lose them, from now on."""

    INSTANCE = "/sys/kernel/tracing/instances/remappings"

    def __init__(self):
        os.mkdir(self.INSTANCE)
        for event in "populate", "populate_tails", "unpopulate", "unpopulate_tails":
            with open(f"{self.INSTANCE}/events/dynmemmap/dynmemmap_{event}/enable", "w",
                      encoding="ascii") as file:
                file.write("1")

    def end(self):
        """Return: their numbers, one that was remapped twice is there twice."""
        with open(f"{self.INSTANCE}/trace", encoding="ascii") as file:
            numbers = [int(number) for number in re.findall(r" area=(\d+) ", file.read())]
        os.rmdir(self.INSTANCE)
        return numbers


def used_again(memory):
    """Those that were just freed are used again as they are: nothing is remapped."""
    rounds, few, used = 100, Memory(4), set()
    remappings = Remappings() if memory.counted else None
    for seed in range(rounds):
        for page in few.each_middle():
            few.write(page, seed)
            used.add(few.frames(page)[0] // PAGES)
        few.verify(few.each_middle())
        call("madvise", few.base, few.size, MADV_DONTNEED)
    few.free()
    # Others may need memory meanwhile, or give some back.
    times = len([area for area in remappings.end() if area in used]) if memory.counted else 0
    print(f"{len(used)} areas were used, and remapped {times} times")
    must(times <= rounds * few.areas // 10, f"areas were remapped {times} times")


# What splits every huge page, and what leaves them whole in the end.
SPLITTERS = {
    "protect": protect, "unmap": unmap, "discard": discard, "lazy-free": lazy_free,
    "move": move, "lock": lock, "fork-parent-writes": fork_parent_writes,
    "page-out": page_out, "merge": merge, "whole-again": whole_again,
    "uffd-protect": uffd_protect, "uffd-move": uffd_move, "take-out": take_out,
}
OTHERS = {
    "rest": lambda memory: None, "fork-child-writes": fork_child_writes, "collapse": collapse,
    "killed": killed, "move-whole": move_whole, "uffd-move-whole": uffd_move_whole,
    "split-orders": split_orders, "bad-input": bad_input, "die": die, "used-again": used_again,
}


def run_action(name):
    memory = Memory(counted=True)
    memory.expect_huge(0, "at first", 50)
    memory.fill(1)
    memory.expect_huge(AREAS, "filled")
    memory.verify()
    {**SPLITTERS, **OTHERS}[name](memory)
    memory.expect_huge(0 if name in SPLITTERS else AREAS, "afterwards")
    memory.verify()
    for page in range(0, memory.size // PAGE, 7):
        memory.write(page, 2)
    memory.verify()
    memory.free()


def churn(seconds, seed):
    random.seed(seed)
    # KSM and swap take their time for each.
    actions = [*SPLITTERS.values(), merge_some, fork_child_writes, fork_child_writes, collapse,
               collapse, protect, killed, move_whole, split_some]
    actions.remove(merge)
    actions.remove(take_out)
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
                # Nobody promises that there is memory for a huge page, or that a page
                # that was shared with somebody is not any more.
                if action not in (collapse, uffd_move):
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
        split_around(self.memory, page // PAGES, self.random.choice((PAGE, HUGE)),
                     self.random.choice((0, 0, 3, 7, 8)), self.random.randrange(-1, PAGES))

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
    return run_each(run_action, names)


if __name__ == "__main__":
    sys.exit(main())
