# SPDX-License-Identifier: GPL-2.0-only
"""What the programs of the guest tests have in common."""

import ctypes
import errno
import functools
import mmap
import os
import time
import zlib

HUGE = 2 << 20
DM = "/sys/kernel/mm/dynamic_memmap"
MAP_FIXED = 0x10
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = LIBC.mremap.restype = ctypes.c_long


def must(value, what):
    if not value:
        raise AssertionError(what)


def run_each(function, names):
    """Call it with one after the other until one fails, and say which did.
    Return: the exit status."""
    for name in names:
        try:
            function(name)
        except (AssertionError, OSError) as error:
            print(f"{name}: {error}")
            return 1
    return 0


def patiently(function, *args):
    """Where a test has memory run out, nothing has changed then, and it is tried again."""
    while True:
        try:
            return function(*args)
        except OSError as error:
            if error.errno != errno.ENOMEM or "MEMORY_RUNS_OUT" not in os.environ:
                raise


def error_of(function):
    """The errno that it fails with, or 0."""
    try:
        function()
    except OSError as problem:
        return problem.errno
    return 0


def call_once(name, *args):
    result = getattr(LIBC, name)(*map(ctypes.c_long, args))
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def call(name, *args):
    """A function of the C library, by its name; addresses and sizes are long."""
    return patiently(call_once, name, *args)


def start(function):
    """A child that runs it. Its status is 0 unless that raises something."""
    child = os.fork()
    if not child:
        status = 1
        try:
            function()
            status = 0
        except (AssertionError, OSError) as error:
            print(error, flush=True)
        finally:
            os._exit(status)
    return child


def in_child(function):
    """Run it in a child; it must succeed."""
    must(os.waitpid(start(function), 0)[1] == 0, "the child failed")


def map_areas(size, flags, fd=-1, offset=0):
    """Memory that begins with an area, and a hole of one area after it."""
    room = call("mmap", 0, size + 2 * HUGE, mmap.PROT_READ,
                mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    base = (room + HUGE - 1) // HUGE * HUGE
    call("munmap", base, size + HUGE)
    return call("mmap", base, size, mmap.PROT_READ | mmap.PROT_WRITE,
                flags | MAP_FIXED, fd, offset)


def number_in(path):
    with open(path, encoding="ascii") as file:
        return int(file.read())


def is_dynamic():
    return os.path.isdir(DM)


def figure(name):
    """Of dynamic memmap."""
    return number_in(f"{DM}/{name}")


def vmstat(name):
    with open("/proc/vmstat", encoding="ascii") as file:
        return int(dict(line.split() for line in file)[name])


def pages_pinned():
    """What each CPU has counted for itself is added first."""
    with open("/proc/sys/vm/stat_refresh", "rb") as file:
        file.read()
    return vmstat("nr_foll_pin_acquired") - vmstat("nr_foll_pin_released")


@functools.cache
def files_share_tails():
    """Huge pages of files, too, and the parts of any: where nobody counts the mappings of
    each page."""
    with open("/proc/config.gz", "rb") as file:
        return b"\nCONFIG_NO_PAGE_MAPCOUNT=y\n" in zlib.decompress(file.read(), zlib.MAX_WBITS | 16)


def expect_shared_tails(kind, number):
    """Memory of this kind is so many areas that are HUGE now, beside those that were when
    there was none of it: $AREAS_HUGE. Pages of hugetlb were before."""
    if not is_dynamic() or (kind == "shm" and not files_share_tails()):
        return
    if kind == "hugetlb":
        number = 0
    for _ in range(50):
        # Those in the cache are nobody's, and a worker may empty it meanwhile.
        found = -figure("cached_areas") + figure("areas_huge") - int(os.environ["AREAS_HUGE"])
        if found >= number:
            return
        time.sleep(0.1)
    raise AssertionError(f"{kind}: {found} areas have shared tails, and not {number}")
