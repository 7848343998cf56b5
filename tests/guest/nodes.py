#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Move huge pages between nodes 0 and 1, in one piece, and verify every byte.

usage: nodes.py [--files STATE] ACTION...
       nodes.py commute PID

  move          by move_pages(), and back by the address of a small page of each
  move-parts    while they are mapped by PTEs
  move-shared   while a child has some of it mapped by PTEs
  move-forked   while a child has written to some of it
  move-cut      while their mapping is cut, again and again
  move-files    a memfd; its areas are STATE (huge, split, none) while it is whole
  balance       by NUMA balancing: who reads it runs on the other node
  balance-parts the same while they are mapped by PTEs
  demote        by reclaiming from this control group, to node 1, which is slower
  demote-parts  the same while they are mapped by PTEs
  promote       the same and, because somebody reads it, back

commute moves all memory of another process to and fro until that has ended, and says how
often. Where areas are counted, looks how many each node has. Says which ACTION failed and
how.
"""

import ctypes
import itertools
import mmap
import os
import sys
import threading

from areas import LOOKS, Areas, maps_whole, put
from huge import PAGE, PAGES, PROT_READ, PROT_RW, Memory, protect, vmstat
from libc import HUGE, LIBC, call, in_child, map_areas, must, run_each, start

MIGRATE_PAGES, MOVE_PAGES = 256, 279
MPOL_MF_MOVE, MPOL_MF_MOVE_ALL = 2, 4
AREAS = 12
# What else comes and goes meanwhile.
FEW = 5
# So often something is tried that takes some time.
TRIES = 1500
CUTS = 25
LIBC.syscall.restype = ctypes.c_long


def migrate_pages(pid, old, new):
    masks = [ctypes.c_ulong(1 << node) for node in (old, new)]
    call("syscall", MIGRATE_PAGES, pid, 64, *map(ctypes.addressof, masks))


def run_on(node):
    with open(f"/sys/devices/system/node/node{node}/cpulist", encoding="ascii") as file:
        cpus = set()
        for part in file.read().strip().split(","):
            first, _, last = part.partition("-")
            cpus |= set(range(int(first), int(last or first) + 1))
    os.sched_setaffinity(0, cpus & os.sched_getaffinity(1))


def try_move_pages(addresses, node=None, flags=MPOL_MF_MOVE):
    """How many are not moved; and where each is then, or a negative error number."""
    nr = len(addresses)
    pages = (ctypes.c_void_p * nr)(*addresses)
    nodes = (ctypes.c_int * nr)(*[node] * nr) if node is not None else None
    status = (ctypes.c_int * nr)()
    left = call("syscall", MOVE_PAGES, 0, nr, ctypes.addressof(pages),
                ctypes.addressof(nodes) if nodes else 0, ctypes.addressof(status), flags)
    return left, list(status)


def move_pages(addresses, node=None, flags=MPOL_MF_MOVE):
    """All of them; where each is then, or a negative error number."""
    left, places = try_move_pages(addresses, node, flags)
    must(left == 0, "move_pages() did not move all")
    return places


class Nodes:
    """Areas of each node: how many more than now."""

    def __init__(self):
        self.areas = [Areas(0), Areas(1)]

    def expect(self, node, state, number, looks=1):
        """@number areas of @state are more than before, and none are huge otherwise."""
        huge = number if state == "huge" else 0
        split = range(number - FEW, number + 100) if state == "split" else None
        self.areas[node].expect(range(huge, huge + 1), split, looks)


class Folios(Memory):
    """Huge pages of node 0, filled."""

    def __init__(self):
        super().__init__(AREAS)
        run_on(0)
        self.nodes = Nodes()
        self.fill(1)
        self.split = vmstat("thp_split_page")
        self.expect_on(0, "huge")

    def heads(self):
        return range(self.base, self.base + self.size, HUGE)

    def expect_on(self, node, state):
        """Nothing of it was split."""
        places = move_pages(list(self.heads()))
        must(places == [node] * AREAS, f"it is on nodes {places}")
        must(all(map(maps_whole, self.heads())), "it is not in huge pages")
        split = vmstat("thp_split_page") - self.split
        must(split == 0, f"{split} huge pages were split")
        self.nodes.expect(node, state, AREAS)
        self.nodes.expect(1 - node, state, 0, LOOKS)
        self.verify()

    def expect_all_on(self, node):
        """Whether it was split or not."""
        places = set(move_pages(list(range(self.base, self.base + self.size, PAGE))))
        must(places == {node}, f"it is on nodes {places}")
        self.verify()

    def move(self, node, state, flags=MPOL_MF_MOVE, page=0):
        places = move_pages([head + page * PAGE for head in self.heads()], node, flags)
        must(places == [node] * AREAS, f"it is moved to {places}")
        self.expect_on(node, state)

    def balance(self, mode, counter):
        """Read somewhere in each huge page, until NUMA balancing has moved them."""
        before = vmstat(counter)
        put(mode, "/proc/sys/kernel/numa_balancing")
        for _ in range(TRIES):
            self.verify(range(3, self.size // PAGE, 64))
            if vmstat(counter) - before >= AREAS * PAGES:
                break
        put("0", "/proc/sys/kernel/numa_balancing")
        moved = vmstat(counter) - before
        must(moved >= AREAS * PAGES, f"{counter} grows by {moved}")


def move(memory):
    memory.move(1, "huge")
    memory.move(0, "huge", page=77)
    memory.move(1, "huge", MPOL_MF_MOVE_ALL)


def move_parts(memory):
    protect(memory)
    memory.move(1, "split")
    # While it was moved it was mapped in part, so this splits it.
    migrate_pages(os.getpid(), 1, 0)
    memory.expect_all_on(0)


class Child:
    """A child that begins with @function and, when it is told to, verifies @memory and ends."""

    def __init__(self, memory, function):
        def child():
            function(memory)
            os.write(said[1], b"!")
            os.read(told[0], 1)
            memory.verify()
        said, told = os.pipe(), os.pipe()
        self.process, self.ends = start(child), (*said, *told)
        must(os.read(said[0], 1), "the child failed")

    def end(self):
        os.write(self.ends[3], b"!")
        must(os.waitpid(self.process, 0)[1] == 0, "the child failed")
        for end in self.ends:
            os.close(end)


def move_shared(memory):
    child = Child(memory, protect)
    memory.move(1, "split", MPOL_MF_MOVE_ALL)
    child.end()
    # Only PMDs map it.
    memory.nodes.expect(1, "huge", AREAS, LOOKS)
    memory.expect_on(1, "huge")


def move_forked(memory):
    def write(memory):
        for page in memory.each_middle():
            memory.write(page, 55)
    child = Child(memory, write)
    memory.move(1, "split", MPOL_MF_MOVE_ALL)
    for page in memory.each_middle():
        memory.write(page + 1, 56)
    child.end()


def move_cut(memory):
    def move_to_and_fro():
        for node in itertools.cycle((1, 0)):
            if done.is_set():
                break
            try_move_pages(list(memory.heads()), node)
    done = threading.Event()
    mover = threading.Thread(target=move_to_and_fro)
    mover.start()
    try:
        for seed in range(CUTS):
            memory.map_all_anew()
            memory.fill(seed)
            protect(memory)
    finally:
        done.set()
        mover.join()


def balance(memory):
    run_on(1)
    memory.balance("1", "numa_pages_migrated")
    memory.expect_on(1, "huge")


def balance_parts(memory):
    protect(memory)
    run_on(1)
    memory.balance("1", "numa_pages_migrated")
    memory.expect_on(1, "split")


def demoted():
    return sum(vmstat(f"pgdemote_{who}") for who in ("kswapd", "direct", "khugepaged", "proactive"))


def reclaim(memory, step):
    """From this control group, until what lies at each @step of @memory has gone to node 1."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        group = "/sys/fs/cgroup" + file.read().strip().partition("::")[2]
    before = demoted()
    for _ in range(TRIES):
        if set(move_pages(list(range(memory.base, memory.base + memory.size, step)))) == {1}:
            break
        try:
            put(str(AREAS * HUGE), f"{group}/memory.reclaim")
        except BlockingIOError:
            # It has tried, and found less.
            pass
    must(demoted() - before >= AREAS * PAGES, f"{demoted() - before} pages were demoted")


def demote(memory):
    reclaim(memory, HUGE)
    memory.expect_on(1, "huge")


def demote_parts(memory):
    """As with move_parts(), reclaim may find it mapped in part, and split it."""
    protect(memory)
    reclaim(memory, PAGE)
    memory.expect_all_on(1)


def promote(memory):
    demote(memory)
    memory.balance("2", "pgpromote_success")
    memory.expect_on(0, "huge")


def move_files(state):
    """A memfd, mapped by PMDs and mapped by PTEs."""
    size = AREAS * HUGE
    wanted = ctypes.create_string_buffer(os.urandom(PAGE) * (size // PAGE), size)
    run_on(0)
    nodes = Nodes()
    fd = os.memfd_create("huge")
    os.ftruncate(fd, size)
    view = map_areas(size, mmap.MAP_SHARED, fd)
    ctypes.memmove(view, wanted, size)
    heads = list(range(view, view + size, HUGE))

    def verify():
        must(LIBC.memcmp(ctypes.c_long(view), wanted, ctypes.c_long(size)) == 0,
             "it does not hold what was written")

    def expect_on(node):
        verify()
        must(all(map(maps_whole, heads)), "it is not in huge pages")
        nodes.expect(node, state, AREAS)
        nodes.expect(1 - node, state, 0, LOOKS)

    expect_on(0)
    must(move_pages(heads, 1) == [1] * AREAS, "it is not moved")
    expect_on(1)
    for head in heads:
        call("mprotect", head + 5 * PAGE, PAGE, PROT_READ)
    verify()
    call("mprotect", view, size, PROT_RW)
    must(move_pages(heads, 0) == [0] * AREAS, "it is not moved while it is mapped by PTEs")
    expect_on(0)
    os.close(fd)
    call("munmap", view, size)


def commute(pid):
    trips = 0
    while True:
        try:
            migrate_pages(pid, trips % 2, 1 - trips % 2)
        except ProcessLookupError:
            return trips
        trips += 1


ACTIONS = {function.__name__.replace("_", "-"): function for function in (
    move, move_parts, move_shared, move_forked, move_cut, balance, balance_parts, demote,
    demote_parts, promote)}


def run_action(name, state):
    if name == "move-files":
        in_child(lambda: move_files(state))
        return
    memory = Folios()
    ACTIONS[name](memory)
    memory.verify()
    memory.free()


def main():
    names, state = sys.argv[1:], None
    if names[0] == "commute":
        print(f"{commute(int(names[1]))} trips")
        return 0
    if names[0] == "--files":
        state, names = names[1], names[2:]
    return run_each(lambda name: run_action(name, state), names)


if __name__ == "__main__":
    sys.exit(main())
