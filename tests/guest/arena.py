#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Memory that BPF programs share with user space: no fault in it may wait for a lock."""

import ctypes
import mmap
import os
import struct
import sys

from libc import LIBC, call, must

SYS_BPF = 321
BPF_MAP_CREATE = 0
BPF_MAP_TYPE_ARENA = 33
BPF_F_MMAPABLE = 1 << 10
PAGE = mmap.PAGESIZE


def make_arena(pages):
    """Return: its file descriptor."""
    # Type, sizes of keys and values, entries, flags; then what is 0, down to map_extra.
    attr = struct.pack("<5I", BPF_MAP_TYPE_ARENA, 0, 0, pages, BPF_F_MMAPABLE).ljust(72, b"\0")
    buffer = ctypes.create_string_buffer(attr, len(attr))
    fd = LIBC.syscall(SYS_BPF, BPF_MAP_CREATE, buffer, len(attr))
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return fd


def main(mib):
    pages = mib << 20 >> 12
    memory = call("mmap", 0, pages * PAGE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED,
                  make_arena(pages), 0)
    view = (ctypes.c_char * (pages * PAGE)).from_address(memory)
    for page in range(pages):
        struct.pack_into("<Q", view, page * PAGE, page * 0x9e3779b97f4a7c15 % 2**64)
    for page in range(pages):
        must(struct.unpack_from("<QQ", view, page * PAGE) ==
             (page * 0x9e3779b97f4a7c15 % 2**64, 0), "other contents")


main(int(sys.argv[1]))
