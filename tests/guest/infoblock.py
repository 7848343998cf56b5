#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Let a namespace hold its own struct pages, as a kernel that needs them made it.

usage: infoblock.py DISK

DISK is the raw namespace. What its info block says of itself is changed: where its
data begins, and that there is room for struct pages before it.
"""

import os
import struct
import sys

AT, SIZE = 4096, 4096
SIGNATURES = (b"NVDIMM_PFN_INFO\0", b"NVDIMM_DAX_INFO\0")
# Signature, UUIDs, flags and version; data offset, pages, mode; padding, truncated, alignment.
FIELDS = struct.Struct("<16s40sQQIIII")
IN_RAM, ON_DEVICE = 1, 2
PAGE, STRUCT_PAGE, RESERVE = 4096, 64, 8192


def checksum(words):
    """Fletcher's, of 64 bits."""
    low = high = 0
    for word in words:
        low = (low + word) & 0xffffffff
        high += low
    return (high << 32 | low) & 0xffffffffffffffff


def hold_struct_pages(block, size):
    signature, names, _, _, mode, pad, truncated, align = FIELDS.unpack_from(block)
    if signature not in SIGNATURES or mode != IN_RAM:
        sys.exit("infoblock: its struct pages are not in RAM")
    needed = RESERVE + (size - RESERVE) // PAGE * STRUCT_PAGE
    offset = (needed + align - 1) // align * align
    FIELDS.pack_into(block, 0, signature, names, offset, (size - offset - truncated) // PAGE,
                     ON_DEVICE, pad, truncated, align)
    block[-8:] = bytes(8)
    block[-8:] = struct.pack("<Q", checksum(struct.unpack(f"<{SIZE // 4}I", block)))


def main():
    fd = os.open(sys.argv[1], os.O_RDWR | os.O_SYNC)
    block = bytearray(os.pread(fd, SIZE, AT))
    hold_struct_pages(block, os.lseek(fd, 0, os.SEEK_END))
    os.pwrite(fd, block, AT)
    os.close(fd)


if __name__ == "__main__":
    main()
