#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Send huge pages without copying them, and verify every byte.

usage: net.py ROUTE KIND send WAY
       net.py ROUTE KIND kill ROUNDS SEED
       net.py ROUTE KIND refused|vanish|cut
       net.py big DEVICE...

  ROUTE  lo, veth to the network namespace "far", or unix for a socket of that kind
  KIND   thp, shm, hugetlb, or a file on a file system mounted with -o dax
  WAY    zerocopy (MSG_ZEROCOPY), uring (a registered buffer), vmsplice and splice
         (both into a pipe first), sendfile

kill ends the sender, the receiver or both at random moments; vanish has the memory go
in the middle of a transfer, cut the file. big allows packets of more than 64 KiB, so
that more than a page has to go into each of their fragments. Says what failed and how.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import random
import select
import signal
import socket
import struct
import sys
import threading

from libc import HUGE, LIBC, MAP_FIXED, call, expect_shared_tails, map_areas, must, start
from uring import Ring

PAGE = mmap.PAGESIZE
AREAS = 3
SIZE = AREAS * HUGE
PACKET = 256 << 10
ADDRESS = {"lo": "127.0.0.1", "veth": "10.0.0.2"}
MADV_HUGEPAGE = 14
MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB = 1, 2, 4
F_SEAL_WRITE = 8
CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE, SO_ZEROCOPY, MSG_ZEROCOPY, SO_EE_ORIGIN_ZEROCOPY = 33, 60, 0x4000000, 5
PAGEMAP_SCAN, PAGE_IS_PRESENT, PAGE_IS_HUGE = 0xC0606610, 1 << 3, 1 << 6
RTM_NEWLINK, NLM_F_REQUEST_ACK, IFLA_GSO_IPV4_MAX_SIZE = 16, 5, 63
# Where transfers begin and how long they are: whole areas, and what is odd.
PARTS = ((0, SIZE), (3 * PAGE + 512, HUGE), (HUGE - 512, PAGE), (PAGE, HUGE - PAGE),
         (2 * HUGE - 100, 200), (5 * PAGE + 7, 64 << 10))


def contents_of(kind):
    """Each page is different."""
    rest = random.Random(kind).randbytes(PAGE - 8)
    return b"".join(struct.pack("<Q", page) + rest for page in range(SIZE // PAGE))


def is_dax(kind):
    return kind.startswith("/")


def iovec(address, size):
    return (ctypes.c_long * 2)(address, size)


class Source:
    """Huge pages to send from. Those of a file have their contents already."""

    def __init__(self, file, contents=None):
        self.file = file
        flags = mmap.MAP_SHARED if file >= 0 else mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self.base = map_areas(SIZE, flags, file)
        try:
            call("madvise", self.base, SIZE, MADV_HUGEPAGE)
        except OSError as error:
            # Those of hugetlb are huge anyway.
            must(error.errno == errno.EINVAL, error)
        if contents:
            ctypes.memmove(self.base, contents, SIZE)
        for area in range(AREAS):
            ctypes.string_at(self.base + area * HUGE, 1)
        must(self.huge_bytes() == SIZE, "it is not mapped by huge pages")
        expect_shared_tails(sys.argv[2], AREAS)

    def huge_bytes(self):
        regions = (ctypes.c_long * 30)()
        wanted = PAGE_IS_PRESENT | PAGE_IS_HUGE
        with open("/proc/self/pagemap", "rb") as pagemap:
            fcntl.ioctl(pagemap, PAGEMAP_SCAN, struct.pack(
                "12Q", 96, 0, self.base, self.base + SIZE, 0, ctypes.addressof(regions), 10,
                0, 0, wanted, 0, wanted))
        return sum(regions[i + 1] - regions[i] for i in range(0, 30, 3))

    def unmap(self):
        call("munmap", self.base, SIZE)


def make_file(kind, contents):
    """What a source maps: a file with its contents, or -1 for none."""
    if kind == "thp":
        return -1
    if is_dax(kind):
        file = os.open(kind, os.O_RDWR | os.O_CREAT)
        os.posix_fallocate(file, 0, SIZE)
    else:
        file = os.memfd_create(kind, MFD_CLOEXEC | MFD_ALLOW_SEALING |
                               (MFD_HUGETLB if kind == "hugetlb" else 0))
        os.ftruncate(file, SIZE)
    Source(file, contents).unmap()
    return file


def expect_released(kind, file):
    """No page of it has a reference left: that is what sealing looks for."""
    if file < 0 or is_dax(kind):
        return
    for _ in range(20):
        try:
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, F_SEAL_WRITE)
            return
        except OSError as error:
            # It has waited already, and it may be that others were not quick enough.
            must(error.errno == errno.EBUSY, error)
    raise AssertionError("references to pages of the file are left")


class Way:
    """One way to send; send() makes one call of the system, which may be short."""

    def __init__(self, sock, source):
        self.sock, self.source = sock, source

    def send(self, at, size):
        raise NotImplementedError

    def send_all(self, at, size):
        end = at + size
        while at < end:
            sent = self.send(at, end - at)
            must(sent > 0, "nothing was sent")
            at += sent

    def finish(self):
        """Whatever else has to come."""


class Zerocopy(Way):
    def __init__(self, sock, source):
        super().__init__(sock, source)
        self.calls = 0
        sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)

    def send(self, at, size):
        sent = call("send", self.sock.fileno(), self.source.base + at, size, MSG_ZEROCOPY)
        self.calls += 1
        return sent

    def finish(self):
        """The kernel says for each call that it needs the memory no more."""
        done = 0
        poll = select.poll()
        poll.register(self.sock, 0)
        while done < self.calls:
            must(poll.poll(300000), "not all transfers are told to be complete")
            _, control, _, _ = self.sock.recvmsg(0, 100, socket.MSG_ERRQUEUE)
            for _, _, data in control:
                error, origin, _, _, _, first, last = struct.unpack("=IBBBBII", data[:16])
                must((error, origin) == (0, SO_EE_ORIGIN_ZEROCOPY), "no completion")
                done += last - first + 1
        must(done == self.calls, f"{self.calls} transfers were completed {done} times")


class Piped(Way):
    """Into a pipe first."""

    PIPE_SIZE = 1 << 20

    def __init__(self, sock, source):
        super().__init__(sock, source)
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, self.PIPE_SIZE)

    def fill(self, at, size):
        raise NotImplementedError

    def send(self, at, size):
        size = self.fill(at, min(size, self.PIPE_SIZE))
        left = size
        while left:
            left -= os.splice(self.reader, self.sock.fileno(), left)
        return size


class Vmsplice(Piped):
    def fill(self, at, size):
        piece = iovec(self.source.base + at, size)
        return call("vmsplice", self.writer, ctypes.addressof(piece), 1, 0)


class Splice(Piped):
    def fill(self, at, size):
        return os.splice(self.source.file, self.writer, size, offset_src=at)


class Sendfile(Way):
    def send(self, at, size):
        return os.sendfile(self.sock.fileno(), self.source.file, at, size)


class Uring(Way):
    """From a registered buffer, which is pinned all the time."""

    def __init__(self, sock, source):
        super().__init__(sock, source)
        self.ring = Ring()
        self.ring.register((source.base, SIZE))

    def send(self, at, size):
        sent = self.ring.send(self.sock.fileno(), self.source.base + at, size)
        if sent < 0:
            raise OSError(-sent, os.strerror(-sent))
        return sent

    def finish(self):
        self.ring.sent()


WAYS = {"zerocopy": Zerocopy, "vmsplice": Vmsplice, "splice": Splice, "sendfile": Sendfile,
        "uring": Uring}


def ways_of(kind, route="lo"):
    """What there is for it: not all is a file, not all files do all of it."""
    if route == "unix":
        return [way for way in ways_of(kind) if way not in ("zerocopy", "uring")]
    names = {"thp": ["zerocopy", "vmsplice", "uring"], "hugetlb": ["zerocopy", "vmsplice", "uring"],
             "shm": list(WAYS)}
    # A registered buffer is pinned for ever, and file systems do not allow that.
    return names.get(kind, ["zerocopy", "vmsplice", "splice", "sendfile"])


def enter(path):
    file = os.open(path, os.O_RDONLY)
    call("setns", file, CLONE_NEWNET)
    os.close(file)


def listen(route, room=1 << 20):
    """Where the other end is to be; it takes about so much before somebody reads it."""
    if route == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"\0{os.getpid()}")
        listener.listen()
        return listener
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    if route == "veth":
        enter("/run/netns/far")
    listener = socket.create_server((ADDRESS[route], 0))
    listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, room)
    call("setns", home, CLONE_NEWNET)
    os.close(home)
    return listener


def connect(listener):
    sock = socket.socket(listener.family)
    sock.connect(listener.getsockname())
    return sock


def accept(listener, child=None):
    """The other end, unless that ends before."""
    if child:
        process = os.pidfd_open(child)
        must(listener in select.select([listener, process], [], [])[0], "the sender failed")
        os.close(process)
    peer, _ = listener.accept()
    # So that it is said where it hangs.
    peer.settimeout(600)
    return peer


class Receiver:
    """What comes is compared with what repeats itself in the stream."""

    BUFFER_SIZE = 1 << 20

    def __init__(self, peer, contents):
        self.peer = peer
        # What begins anywhere in it goes on behind its end.
        self.wanted = ctypes.create_string_buffer(contents + contents[:self.BUFFER_SIZE])
        self.buffer = ctypes.create_string_buffer(self.BUFFER_SIZE)

    def receive(self, at, size):
        """Returns how much came: less than size if it ends before."""
        done = 0
        while done < size:
            number = self.peer.recv_into(self.buffer, min(size - done, self.BUFFER_SIZE))
            if not number:
                break
            wanted = ctypes.byref(self.wanted, (at + done) % SIZE)
            must(LIBC.memcmp(self.buffer, wanted, ctypes.c_size_t(number)) == 0,
                 f"other contents within {number} bytes at {at + done:#x}")
            done += number
        return done


def send(route, kind, way):
    contents = contents_of(kind)
    file, listener = make_file(kind, contents), listen(route)

    def sender():
        source = Source(file, contents if file < 0 else None)
        with connect(listener) as sock:
            means = WAYS[way](sock, source)
            for part in PARTS:
                means.send_all(*part)
            means.finish()

    child = start(sender)
    receiver = Receiver(accept(listener, child), contents)
    for at, size in PARTS:
        must(receiver.receive(at, size) == size, "the stream ends too early")
    must(receiver.receive(0, 1) == 0, "the stream does not end")
    must(os.waitpid(child, 0)[1] == 0, "the sender failed")
    expect_released(kind, file)


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def kill(route, kind, rounds, seed):
    """Between the two ends there are always some huge pages when one of them goes."""
    contents = contents_of(kind)
    file, listener = make_file(kind, contents), listen(route)
    chance = random.Random(int(seed))

    def sender(way, chunk):
        source = Source(file, contents if file < 0 else None)
        with connect(listener) as sock:
            means = WAYS[way](sock, source)
            try:
                while True:
                    for at in range(0, SIZE, chunk):
                        means.send_all(at, min(chunk, SIZE - at))
            except (BrokenPipeError, ConnectionResetError):
                pass

    receiver = Receiver(None, contents)
    for turn in range(int(rounds)):
        way, end = chance.choice(ways_of(kind, route)), chance.choice(("sender", "receiver", "both"))
        chunk = chance.choice((256 << 10, HUGE, SIZE))
        child = start(lambda: sender(way, chunk))
        receiver.peer = peer = accept(listener, child)
        size = chance.choice((0, chance.randrange(64 << 10), chance.randrange(SIZE)))
        what = f"round {turn} of seed {seed}, {way}, {end} ends after {size} bytes"
        must(receiver.receive(0, size) == size, f"{what}: the stream ends too early")
        if end != "receiver":
            os.kill(child, signal.SIGKILL)
        if end == "sender":
            # What it had sent is still to come.
            receiver.receive(size, 1 << 40)
        reset(peer)
        status = os.waitpid(child, 0)[1]
        must(status == (0 if end == "receiver" else signal.SIGKILL), f"{what}: status {status:#x}")
    expect_released(kind, file)


def outcome(function, *args):
    """What it returns, or the error's name."""
    try:
        return function(*args)
    except OSError as error:
        return errno.errorcode[error.errno]


def expect_outcome(wanted, what, function, *args):
    got = outcome(function, *args)
    must(got == wanted, f"{what}: {got}, and not {wanted}")


class Refusals:
    """Bad input, one kind after the other. half is where what is good ends."""

    HALF, CHUNK = 32 << 10, 64 << 10

    def __init__(self, route, kind):
        self.kind, self.contents = kind, contents_of(kind)
        self.file, listener = make_file(kind, self.contents), listen(route)
        self.source = Source(self.file, self.contents if self.file < 0 else None)
        self.sock = connect(listener)
        self.peer = accept(listener)
        self.receiver = Receiver(self.peer, self.contents)

    def expect_received(self, at, size):
        must(self.receiver.receive(at, size) == size, "the stream ends too early")

    def protect(self, protection):
        call("mprotect", self.source.base, SIZE, protection)

    def zerocopy(self):
        way = Zerocopy(self.sock, self.source)
        expect_outcome("EFAULT", "all of it is past the mapping", way.send, SIZE, self.CHUNK)
        sent = outcome(way.send, SIZE - self.HALF, self.CHUNK)
        must(sent == "EFAULT" or 0 < sent <= self.HALF, f"half of it is past the mapping: {sent}")
        if sent != "EFAULT":
            self.expect_received(SIZE - self.HALF, sent)
        self.protect(mmap.PROT_READ)
        expect_outcome(self.CHUNK, "it can only be read", way.send, 0, self.CHUNK)
        self.expect_received(0, self.CHUNK)
        self.protect(0)
        expect_outcome("EFAULT", "it cannot be read", way.send, 0, self.CHUNK)
        self.protect(mmap.PROT_READ | mmap.PROT_WRITE)

    def vmsplice(self):
        way = Vmsplice(self.sock, self.source)
        expect_outcome("EFAULT", "all of it is past the mapping", way.send, SIZE, self.CHUNK)
        expect_outcome(self.HALF, "half of it is past the mapping", way.send, SIZE - self.HALF, self.CHUNK)
        self.expect_received(SIZE - self.HALF, self.HALF)
        self.protect(0)
        expect_outcome("EFAULT", "it cannot be read", way.send, 0, self.CHUNK)
        self.protect(mmap.PROT_READ)
        expect_outcome(self.CHUNK, "it can only be read", way.send, 0, self.CHUNK)
        self.expect_received(0, self.CHUNK)
        page = iovec(self.source.base, PAGE)
        for wanted, fd, flags in (("EINVAL", way.writer, 0x100), ("EBADF", self.sock.fileno(), 0)):
            expect_outcome(wanted, f"vmsplice with flags {flags}", call, "vmsplice", fd,
                           ctypes.addressof(page), 1, flags)
        # The other way: into memory that can only be read.
        os.write(way.writer, b"x" * PAGE)
        expect_outcome("EFAULT", "from a pipe", call, "vmsplice", way.reader,
                       ctypes.addressof(page), 1, 0)
        self.protect(mmap.PROT_READ | mmap.PROT_WRITE)
        os.close(way.reader)
        expect_outcome("EPIPE", "to a pipe that nobody reads", way.fill, 0, PAGE)

    def files(self):
        send_file = Sendfile(self.sock, self.source).send
        if self.kind == "hugetlb":
            expect_outcome("EINVAL", "sendfile of hugetlb", send_file, 0, self.CHUNK)
            return
        expect_outcome("EINVAL", "sendfile from before the file", send_file, -PAGE, self.CHUNK)
        expect_outcome(0, "sendfile from its end", send_file, SIZE, self.CHUNK)
        expect_outcome(self.HALF, "sendfile past its end", send_file, SIZE - self.HALF, self.CHUNK)
        self.expect_received(SIZE - self.HALF, self.HALF)
        to_write = os.open(f"/proc/self/fd/{self.file}", os.O_WRONLY)
        expect_outcome("EBADF", "sendfile of what cannot be read", os.sendfile, self.sock.fileno(),
                       to_write, 0, PAGE)
        way = Splice(self.sock, self.source)
        expect_outcome(0, "splice from the end", way.fill, SIZE, self.CHUNK)
        expect_outcome(self.HALF, "splice past the end", way.send, SIZE - self.HALF, self.CHUNK)
        self.expect_received(SIZE - self.HALF, self.HALF)
        expect_outcome("EINVAL", "splice without a pipe", os.splice, self.file, self.sock.fileno(), PAGE)

    def uring(self):
        way = Uring(self.sock, self.source)
        for at in (SIZE, SIZE - self.HALF, -PAGE):
            expect_outcome("EFAULT", f"a registered buffer at {at:#x}", way.send, at, self.CHUNK)
        way.send_all(SIZE - self.HALF, self.HALF)
        self.expect_received(SIZE - self.HALF, self.HALF)
        way.finish()
        way.ring.unregister()
        expect_outcome("EFAULT", "to register what is not there", way.ring.register,
                       (self.source.base + HUGE, SIZE))
        way.ring.close()

    def received(self):
        """Into memory that can only be read, and then where it cannot."""
        self.sock.sendall(self.contents[:PAGE])
        self.protect(mmap.PROT_READ)
        expect_outcome("EFAULT", "received into what can only be read", call, "recv",
                       self.peer.fileno(), self.source.base, PAGE, socket.MSG_WAITALL)
        self.protect(mmap.PROT_READ | mmap.PROT_WRITE)
        expect_outcome(PAGE, "received", call, "recv", self.peer.fileno(), self.source.base + HUGE,
                       PAGE, socket.MSG_WAITALL)
        must(ctypes.string_at(self.source.base + HUGE, PAGE) == self.contents[:PAGE],
             "other contents were received")


def refused(route, kind):
    every = Refusals(route, kind)
    every.zerocopy()
    every.vmsplice()
    if every.file >= 0:
        every.files()
    if "uring" in ways_of(kind):
        every.uring()
    every.received()


def hide(source):
    """Nothing can be mapped there by chance."""
    call("mmap", source.base + HUGE, SIZE - HUGE, 0,
         mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED, -1, 0)


def shorten(source):
    os.ftruncate(source.file, HUGE)


def vanish_from(route, kind, way, go_away, wanted):
    """wanted is the outcome when nothing is left to send, None if it is not missed."""
    contents = contents_of(kind)
    file, listener = make_file(kind, contents), listen(route, 128 << 10)
    arrived, told = os.pipe(), os.pipe()

    def sender():
        source = Source(file, contents if file < 0 else None)
        sock = connect(listener)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 128 << 10)
        means, sent, last = WAYS[way](sock, source), [0], []

        def run():
            while sent[0] < SIZE:
                result = outcome(means.send, sent[0], SIZE - sent[0])
                if result in ("EFAULT", 0):
                    last.append(result)
                    return
                sent[0] += result

        thread = threading.Thread(target=run)
        thread.start()
        os.read(arrived[0], 1)
        go_away(source)
        os.write(told[1], b"g")
        thread.join()
        sock.close()
        os.write(told[1], sent[0].to_bytes(8, sys.byteorder))
        if wanted is None:
            must(sent[0] == SIZE, f"{sent[0]} bytes were sent")
        else:
            must(last == [wanted], f"the end is {last}, and not {wanted}")
            # The last packet is sent as a whole, or not at all.
            must(HUGE - PACKET < sent[0] <= HUGE, f"{sent[0]} bytes were sent")

    child = start(sender)
    peer = accept(listener, child)
    select.select([peer], [], [])
    os.write(arrived[1], b"a")
    os.close(told[1])
    os.read(told[0], 1)
    received = Receiver(peer, contents).receive(0, SIZE + 1)
    sent = int.from_bytes(os.read(told[0], 8), sys.byteorder)
    must(os.waitpid(child, 0)[1] == 0, f"{way}: the sender failed")
    must(received == sent, f"{way}: {sent} bytes were sent, {received} received")
    expect_released(kind, file)
    if file >= 0:
        os.close(file)


def vanish(route, kind):
    vanish_from(route, kind, "zerocopy", hide, "EFAULT")
    vanish_from(route, kind, "vmsplice", hide, "EFAULT")
    if "uring" in ways_of(kind):
        vanish_from(route, kind, "uring", hide, None)
    if kind == "shm":
        vanish_from(route, kind, "zerocopy", shorten, "EFAULT")
        vanish_from(route, kind, "sendfile", shorten, 0)
        vanish_from(route, kind, "splice", shorten, 0)


def cut(route, kind):
    """The end of a file waits for a socket that has its pages, until that is killed."""
    for end in ("receiver", "sender"):
        contents = contents_of(kind)
        file, listener = make_file(kind, contents), listen(route, 128 << 10)

        def sender():
            sock = connect(listener)
            means = Zerocopy(sock, Source(file))
            while True:
                means.send_all(0, SIZE)

        child = start(sender)
        peer = accept(listener, child)
        select.select([peer], [], [])
        truncation = threading.Thread(target=os.ftruncate, args=(file, 0))
        truncation.start()
        truncation.join(2)
        must(truncation.is_alive(), "truncation did not wait for what is being sent")
        if end == "sender":
            os.kill(child, signal.SIGKILL)
        reset(peer)
        os.waitpid(child, 0)
        truncation.join(300)
        must(not truncation.is_alive(), f"truncation still waits after the {end}'s end")
        os.close(file)


def big(*devices):
    """Larger than IPv4 usually is; the ip command of Debian 12 does not know that."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        for device in devices:
            netlink.send(struct.pack("=IHHII", 40, RTM_NEWLINK, NLM_F_REQUEST_ACK, 1, 0) +
                         struct.pack("=BxHiII", 0, 0, socket.if_nametoindex(device), 0, 0) +
                         struct.pack("=HHI", 8, IFLA_GSO_IPV4_MAX_SIZE, PACKET))
            error = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
            must(error == 0, f"{device}: {os.strerror(-error)}")


ACTIONS = {"send": send, "kill": kill, "refused": refused, "vanish": vanish, "cut": cut}


def main():
    try:
        if sys.argv[1] == "big":
            big(*sys.argv[2:])
            return 0
        route, kind, action = sys.argv[1:4]
        ACTIONS[action](route, kind, *sys.argv[4:])
    except (AssertionError, OSError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
