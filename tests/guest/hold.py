#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Hold memory, and tell whether it still reads as it was written.

usage: hold.py STATUS MIB [KIND]

  KIND  anon     small pages of this process (this is the default)
        thp      huge pages if possible
        apart    huge pages that are mapped page by page
        sparse   one small page of every four, the others freed again
        ksm      the same contents in every such process, mergeable
        hugetlb  pages of 2 MiB; gigantic: of 1 GiB
        shm      shared anonymous memory
        pipe     pages that cannot be moved: what lies in pipes
        pinned   small pages, of which every 64th lies in a pipe as well, so that it
                 can be moved only when that is gone
        /FILE    that file

Writes "ready" to the file STATUS when the memory is filled. At SIGUSR1 looks at
all of it and writes "good" or "bad at OFFSET"; ends at SIGTERM.
"""

import mmap
import os
import resource
import signal
import sys

MIB = 1 << 20
# As much at a time as malloc() has without asking the kernel for memory.
CHUNK = 1 << 16
PAGE = mmap.PAGESIZE
SPARSE = 4 * PAGE
PINNED = 64 * PAGE
HUGE = 512 * PAGE
SLOTS = 16
MADV_MERGEABLE, MADV_HUGEPAGE, MADV_NOHUGEPAGE = 12, 14, 15
MAP_HUGETLB, MAP_HUGE_SHIFT = 0x40000, 26


class Pattern:
    """Pages that compress well and differ from each other, and no chunk is like another."""

    def __init__(self, kind):
        words = os.urandom(8 * (MIB // PAGE))
        if kind == "ksm":
            words = b"".join(index.to_bytes(8, "big") for index in range(1, MIB // PAGE + 1))
        pages = b"".join(words[i:i + 8] * (PAGE // 8) for i in range(0, len(words), 8))
        self.pages = pages + pages[:CHUNK]
        self.view = memoryview(self.pages)

    def of(self, index):
        """The chunk of that number, in two parts."""
        shift = index * (PAGE + 8) % MIB
        return index.to_bytes(8, "little"), self.view[shift + 8:shift + CHUNK]

    def is_part(self, index, data, offset):
        """Is this what the chunk has at offset? Nothing is copied to find out."""
        data = memoryview(data)
        if not offset:
            if data[:8] != index.to_bytes(8, "little"):
                return False
            data, offset = data[8:], 8
        return self.pages.startswith(data, index * (PAGE + 8) % MIB + offset)


class Pipes:
    """As much as CHUNK lies in each; reading takes it out and puts it back."""

    def __init__(self, size):
        files = 2 * size // CHUNK + 100
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        self.pipes = [os.pipe() for _ in range(size // CHUNK)]

    def put(self, index, *parts):
        os.writev(self.pipes[index][1], parts)

    def __getitem__(self, place):
        index = place.start // CHUNK
        data = os.read(self.pipes[index][0], CHUNK)
        self.put(index, data)
        return data


def pin(memory, size):
    """Others find such pages where they were, in a zone for movable pages, too."""
    # It takes long to import.
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    pipe = None
    for index, offset in enumerate(range(0, size, PINNED)):
        if index % SLOTS == 0:
            pipe = os.pipe()
        part = (ctypes.c_size_t * 2)(start + offset, PAGE)
        if libc.vmsplice(pipe[1], part, ctypes.c_size_t(1), 0) != PAGE:
            raise OSError(ctypes.get_errno(), "vmsplice")


class Memory:
    """Slices of it are views."""

    def __init__(self, size, kind):
        self.map = get_map(size, kind)
        self.view = memoryview(self.map)
        self.advise = self.map.madvise

    def put(self, index, *parts):
        start = index * CHUNK
        for part in parts:
            self.view[start:start + len(part)] = part
            start += len(part)

    def __getitem__(self, place):
        return self.view[place]


def get_map(size, kind):
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    advice = {"anon": MADV_NOHUGEPAGE, "sparse": MADV_NOHUGEPAGE,
              "pinned": MADV_NOHUGEPAGE, "thp": MADV_HUGEPAGE, "apart": MADV_HUGEPAGE,
              "ksm": MADV_MERGEABLE}.get(kind)
    if kind == "hugetlb":
        flags |= MAP_HUGETLB | 21 << MAP_HUGE_SHIFT
    elif kind == "gigantic":
        flags |= MAP_HUGETLB | 30 << MAP_HUGE_SHIFT
    elif kind == "shm":
        flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
    elif kind.startswith("/"):
        fd = os.open(kind, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(fd, size)
        return mmap.mmap(fd, size, mmap.MAP_SHARED)
    memory = mmap.mmap(-1, size, flags)
    if advice is not None:
        memory.madvise(advice)
    return memory


def say(path, text):
    """All at once: who waits for it reads as soon as there is anything."""
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(text + "\n")
    os.rename(path + ".new", path)


def check(memory, chunks, pattern, sparse):
    step, size = (SPARSE, PAGE) if sparse else (CHUNK, CHUNK)
    for index in range(chunks):
        for offset in range(0, CHUNK, step):
            start = index * CHUNK + offset
            if not pattern.is_part(index, memory[start:start + size], offset):
                return f"bad at {start:#x}"
    return "good"


def main():
    status, mib = sys.argv[1], int(sys.argv[2])
    kind = sys.argv[3] if len(sys.argv) > 3 else "anon"
    signals = {signal.SIGUSR1, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    pattern, chunks = Pattern(kind), mib * MIB // CHUNK
    try:
        memory = Pipes(mib * MIB) if kind == "pipe" else Memory(mib * MIB, kind)
    except OSError as error:
        say(status, f"failed: {error.strerror}")
        return 1
    for index in range(chunks):
        memory.put(index, *pattern.of(index))
    if kind == "sparse":
        for start in range(0, mib * MIB, SPARSE):
            memory.advise(mmap.MADV_DONTNEED, start + PAGE, SPARSE - PAGE)
    if kind == "apart":
        for start in range(0, mib * MIB, HUGE):
            # One mapping ends inside each, and another one begins.
            memory.advise(mmap.MADV_DONTFORK, start + PAGE, PAGE)
    if kind == "pinned":
        pin(memory.map, mib * MIB)
    say(status, "ready")
    while signal.sigwait(signals) == signal.SIGUSR1:
        say(status, check(memory, chunks, pattern, kind == "sparse"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
