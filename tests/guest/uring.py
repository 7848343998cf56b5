# SPDX-License-Identifier: GPL-2.0-only
"""io_uring, one request at a time or several: there is no library for it here."""

import contextlib
import ctypes
import mmap
import os
import struct

from libc import call, must

SETUP, ENTER, REGISTER = 425, 426, 427
REGISTER_BUFFERS, UNREGISTER_BUFFERS = 0, 1
READ_FIXED, WRITE_FIXED, READ, WRITE, SEND_ZC = 4, 5, 22, 23, 47
# Of SEND_ZC, and of completions: more of them will come; this is the one that was to come.
RECVSEND_FIXED_BUF, CQE_F_MORE, CQE_F_NOTIF = 4, 2, 8
ENTER_GETEVENTS = 1
OFFSET_SQES = 0x10000000
SQE_SIZE, CQE_SIZE = 64, 16
ENTRIES = 4


class Ring:
    """With buffers that are registered, each an address and a size."""

    def __init__(self):
        # struct io_uring_params: ten numbers, then the offsets of the two rings.
        params = ctypes.create_string_buffer(120)
        self.fd = call("syscall", SETUP, ENTRIES, ctypes.addressof(params))
        fields = struct.unpack("<10I 8IQ 8IQ", params)
        self.sq_tail, self.sq_mask, sq_array = fields[11], fields[12], fields[16]
        self.cq_head, self.cq_tail, self.cq_mask, self.cqes = *fields[19:22], fields[24]
        size = max(sq_array + 4 * fields[0], self.cqes + CQE_SIZE * fields[1])
        self.promised = 0
        self.rings = mmap.mmap(self.fd, size)
        self.sqes = mmap.mmap(self.fd, SQE_SIZE * fields[0], offset=OFFSET_SQES)
        # Entry N is the Nth of the queue.
        self.rings[sq_array:sq_array + 4 * fields[0]] = struct.pack(
            f"<{fields[0]}I", *range(fields[0]))

    def close(self):
        # At once, and not when the kernel gets round to it.
        with contextlib.suppress(OSError):
            self.unregister()
        self.rings.close()
        self.sqes.close()
        os.close(self.fd)

    def _get(self, offset):
        return struct.unpack_from("<I", self.rings, offset)[0]

    def _advance(self, offset):
        struct.pack_into("<I", self.rings, offset, (self._get(offset) + 1) & 0xffffffff)

    def register(self, *buffers):
        vectors = (ctypes.c_ulong * (2 * len(buffers)))(*(word for pair in buffers for word in pair))
        call("syscall", REGISTER, self.fd, REGISTER_BUFFERS, ctypes.addressof(vectors),
             len(buffers))

    def unregister(self):
        call("syscall", REGISTER, self.fd, UNREGISTER_BUFFERS, 0, 0)

    def submit(self, opcode, fd, address, size, at=0, index=0, priority=0):
        """At most ENTRIES of them, until each has been waited for."""
        entry = self._get(self.sq_tail) & self._get(self.sq_mask)
        struct.pack_into("<BBHiQQIIQH22x", self.sqes, entry * SQE_SIZE, opcode, 0, priority, fd,
                         at, address, size, 0, 0, index)
        self._advance(self.sq_tail)
        call("syscall", ENTER, self.fd, 1, 0, 0, 0, 0)

    def _complete(self):
        """The next completion: its result, and its flags."""
        head = self._get(self.cq_head)
        while self._get(self.cq_tail) == head:
            call("syscall", ENTER, self.fd, 0, 1, ENTER_GETEVENTS, 0, 0)
        done = self.cqes + CQE_SIZE * (head & self._get(self.cq_mask))
        self._advance(self.cq_head)
        return struct.unpack_from("<8xiI", self.rings, done)

    def wait(self):
        """For one that is complete: bytes, or -errno."""
        return self._complete()[0]

    def transfer(self, *args, **more):
        """Between a file and memory, or a part of the registered buffer INDEX."""
        self.submit(*args, **more)
        return self.wait()

    def send(self, fd, address, size, index=0):
        """A part of the registered buffer INDEX, without a copy: bytes, or -errno."""
        self.submit(SEND_ZC, fd, address, size, 0, index, RECVSEND_FIXED_BUF)
        result, flags = self._complete()
        while flags & CQE_F_NOTIF:
            self.promised -= 1
            result, flags = self._complete()
        self.promised += bool(flags & CQE_F_MORE)
        return result

    def sent(self):
        """Wait until the memory of all that was sent is needed no more."""
        while self.promised:
            must(self._complete()[1] & CQE_F_NOTIF, "a completion of nothing")
            self.promised -= 1
