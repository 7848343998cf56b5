# SPDX-License-Identifier: GPL-2.0-only
"""What the programs of the guest tests have in common."""

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = LIBC.mremap.restype = ctypes.c_long


def must(value, what):
    if not value:
        raise AssertionError(what)


def call(name, *args):
    """A function of the C library, by its name; addresses and sizes are long."""
    result = getattr(LIBC, name)(*map(ctypes.c_long, args))
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result
