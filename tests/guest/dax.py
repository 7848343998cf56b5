#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Do with a mapped file what needs struct pages, and verify every byte.

usage: dax.py FILE DEVICE ACTION...

FILE is on a file system mounted with -o dax, or is a device of memory itself; DEVICE
is a block device. Both are overwritten. Says which ACTION failed and how.
"""

import contextlib
import ctypes
import errno
import fcntl
import functools
import mmap
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time

from libc import (DM, LIBC, error_of, figure, files_share_tails, in_child, is_dynamic, must,
                  pages_pinned, start)
from uring import READ_FIXED, WRITE_FIXED, Ring

MIB = 1 << 20
SIZE = 8 * MIB
PAGE = mmap.PAGESIZE
PREAD, PWRITE, FUTEX, PTRACE = 17, 18, 202, 101
FS_IOC_FIEMAP = 0xC020660B
# Extents of a file.
MANY = 4096
FUTEX_WAIT, FUTEX_WAKE = 0, 1
FICLONE = 0x40049409
MADV_POPULATE_WRITE, MADV_HWPOISON = 23, 100
# FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
PUNCH_HOLE = 3
PTRACE_TRACEME, PTRACE_PEEKDATA, PTRACE_POKEDATA, PTRACE_CONT = 0, 2, 5, 7
PTRACE_GETSIGINFO = 0x4202
BUS_ADRERR, BUS_MCEERR_AR, BUS_MCEERR_AO = 2, 4, 5
# Of /proc/PID/pagemap; whether a page was written since somebody asked is left out.
PM_FRAME = (1 << 55) - 1
PM_EXCLUSIVE, PM_FILE, PM_PRESENT = 1 << 56, 1 << 61, 1 << 63
PM_FLAGS = 0xff << 56
PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY = 33, 1, 1


LIBC.syscall.restype = ctypes.c_long


def call(function, *args):
    result = function(*args)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def pattern(seed):
    """Different for every page and every seed."""
    return b"".join(struct.pack("<QQ", seed, page) * (PAGE // 16)
                    for page in range(SIZE // PAGE))


def is_device(path):
    return stat.S_ISCHR(os.stat(path).st_mode)


def open_with(path, size):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    if not is_device(path):
        os.posix_fallocate(fd, 0, size)
    return fd


def map_file(path, seed, small=False):
    fd = open_with(path, SIZE)
    memory = mmap.mmap(fd, SIZE)
    os.close(fd)
    if small:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    memory[:] = pattern(seed)
    return memory


def address_of(memory, offset=0):
    return ctypes.addressof(ctypes.c_char.from_buffer(memory, offset))


class IOVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def direct_write(path, device):
    memory = map_file(path, 1)
    fd = os.open(device, os.O_RDWR | os.O_DIRECT)
    must(os.pwrite(fd, memory, 0) == SIZE, "short write")
    back = mmap.mmap(-1, SIZE)
    must(os.preadv(fd, [back], 0) == SIZE, "short read")
    must(back[:] == pattern(1), "other contents")


def direct_read(path, device):
    memory = map_file(path, 2)
    fd = os.open(device, os.O_RDWR | os.O_DIRECT)
    source = mmap.mmap(-1, SIZE)
    source[:] = pattern(3)
    must(os.pwrite(fd, source, 0) == SIZE, "short write")
    must(os.preadv(fd, [memory], 0) == SIZE, "short read")
    must(memory[:] == pattern(3), "other contents")


def fork_cow(path, _):
    map_file(path, 4)
    fd = os.open(path, os.O_RDWR)
    private = mmap.mmap(fd, SIZE, mmap.MAP_PRIVATE)
    must(private[:] == pattern(4), "other contents before")
    private[PAGE:2 * PAGE] = b"p" * PAGE
    child = os.fork()
    if not child:
        private[0:PAGE] = b"c" * PAGE
        os._exit(private[PAGE:2 * PAGE] != b"p" * PAGE or private[0:PAGE] != b"c" * PAGE)
    must(os.waitpid(child, 0)[1] == 0, "the child reads something else")
    must(private[0:PAGE] == pattern(4)[0:PAGE], "the child wrote to the parent's page")
    with open(path, "rb") as file:
        must(file.read() == pattern(4), "the file was written")


def process_vm(path, _):
    memory = map_file(path, 5)
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        os.write(ready[1], b"r")
        os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    back = ctypes.create_string_buffer(SIZE)
    here, there = IOVec(ctypes.addressof(back), SIZE), IOVec(address_of(memory), SIZE)
    for function, wanted in ((LIBC.process_vm_readv, 5), (LIBC.process_vm_writev, 6)):
        if wanted == 6:
            ctypes.memmove(back, pattern(6), SIZE)
        got = call(function, child, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
        must(got == SIZE, "short transfer")
        must(back.raw == pattern(wanted) and memory[:] == pattern(wanted), "other contents")
    with open(f"/proc/{child}/mem", "rb") as file:
        file.seek(there.base)
        must(file.read(SIZE) == pattern(6), "other contents in /proc/PID/mem")
    os.write(go[1], b"g")
    os.waitpid(child, 0)


def trace(request, child, address=None, data=None):
    # Not the function of the C library, which has another way to give a word back.
    call(LIBC.syscall, PTRACE, request, child, address, data)


def traced(child):
    """A child that is to be traced, which then sees what it does."""
    trace(PTRACE_TRACEME, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(child())


def wait_stopped(child, number):
    status = os.waitpid(child, 0)[1]
    must(os.WIFSTOPPED(status) and os.WSTOPSIG(status) == number,
         f"not stopped by {signal.Signals(number).name}, but wait status {status:#x}")


def ptrace(path, _):
    memory, before = map_file(path, 18), pattern(18)
    places = range(0, SIZE, SIZE // 64 + PAGE + 8)
    child = os.fork()
    if not child:
        traced(lambda: any(memory[place:place + 8] != struct.pack("<Q", place)
                           for place in places))
    wait_stopped(child, signal.SIGSTOP)
    word = ctypes.c_long()
    for place in places:
        address = ctypes.c_void_p(address_of(memory, place))
        trace(PTRACE_PEEKDATA, child, address, ctypes.byref(word))
        must(bytes(word) == before[place:place + 8], "other contents for who traces")
        trace(PTRACE_POKEDATA, child, address, ctypes.c_void_p(place))
    trace(PTRACE_CONT, child)
    must(os.waitpid(child, 0)[1] == 0, "the traced process reads something else")
    must(all(memory[place:place + 8] == struct.pack("<Q", place) for place in places),
         "what was traced wrote to a copy")


def sleeps_in(number, thread):
    """Wait until it does: the kernel says of which system call, or that it runs."""
    for _ in range(600):
        with open(f"/proc/self/task/{thread.native_id}/syscall", encoding="ascii") as file:
            if file.read().startswith(f"{number} "):
                return
        time.sleep(0.05)
    raise AssertionError(f"the thread does not sleep in system call {number}")


def futex(path, _):
    memory = map_file(path, 7)
    memory[0:4] = b"\0" * 4
    word = ctypes.c_void_p(address_of(memory))
    woken = []

    def wait():
        while memory[0] == 0:
            LIBC.syscall(FUTEX, word, FUTEX_WAIT, 0, None, None, 0)
        woken.append(True)

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    sleeps_in(FUTEX, waiter)
    child = os.fork()
    if not child:
        memory[0] = 1
        os._exit(LIBC.syscall(FUTEX, word, FUTEX_WAKE, 1, None, None, 0) != 1)
    must(os.waitpid(child, 0)[1] == 0, "the child does not wake the one that sleeps")
    waiter.join(30)
    must(woken, "nobody was woken")


def splices(path, device):
    memory = map_file(path, 8)
    reader, writer = os.pipe()
    chunk = IOVec(address_of(memory), 16 * PAGE)
    must(call(LIBC.vmsplice, writer, ctypes.byref(chunk), 1, 0) == 16 * PAGE, "short vmsplice")
    must(os.read(reader, 16 * PAGE) == pattern(8)[:16 * PAGE], "vmsplice: other contents")

    file, disk = os.open(path, os.O_RDONLY), os.open(device, os.O_RDWR)
    for offset in range(0, SIZE, 16 * PAGE):
        must(os.splice(file, writer, 16 * PAGE, offset_src=offset) == 16 * PAGE, "short splice")
        must(os.splice(reader, disk, 16 * PAGE, offset_dst=offset) == 16 * PAGE, "short splice")
    must(os.pread(disk, SIZE, 0) == pattern(8), "splice: other contents")

    near, far = socket.socketpair()
    received = bytearray()

    def receive():
        while len(received) < SIZE:
            received.extend(far.recv(MIB))

    receiver = threading.Thread(target=receive)
    receiver.start()
    sent = 0
    while sent < SIZE:
        sent += os.sendfile(near.fileno(), file, sent, SIZE - sent)
    receiver.join(60)
    must(received == pattern(8), "sendfile: other contents")


def pin(memory, offset, writer):
    """Into a pipe, without copying: a reference to the page."""
    page = IOVec(address_of(memory, offset), PAGE)
    must(call(LIBC.vmsplice, writer, ctypes.byref(page), 1, 0) == PAGE, "short vmsplice")


def must_wait_for(release, what, function, *args):
    """Something waits for a page that is pinned, and goes on when that is released."""
    waiting = threading.Thread(target=function, args=args)
    waiting.start()
    waiting.join(2)
    must(waiting.is_alive(), f"{what} did not wait for a pinned page")
    release()
    waiting.join(60)
    must(not waiting.is_alive(), f"{what} still waits")


def must_wait(what, reader, contents, function, *args):
    """For one that lies in a pipe, until it is read."""
    def read():
        must(os.read(reader, PAGE) == contents, "other contents of the pinned page")

    must_wait_for(read, what, function, *args)


def punch(fd, start, size):
    call(LIBC.fallocate, fd, PUNCH_HOLE, ctypes.c_long(start), ctypes.c_long(size))


def pinned(path, _):
    """Holes, and the end of a file, wait for those who hold its pages."""
    reader, writer = os.pipe()
    memory, fd = map_file(path, 14), os.open(path, os.O_RDWR)
    pin(memory, 5 * PAGE, writer)
    must_wait("a hole", reader, pattern(14)[5 * PAGE:6 * PAGE], punch, fd, 4 * PAGE, 4 * PAGE)
    must(memory[5 * PAGE:6 * PAGE] == bytes(PAGE), "no hole")
    pin(memory, PAGE, writer)
    must_wait("truncation", reader, pattern(14)[PAGE:2 * PAGE], os.ftruncate, fd, 0)


def mounted_on(mnt):
    """What mounts the same again."""
    with open("/proc/self/mounts", encoding="ascii") as file:
        device, _, fstype, options = [line.split()[:4] for line in file if f" {mnt} " in line][-1]
    return ["mount", "-t", fstype, "-o", options, device, mnt]


def mount_again(path):
    """So that nothing but the disk remembers a file."""
    mnt = os.path.dirname(path)
    again = mounted_on(mnt)
    subprocess.check_call(["umount", mnt])
    subprocess.check_call(again)


def wait_for_child(child):
    must(os.waitpid(child, 0)[1] == 0, "the child has failed")


def unmount(path, _):
    """The file system stays for those who hold a page of it, and nothing is left then."""
    mnt = os.path.dirname(path)
    again = mounted_on(mnt)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        pin(map_file(path, 19), 3 * PAGE, writer)
        os._exit(0)
    wait_for_child(child)
    must_wait("unmounting", reader, pattern(19)[3 * PAGE:4 * PAGE], subprocess.check_call,
              ["umount", mnt])
    subprocess.check_call(again)
    with open(path, "rb") as file:
        must(file.read() == pattern(19), "other contents after mounting again")


def unlinked(path, _):
    """What is pinned of a file that is gone is not given to another."""
    (reader, writer), (told, tell) = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        memory = map_file(path, 15)
        pin(memory, 3 * PAGE, writer)
        os.unlink(path)
        os.write(tell, b"u")
        # The end of the file waits for the page to be read, and so does that of the child.
        os._exit(0)
    os.close(tell)
    # Nobody asks for the file by its name: whoever does so at that moment may be the last to
    # have it, and would wait in place of the child.
    must(os.read(told, 1), "the child has failed")
    map_file(path, 16)
    must(os.read(reader, PAGE) == pattern(15)[3 * PAGE:4 * PAGE], "other contents of a lost file")
    wait_for_child(child)


class StoppedDisk:
    """All that it is to read or write waits until it goes on."""

    NAME = "stopped"
    # One request.
    SIZE = MIB

    def __init__(self, device):
        sectors = int(subprocess.check_output(["blockdev", "--getsz", device]))
        self.setup("create", self.NAME, "--table", f"0 {sectors} linear {device} 0")
        node = self.setup("info", "--columns", "--noheadings", "-o", "blkdevname", self.NAME)
        self.fd = os.open(f"/dev/{node.strip()}", os.O_RDWR | os.O_DIRECT)
        self.failed = []

    @staticmethod
    def setup(*args):
        # There is no udev that would make names.
        return subprocess.check_output(["dmsetup", "--noudevrules", "--noudevsync", *args],
                                       text=True)

    def contents(self):
        back = mmap.mmap(-1, self.SIZE)
        must(os.preadv(self.fd, [back], 0) == self.SIZE, "short read")
        return back[:]

    def fill(self, contents):
        source = mmap.mmap(-1, self.SIZE)
        source[:] = contents
        must(os.pwrite(self.fd, source, 0) == self.SIZE, "short write")

    def stop(self):
        self.setup("suspend", "--nolockfs", self.NAME)

    def go_on(self):
        self.setup("resume", self.NAME)

    def start(self, address, reading):
        """Return: a thread that ends when the disk has read or written what is there.
        Its pages are pinned."""
        before = pages_pinned()

        def run():
            transfer = LIBC.pread if reading else LIBC.pwrite
            if transfer(self.fd, ctypes.c_void_p(address), ctypes.c_size_t(self.SIZE),
                        ctypes.c_long(0)) != self.SIZE:
                self.failed.append(os.strerror(ctypes.get_errno()))

        thread = threading.Thread(target=run)
        thread.start()
        while pages_pinned() <= before and thread.is_alive():
            time.sleep(0.01)
        sleeps_in(PREAD if reading else PWRITE, thread)
        return thread

    def end(self):
        os.close(self.fd)
        self.setup("remove", self.NAME)
        must(not self.failed, f"direct I/O has failed: {self.failed}")


@contextlib.contextmanager
def stopped_disk(device):
    """Whatever happens, nothing waits for it for ever."""
    disk = StoppedDisk(device)
    try:
        yield disk
    finally:
        disk.go_on()
        disk.end()


# Where in a file, in the middle of an area, something is on its way.
FLIGHT = slice(2 * MIB + MIB // 2, 3 * MIB + MIB // 2)


def in_flight(change, path, device):
    """Do something to a file while it is on its way to a disk, or something comes from there,
    mapped as a whole and in small pages."""
    for reading in False, True:
        for is_small in False, True:
            with stopped_disk(device) as disk:
                disk.fill(pattern(33)[:disk.SIZE])
                change(path, disk, reading, is_small)
                wanted = pattern(33)[:disk.SIZE] if reading else pattern(32)[FLIGHT]
                must(disk.contents() == wanted, "other contents of the disk")


def arrived(reading):
    """What a file should hold that nobody has changed."""
    expected = bytearray(pattern(32))
    if reading:
        expected[FLIGHT] = pattern(33)[:StoppedDisk.SIZE]
    return expected


def change_in_flight(path, disk, reading, is_small, what, start, size, change):
    """Part of the buffer goes, and is empty when it is there again."""
    memory, fd = map_file(path, 32, small=is_small), os.open(path, os.O_RDWR)
    disk.stop()
    transfer = disk.start(address_of(memory, FLIGHT.start), reading)
    must_wait_for(disk.go_on, what, change, fd)
    transfer.join()
    os.ftruncate(fd, SIZE)
    expected = arrived(reading)
    expected[start:start + size] = bytes(size)
    must(memory[:] == expected, f"other contents after {what}")
    os.close(fd)


def punch_in_flight(path, disk, reading, is_small):
    start, size = FLIGHT.start + 5 * PAGE, 4 * PAGE
    change_in_flight(path, disk, reading, is_small, "a hole", start, size,
                     lambda fd: punch(fd, start, size))


def truncate_in_flight(path, disk, reading, is_small):
    start = FLIGHT.stop - 5 * PAGE
    change_in_flight(path, disk, reading, is_small, "truncation", start, SIZE - start,
                     lambda fd: os.ftruncate(fd, start))


def fly(path, disk, reading, is_small, last):
    """Be a child that does the last it has to do with a file while something is on its way,
    so that nothing but the pins is left."""
    memory = map_file(path, 32, small=is_small)
    transfer = disk.start(address_of(memory, FLIGHT.start), reading)
    last(memory)
    transfer.join()
    must(not disk.failed, f"direct I/O has failed: {disk.failed}")


def unlink_in_flight(path, disk, reading, is_small):
    """The blocks of a file that is gone are not given to another before."""
    reader, writer = os.pipe()

    def last(memory):
        os.unlink(path)
        os.write(writer, b"u")
        memory.close()

    disk.stop()
    child = start(lambda: fly(path, disk, reading, is_small, last))
    os.close(writer)
    must(os.read(reader, 1), "the child has failed")
    other = map_file(path, 34, small=is_small)
    must_wait_for(disk.go_on, "the end of a file", wait_for_child, child)
    must(other[:] == pattern(34), "other contents of another file")


def unmount_in_flight(path, disk, reading, is_small):
    """It is busy as long as it is mapped, and has to wait afterwards."""
    mnt, (reader, writer), (told, tell) = os.path.dirname(path), os.pipe(), os.pipe()
    again = mounted_on(mnt)

    def last(memory):
        os.write(writer, b"m")
        os.read(told, 1)
        memory.close()
        os.write(writer, b"u")

    disk.stop()
    child = start(lambda: fly(path, disk, reading, is_small, last))
    os.close(writer)
    must(os.read(reader, 1), "the child has failed")
    must(subprocess.call(["umount", mnt], stderr=subprocess.DEVNULL), "it is not busy")
    os.write(tell, b"u")
    must(os.read(reader, 1), "the child has failed")
    must_wait_for(disk.go_on, "unmounting", subprocess.check_call, ["umount", mnt])
    wait_for_child(child)
    subprocess.check_call(again)
    with open(path, "rb") as file:
        must(file.read() == arrived(reading), "other contents after mounting again")


def driven(path):
    """The device whose driver has the memory of a file, or of a device itself."""
    status = os.stat(path)
    if is_device(path):
        number, where = status.st_rdev, "/sys/dev/char/{}:{}"
    else:
        number, where = status.st_dev, "/sys/dev/block/{}:{}/device"
    return os.path.realpath(where.format(os.major(number), os.minor(number)))


def tell_driver(driver, what, device):
    with open(f"{driver}/{what}", "w", encoding="ascii") as file:
        file.write(os.path.basename(device))


def unbind(device):
    before = is_dynamic() and figure("full_memmap_bytes")
    tell_driver(f"{device}/driver", "unbind", device)
    must(not before or figure("full_memmap_bytes") < before, "its areas are left")


def namespace_of(device):
    with open(f"{device}/namespace", encoding="ascii") as file:
        return file.read().strip()


def refused(path, _):
    """Nobody destroys by accident what is mounted and mapped."""
    for is_small in False, True:
        memory = map_file(path, 36, small=is_small)
        namespace = namespace_of(driven(path))
        for command in ["disable-namespace"], ["destroy-namespace", "--force"]:
            must(subprocess.call(["ndctl", *command, namespace], stderr=subprocess.DEVNULL),
                 f"ndctl {command[0]} does it")
        must(memory[:] == pattern(36), "other contents")


def must_be_gone(path):
    try:
        with open(path, "rb") as file:
            file.read()
    except OSError as error:
        must(error.errno == errno.EIO, f"reading a file whose device is gone: {error}")
    else:
        raise AssertionError("a file can be read whose device is gone")


def bring_back(mount, namespace):
    """The same device with the same files."""
    subprocess.check_call(["umount", mount[-1]])
    for command in "disable-namespace", "enable-namespace":
        subprocess.check_call(["ndctl", command, namespace], stderr=subprocess.DEVNULL)
    subprocess.check_call(mount)


def unbind_mounted(path, _):
    """The file system ends that has a device whose driver goes."""
    again = mounted_on(os.path.dirname(path))
    for is_small in False, True:
        map_file(path, 37, small=is_small).close()
        os.sync()
        device = driven(path)
        namespace = namespace_of(device)
        unbind(device)
        must_be_gone(path)
        bring_back(again, namespace)
        with open(path, "rb") as file:
            must(file.read() == pattern(37), "other contents of the file when it is back")


def unbind_pinned(path, _):
    """The driver waits for those who hold a page of a file."""
    again = mounted_on(os.path.dirname(path))
    for is_small in False, True:
        reader, writer = os.pipe()

        def hold():
            pin(map_file(path, 38, small=is_small), 3 * PAGE, writer)
            os.sync()

        in_child(hold)
        device = driven(path)
        namespace = namespace_of(device)
        must_wait("unbinding", reader, pattern(38)[3 * PAGE:4 * PAGE], unbind, device)
        must_be_gone(path)
        bring_back(again, namespace)
        with open(path, "rb") as file:
            must(file.read() == pattern(38), "other contents of the file when it is back")


def unbind_device(path, _):
    """Who has mapped it is told that it is gone, and when it is back, all of it is there."""
    device, memory = driven(path), map_file(path, 39)
    driver = os.path.realpath(f"{device}/driver")
    unbind(device)
    code, address, _ = bus_error(lambda: memory[5 * PAGE])
    must(code == BUS_ADRERR, f"si_code is {code}")
    must(address == address_of(memory, 5 * PAGE), f"it is told of {address:#x}")
    memory.close()
    tell_driver(driver, "bind", device)
    memory = mmap.mmap(os.open(path, os.O_RDWR), SIZE)
    must(memory[:] == pattern(39), "other contents of the device when it is back")


def longterm(path, device):
    """For ever: a device allows it, and a file that could change does not."""
    memory, ring, before = map_file(path, 17), Ring(), pages_pinned()
    wanted = 0 if is_device(path) else errno.EOPNOTSUPP
    try:
        got = ring.register((address_of(memory), SIZE)) or 0
    except OSError as error:
        got = error.errno
    must(got == wanted, f"io_uring registers a buffer: error {got}, and not {wanted}")
    if not got:
        must(pages_pinned() > before, "nothing is pinned")
        fixed_there_and_back(memory, ring, device)
        ring.unregister()
    ring.close()
    # The device may not have given back all of it yet.
    for _ in range(100):
        if pages_pinned() == before:
            return
        time.sleep(0.1)
    raise AssertionError(f"{before} pages were pinned, and now {pages_pinned()}")


def fixed_there_and_back(memory, ring, device):
    """All of a registered buffer, and what begins within one of its pages."""
    fd = os.open(device, os.O_RDWR | os.O_DIRECT)
    for start, size in ((0, SIZE), (2 * MIB + 3 * PAGE + 512, MIB)):
        expected, at = bytearray(memory), address_of(memory, start)
        part = bytes(expected[start:start + size])
        must(ring.transfer(WRITE_FIXED, fd, at, size) == size, "short write")
        back = mmap.mmap(-1, size)
        must(os.preadv(fd, [back], 0) == size, "short read")
        must(back[:] == part, "the disk has other data")
        back[:] = part[::-1]
        must(os.pwritev(fd, [back], 0) == size, "short write")
        must(ring.transfer(READ_FIXED, fd, at, size) == size, "short read")
        expected[start:start + size] = back[:]
        must(memory[:] == expected, "other data was read")
    os.close(fd)


def smaps_of(path):
    """What it says of the only mapping of a file, in KiB."""
    with open("/proc/self/smaps", encoding="ascii") as file:
        lines = file.read().partition(f"{path}\n")[2].partition("VmFlags")[0].splitlines()
    return {name: int(value.split()[0]) for name, _, value in
            (line.partition(":") for line in lines)}


def status_of(field):
    with open("/proc/self/status", encoding="ascii") as file:
        return next(line.split()[1] for line in file if line.startswith(f"{field}:"))


def pagemap_of(memory):
    with open("/proc/self/pagemap", "rb") as file:
        file.seek(address_of(memory) // PAGE * 8)
        return struct.unpack(f"<{len(memory) // PAGE}Q", file.read(len(memory) // PAGE * 8))


def extents_of(path):
    """Where it is in its file system: from where in the file, where there, how much."""
    request = bytearray(struct.pack("<QQIIII", 0, os.stat(path).st_size, 0, 0, MANY, 0) +
                        bytes(56 * MANY))
    fd = os.open(path, os.O_RDONLY)
    fcntl.ioctl(fd, FS_IOC_FIEMAP, request)
    os.close(fd)
    return [struct.unpack_from("<QQQ", request, 32 + 56 * extent)
            for extent in range(struct.unpack_from("<I", request, 20)[0])]


def blocks_of(path):
    """For each of its pages the one of the file system."""
    found = {(start + offset) // PAGE: (place + offset) // PAGE
             for start, place, size in extents_of(path) for offset in range(0, size, PAGE)}
    return [found[page] for page in range(SIZE // PAGE)]


def check_pagemap(path, memory, flags):
    """Each page has these flags, and lies where the file system has it."""
    entries = pagemap_of(memory)
    wrong = {entry & PM_FLAGS for entry in entries} - {flags}
    must(not wrong, f"pagemap: flags {', '.join(map(hex, wrong))}, and not {flags:#x}")
    begins = {(entry & PM_FRAME) - block for entry, block in zip(entries, blocks_of(path))}
    must(len(begins) == 1, f"pagemap: {len(begins)} beginnings of the device")


def check_smaps(path, **wanted):
    found = smaps_of(path)
    wrong = [f"{name} is {found[name]} KiB, not {kib}" for name, kib in wanted.items()
             if found[name] != kib]
    must(not wrong, f"smaps: {', '.join(wrong)}")


def check_queries(path, memory):
    """What is said of a mapping that one process has, and then two have."""
    start, kib = ctypes.c_void_p(address_of(memory)), SIZE >> 10
    here = (ctypes.c_ubyte * (SIZE // PAGE))()
    call(LIBC.mincore, start, SIZE, here)
    must(all(page & 1 for page in here), "mincore: not all is in memory")
    alone = {"Size": kib, "Rss": kib, "Pss": kib, "Private_Dirty": kib, "Shared_Dirty": 0,
             "Private_Clean": 0, "Shared_Clean": 0, "Anonymous": 0, "Locked": 0,
             "AnonHugePages": 0, "FilePmdMapped": 0}
    check_smaps(path, **alone)
    check_pagemap(path, memory, PM_PRESENT | PM_FILE | PM_EXCLUSIVE)
    # The memory of devices is not counted by nodes.
    with open("/proc/self/numa_maps", encoding="ascii") as file:
        lines = [line.split(maxsplit=1) for line in file if path in line]
    must(lines == [[f"{start.value:08x}", f"default file={path}\n"]], f"numa_maps: {lines}")
    # Nor can it be locked: it is there anyway.
    call(LIBC.mlock, start, SIZE)
    check_smaps(path, **alone)
    locked = status_of("VmLck")
    must(locked == "0", f"{locked} KiB are locked")
    call(LIBC.munlock, start, SIZE)

    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        # It maps what it reads.
        os.write(ready[1], memory[::PAGE][:1])
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    check_smaps(path, **alone | {"Pss": kib // 2, "Private_Dirty": 0, "Shared_Dirty": kib})
    check_pagemap(path, memory, PM_PRESENT | PM_FILE)
    os.write(done[1], b"d")
    wait_for_child(child)
    check_smaps(path, **alone)
    check_pagemap(path, memory, PM_PRESENT | PM_FILE | PM_EXCLUSIVE)


def queries(path, _):
    for is_small in (False, True):
        memory = map_file(path, 9, small=is_small)
        check_queries(path, memory)
        must(memory[:] == pattern(9), "other contents")
        memory.close()


def sync(path, _):
    fd = open_with(path, SIZE)
    memory = mmap.mmap(fd, SIZE, flags=0x80003)
    memory[:] = pattern(10)
    memory.flush()
    must(os.pread(fd, SIZE, 0) == pattern(10), "other contents")


def holes(path, _):
    memory = map_file(path, 11)
    fd = os.open(path, os.O_RDWR)
    expected = bytearray(pattern(11))
    for start, size in ((3 * PAGE, PAGE), (3 * MIB, PAGE * 5), (6 * MIB, 2 * MIB)):
        punch(fd, start, size)
        expected[start:start + size] = bytes(size)
    must(memory[:] == expected, "other contents after holes were punched")
    memory[3 * PAGE:4 * PAGE] = expected[3 * PAGE:4 * PAGE] = b"h" * PAGE
    must(memory[:] == expected, "other contents after a hole was filled")
    os.ftruncate(fd, 5 * MIB)
    must(memory[:5 * MIB] == expected[:5 * MIB], "other contents after the end was cut off")


def reflink(path, _):
    memory = map_file(path, 12)
    one, other = os.open(path, os.O_RDWR), os.open(path + ".other", os.O_RDWR | os.O_CREAT)
    fcntl.ioctl(other, FICLONE, one)
    copy = mmap.mmap(other, SIZE)
    must(copy[:] == pattern(12), "other contents of the copy")
    memory[5 * PAGE:6 * PAGE] = b"m" * PAGE
    copy[9 * PAGE:10 * PAGE] = b"c" * PAGE
    for which, written, filler in ((memory, 5, b"m"), (copy, 9, b"c")):
        expected = bytearray(pattern(12))
        expected[written * PAGE:(written + 1) * PAGE] = filler * PAGE
        must(which[:] == expected, "other contents after a write")
    os.unlink(path + ".other")


def reflink_pinned(path, _):
    """Who writes to shared blocks gets others; who holds a page keeps the old one."""
    memory = map_file(path, 20)
    one, other = os.open(path, os.O_RDWR), os.open(path + ".other", os.O_RDWR | os.O_CREAT)
    fcntl.ioctl(other, FICLONE, one)
    copy = mmap.mmap(other, SIZE)
    must(memory[:] == copy[:] == pattern(20), "other contents of the copy")
    reader, writer = os.pipe()
    pin(memory, 5 * PAGE, writer)
    memory[5 * PAGE:6 * PAGE] = b"m" * PAGE
    must(copy[:] == pattern(20), "other contents of the copy after a write")
    must_wait("the end of the copy", reader, pattern(20)[5 * PAGE:6 * PAGE],
              os.ftruncate, other, 0)
    must(memory[5 * PAGE:6 * PAGE] == b"m" * PAGE, "the write is lost")
    os.unlink(path + ".other")


def cloned_huge_mapping(path):
    """Return: a mapping of a file whose blocks another one has as well, and that file."""
    mapping = HugeMapping(path)
    mapping.fill()
    other = os.open(path + ".other", os.O_RDWR | os.O_CREAT)
    fcntl.ioctl(other, FICLONE, mapping.fd)
    return mapping, other


def reflink_huge(path, _):
    """The same, with blocks that are mapped 2 MiB at a time."""
    mapping, _ = cloned_huge_mapping(path)
    copy = HugeMapping(path + ".other")
    copy.check()
    mapping.check()
    written = range(MIB, mapping.SIZE, 4 * mapping.AREA)
    for page in written:
        mapping.memory[page:page + PAGE] = b"m" * PAGE
        copy.memory[page + 3 * PAGE:page + 4 * PAGE] = b"c" * PAGE
    mapping.check(skip=written)
    copy.check(skip=[page + 3 * PAGE for page in written])
    for page in written:
        must(mapping.memory[page:page + PAGE] == b"m" * PAGE, "a write is lost")
        must(copy.memory[page + 3 * PAGE:page + 4 * PAGE] == b"c" * PAGE,
             "a write to the copy is lost")
    os.unlink(path + ".other")


class SlowDisk:
    """Every write takes so long that others can do something meanwhile."""

    SECONDS = 20
    NAME = "slow"
    DIRECTORY = f"/sys/kernel/config/nullb/{NAME}"

    def __init__(self):
        os.mkdir(self.DIRECTORY)
        for name, value in (("irqmode", 2), ("completion_nsec", self.SECONDS * 10**9),
                            ("size", 64), ("max_sectors", 4096), ("power", 1)):
            with open(f"{self.DIRECTORY}/{name}", "w", encoding="ascii") as file:
                file.write(str(value))

    def in_flight(self):
        with open(f"/sys/block/{self.NAME}/inflight", encoding="ascii") as file:
            return int(file.read().split()[1])

    def write(self, memory):
        """Return: once it is on its way, a thread that ends when the disk is done."""
        fd = os.open(f"/dev/{self.NAME}", os.O_WRONLY | os.O_DIRECT)
        before = self.in_flight()

        def run():
            # The driver says of a disk as slow as this that it has failed, but not earlier.
            with contextlib.suppress(TimeoutError):
                os.pwrite(fd, memory, 0)

        thread = threading.Thread(target=run)
        thread.start()
        while self.in_flight() == before and thread.is_alive():
            time.sleep(0.01)
        return thread

    def end(self):
        os.rmdir(self.DIRECTORY)


def reflink_detached(path, _):
    """A huge page of device memory is pinned when the only file that maps it gets another."""
    mapping, _ = cloned_huge_mapping(path)
    mapping.check()
    huge = figure("areas_huge")

    def at(area, offset):
        return area * mapping.AREA + offset

    reader, writer = os.pipe()
    spliced = IOVec(address_of(mapping.memory, at(0, 0)), 8 * PAGE)
    must(call(LIBC.vmsplice, writer, ctypes.byref(spliced), 1, 0) == 8 * PAGE, "short vmsplice")
    disk = SlowDisk()
    memory = memoryview(mapping.memory)
    writes = [disk.write(memory[at(1, 0):at(2, 0)]), disk.write(memory[at(2, 64 * 1024):at(3, 0)])]
    written = [at(area, MIB) for area in range(3)]
    for page in written:
        memory[page:page + PAGE] = b"m" * PAGE
    must(disk.in_flight() == len(writes), "nothing is pinned any more")
    for write in writes:
        write.join()
    contents = os.read(reader, 8 * PAGE)
    must(all(contents[page + 8:page + 16] == struct.pack("<Q", page)
             for page in range(0, 8 * PAGE, PAGE)), "other contents of the pinned pages")
    memory.release()
    mapping.check(skip=written)
    copy = HugeMapping(path + ".other")
    copy.check()
    must(figure("areas_huge") >= huge, "what was pinned is not huge any more")
    disk.end()
    os.unlink(path + ".other")


def reflink_waits(path, _):
    """Who wants a part of a huge page that is only pinned, and of no file, waits for that."""
    mapping, other = cloned_huge_mapping(path)
    mapping.check()
    disk = SlowDisk()
    memory = memoryview(mapping.memory)
    write = disk.write(memory[mapping.AREA:2 * mapping.AREA])
    memory[mapping.AREA + MIB:mapping.AREA + MIB + PAGE] = b"m" * PAGE
    must(disk.in_flight() == 1, "nothing is pinned any more")

    copy = mmap.mmap(other, mapping.SIZE)
    copy.madvise(mmap.MADV_NOHUGEPAGE)
    part = memoryview(copy)[mapping.AREA:mapping.AREA + 8 * PAGE]
    target = os.memfd_create("target")
    child = start(lambda: os.write(target, part))
    time.sleep(1)
    must(os.waitpid(child, os.WNOHANG)[0] == 0, "a child has not waited")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    must(disk.in_flight() == 1, "it took as long to kill the child")
    # The kernel itself reads the pages.
    must(os.write(target, part) == 8 * PAGE, "short write")
    must(disk.in_flight() == 0, "it has not been waited for")
    contents = os.pread(target, 8 * PAGE, 0)
    must(all(contents[page + 8:page + 16] == struct.pack("<Q", mapping.AREA + page)
             for page in range(0, 8 * PAGE, PAGE)), "other contents")
    write.join()
    memory.release()
    mapping.check(skip=[mapping.AREA + MIB])
    disk.end()
    os.unlink(path + ".other")


def settled(look):
    """What it says, when it has said just that three times before: figures are read one
    after the other, while a worker may be about to change them."""
    same, before = 0, None
    for _ in range(150):
        now = look()
        same, before = (same + 1 if now == before else 0), now
        if same == 3:
            break
        time.sleep(0.1)
    return before


def must_cost(limit, function, areas, what):
    """At most so many KiB of memmap for each of @areas; on a stock kernel, all is there.
    Return: how many more of them are huge."""
    if not is_dynamic():
        function()
        return areas
    before, huge_before = settled(memmap_in_use), figure("areas_huge")
    function()
    each = (settled(memmap_in_use) - before) / areas
    number = figure("areas_huge") - huge_before
    print(f"{each:.0f} bytes each, {number} are huge")
    must(each <= limit * 1024, f"{each:.0f} bytes of memmap for {what}")
    return number


def memmap_in_use():
    """Bytes, without what is kept ready, and as if no RAM was free: that comes and goes."""
    return (figure("memmap_bytes") - figure("stock_free_frames") * PAGE +
            figure("pool_areas") * 8 * PAGE)


def device_areas_idle():
    return figure("areas_idle") - figure("pool_areas")


def wait_for_idle(areas):
    for _ in range(600):
        if device_areas_idle() >= areas:
            return
        time.sleep(0.2)
    raise AssertionError("areas stay populated when nobody uses them")


def single(path, _):
    areas = 256
    fd = open_with(path, areas * 2 * MIB)
    memory = mmap.mmap(fd, areas * 2 * MIB)
    memory.madvise(mmap.MADV_NOHUGEPAGE)

    def touch():
        for area in range(areas):
            memory[area * 2 * MIB] = area

    must_cost(4.2, touch, areas, "one page in 2 MiB")
    must(all(memory[area * 2 * MIB] == area for area in range(areas)), "other contents")


def small(path, _):
    """All pages, one by one, cost as much as without dynamic memmap."""
    areas = 64
    fd = open_with(path, areas * 2 * MIB)
    memory = mmap.mmap(fd, areas * 2 * MIB)
    memory.madvise(mmap.MADV_NOHUGEPAGE)

    def fill():
        for page in range(0, areas * 2 * MIB, PAGE):
            memory[page:page + 8] = struct.pack("<Q", page)

    must_cost(32.2, fill, areas, "2 MiB mapped in small pages")
    must(all(memory[page:page + 8] == struct.pack("<Q", page)
             for page in range(0, areas * 2 * MIB, PAGE)), "other contents")


def frames_fail(path, device):
    """There often is no memory for struct pages: then page faults of programs are tried
    again, the kernel's own tell, and nothing is lost."""
    # Struct pages of so much are a page.
    step, part = 64 * PAGE, 64 * 2 * MIB
    disk, zeros = os.open(device, os.O_RDWR | os.O_DIRECT), os.open("/dev/zero", os.O_RDONLY)
    source = mmap.mmap(-1, PAGE)
    source[:] = pattern(35)[:PAGE]
    must(os.pwrite(disk, source, 0) == PAGE, "short write")

    def word(at):
        memory[at:at + 8] = struct.pack("<Q", at)

    def populate(at):
        call(LIBC.madvise, ctypes.c_void_p(address_of(memory, at)), ctypes.c_size_t(step),
             MADV_POPULATE_WRITE)

    def read(at):
        must(os.preadv(disk, [view[at:at + PAGE]], 0) == PAGE, "short read")
        must(memory[at:at + PAGE] == source[:], "other data was read")

    def write(at):
        must(os.pwritev(disk, [view[at:at + PAGE]], PAGE) == PAGE, "short write")

    def copy(at):
        must(os.readv(zeros, [view[at:at + PAGE]]) == PAGE, "short read")

    # What does it, and what it is told.
    kinds = ((word, None), (populate, errno.ENOMEM), (read, errno.ENOMEM),
             (write, errno.ENOMEM), (copy, errno.EFAULT))
    places = range(0, len(kinds) * part, step)
    memory = mmap.mmap(open_with(path, len(kinds) * part), len(kinds) * part)
    if not is_device(path):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    view = memoryview(memory)
    for number, (function, error) in enumerate(kinds):
        failed = 0
        for at in range(number * part, (number + 1) * part, step):
            while True:
                try:
                    function(at)
                    break
                except OSError as problem:
                    must(problem.errno == error, f"{function.__name__}: {problem}")
                    failed += 1
        print(f"{function.__name__}: {failed} times no memory")
    for at in places:
        word(at)
    must(all(memory[at:at + 8] == struct.pack("<Q", at) for at in places), "other contents")
    view.release()


def frames_never(path, _):
    """There is no memory for struct pages however often it is asked for: that ends, too."""
    def fail(percent):
        with open("/sys/kernel/debug/fail_dynmemmap/probability", "w", encoding="ascii") as file:
            file.write(percent)

    # Where nobody was before.
    at = 700 * MIB
    memory = mmap.mmap(open_with(path, at + 2 * MIB), at + 2 * MIB)
    populate = (ctypes.c_void_p(address_of(memory, at)), ctypes.c_size_t(PAGE), MADV_POPULATE_WRITE)
    fail("100")
    error = error_of(lambda: call(LIBC.madvise, *populate))
    fail("0")
    must(error == errno.ENOMEM, f"error {error}")
    call(LIBC.madvise, *populate)
    memory[at:at + 4] = b"data"


class HugeMapping:
    """Where the file system has laid the file out in whole areas, or of a device."""

    AREAS, AREA = 64, 2 * MIB
    SIZE = AREAS * AREA

    def __init__(self, path):
        self.path, self.fd = path, open_with(path, self.SIZE)
        self.memory = mmap.mmap(self.fd, self.SIZE)

    def touch(self):
        def touch():
            for area in range(self.AREAS):
                self.memory[area * self.AREA] = area

        number = must_cost(4.2, touch, self.AREAS, "2 MiB mapped as a whole")
        must(number >= self.AREAS, "not all areas are huge")

    def touch_all(self):
        """Return: how many areas are huge then."""
        huge_before = figure("areas_huge")
        for page in range(0, self.SIZE, PAGE):
            must(self.memory[page:page + 2] != b"xx", "other contents")
        return figure("areas_huge") - huge_before

    def end(self):
        """For the file system, too, which remembers all entries of a file that is not
        mapped any more as long as it is mounted itself; and for the worker."""
        used = self.AREAS + device_areas_idle()
        self.memory.close()
        os.close(self.fd)
        mount_again(self.path)
        wait_for_idle(used)

    def words(self):
        """The second one of each page."""
        return memoryview(self.memory).cast("Q")[1::PAGE // 8]

    def fill(self, pages=None):
        words = self.words()
        for page in range(0, self.SIZE, PAGE) if pages is None else pages:
            words[page // PAGE] = page

    def check(self, skip=()):
        pages = range(0, self.SIZE, PAGE)
        wrong = {page for page, word in zip(pages, self.words().tolist()) if word != page}
        must(wrong <= set(skip), f"other contents of {len(wrong)} pages")


def device_huge(path, _):
    mapping = HugeMapping(path)
    mapping.touch()
    mapping.fill()
    mapping.check()


def direct_huge(path, device):
    """What an entry maps as a whole goes to the disk and comes back, from within it too."""
    mapping = HugeMapping(path)
    mapping.memory[:] = os.urandom(mapping.AREA) * mapping.AREAS
    whole, view = bytes(mapping.memory[:mapping.AREA]), memoryview(mapping.memory)
    fd = os.open(device, os.O_RDWR | os.O_DIRECT)
    for area, start, size in ((0, 0, mapping.AREA), (2, 3 * PAGE + 512, MIB)):
        part = view[area * mapping.AREA + start:][:size]
        must(os.pwritev(fd, [part], 0) == size, "short write")
        back = mmap.mmap(-1, size)
        must(os.preadv(fd, [back], 0) == size, "short read")
        must(back[:] == whole[start:start + size], "the disk has other data")
        part[:] = bytes(size)
        must(os.preadv(fd, [part], 0) == size, "short read")
        must(part == back[:], "other data was read")
    part.release()
    view.release()
    must(mapping.memory[:] == whole * mapping.AREAS, "what is around has changed")


def gigantic(path, _):
    memory = mmap.mmap(os.open(path, os.O_RDWR), 1 << 30)
    for start in range(0, 1 << 30, MIB):
        memory[start:start + 8] = struct.pack("<Q", start)
    must(all(memory[start:start + 8] == struct.pack("<Q", start)
             for start in range(0, 1 << 30, MIB)), "other contents")


def huge(path, _):
    mapping = HugeMapping(path)
    memory, start = mapping.memory, address_of(mapping.memory)
    mapping.touch()
    mapping.fill()
    huge_before = figure("areas_huge")
    # Pages of an entry that maps a whole area, one by one: every other area.
    for area in range(0, mapping.SIZE, 2 * mapping.AREA):
        for protection in (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE):
            call(LIBC.mprotect, ctypes.c_void_p(start + area + MIB), PAGE, protection)
    mapping.check()
    mapping.fill()
    mapping.check()
    lost = huge_before - figure("areas_huge")
    print(f"{lost} areas are not huge any more")
    must(not files_share_tails() or lost < mapping.AREAS // 8, "they have all struct pages")
    # Such an entry goes, and others come where it was.
    punched = range(MIB, mapping.SIZE, 4 * mapping.AREA)
    for page in punched:
        punch(mapping.fd, page, PAGE)
    mapping.check(skip=punched)
    must(all(memory[page:page + PAGE] == bytes(PAGE) for page in punched), "no hole")
    mapping.fill(punched)
    mapping.check()


def fracture(path, _):
    """2 MiB that are mapped in parts, because of a hole or because it is wanted, are
    mapped as a whole when nothing remembers that."""
    mapping = HugeMapping(path)
    mapping.touch()
    mapping.fill()
    punched = range(MIB, mapping.SIZE, 8 * mapping.AREA)
    for page in punched:
        punch(mapping.fd, page, PAGE)
    lost = -mapping.touch_all()
    must(lost == len(punched), f"{lost} huge areas are lost by {len(punched)} holes")
    mapping.check(skip=punched)
    mapping.end()

    mapping = HugeMapping(path)
    mapping.memory.madvise(mmap.MADV_NOHUGEPAGE)
    number = mapping.touch_all()
    must(number <= 0, f"{number} areas are huge that are mapped in small pages")
    mapping.fill(punched)
    mapping.check()
    mapping.end()

    mapping = HugeMapping(path)
    number = mapping.touch_all()
    print(f"{number} areas are huge again")
    must(number >= mapping.AREAS - len(punched), f"only {number} areas are huge again")
    mapping.check()
    mapping.end()

    # Where holes were filled, that may have been with blocks from elsewhere.
    os.unlink(path)
    mapping = HugeMapping(path)
    mapping.touch()
    mapping.fill()
    mapping.check()


def set_delay(milliseconds):
    """So long waits the worker before it takes struct pages."""
    with open(f"{DM}/take_back_delay_ms", "w", encoding="ascii") as file:
        file.write(str(milliseconds))


def merge(path, _):
    """What was mapped in small pages is mapped as a whole as soon as those are gone, and
    not only when the worker has taken their struct pages."""
    usual, split_before = figure("take_back_delay_ms"), figure("areas_split")
    set_delay(3600000)
    mapping = HugeMapping(path)
    mapping.memory.madvise(mmap.MADV_NOHUGEPAGE)
    mapping.fill()
    number = figure("areas_split") - split_before
    mapping.memory.close()
    os.close(mapping.fd)
    mount_again(path)
    mapping = HugeMapping(path)
    mapping.touch()
    set_delay(usual)
    must(number >= mapping.AREAS, f"only {number} areas were split")
    mapping.check()
    mapping.end()


class FewAreas(HugeMapping):
    AREAS = 4
    SIZE = AREAS * HugeMapping.AREA


def mount_for_small_extents(mnt):
    """Nothing remembers where other files went on; and XFS would have each file begin
    with an area, and go on there. Return: what mounts it as it was."""
    again = mounted_on(mnt)
    options = "dax=always,noalign" if "xfs" in again else "dax=always"
    subprocess.check_call(["umount", mnt])
    subprocess.check_call(["mount", "-o", options, *again[-2:]])
    return again


def fill_up(path):
    """A file as large as it can be. Return: what it has of whole areas, {which: where}."""
    fd, size, step = os.open(path, os.O_RDWR | os.O_CREAT), 0, 4 * HugeMapping.AREA
    try:
        while True:
            os.posix_fallocate(fd, size, step)
            size += step
    except OSError as error:
        must(error.errno == errno.ENOSPC, f"the file system cannot be filled: {error}")
    os.ftruncate(fd, size)
    os.close(fd)
    area, found = HugeMapping.AREA, {}
    for start, place, length in extents_of(path):
        for at in range(-(-start // area) * area, start + length - area + 1, area):
            if (place + at - start) % area == 0:
                found[(place + at - start) // area] = at
    return found


def small_extents(path, _):
    """Two files share their areas, for no two blocks of one are beside each other; then
    there is one that is mapped as a whole where they were."""
    mnt, names = os.path.dirname(path), (path, path + ".other")
    again, idle = mount_for_small_extents(mnt), device_areas_idle()
    files = [os.open(name, os.O_RDWR | os.O_CREAT) for name in names]
    for page in range(0, FewAreas.SIZE, PAGE):
        for fd in files:
            os.posix_fallocate(fd, page, PAGE)
    mappings, huge_before = [FewAreas(name) for name in names], figure("areas_huge")
    for mapping in mappings:
        mapping.fill()
    number = figure("areas_huge") - huge_before
    must(number <= 0, f"{number} areas are huge that have small extents")
    for mapping in mappings:
        mapping.check()
    extents = [extent for name in names for extent in extents_of(name)]
    must(all(size == PAGE for _, _, size in extents), "there are larger extents")
    areas = {place // FewAreas.AREA for _, place, _ in extents}
    for mapping, fd, name in zip(mappings, files, names):
        mapping.memory.close()
        os.close(mapping.fd)
        os.close(fd)
        os.unlink(name)
    subprocess.check_call(["umount", mnt])
    subprocess.check_call(again)
    wait_for_idle(idle)

    found = fill_up(path)
    used_again = areas & found.keys()
    print(f"{len(used_again)} of their {len(areas)} areas are used again")
    # In the others the file system has something of its own.
    must(len(areas - used_again) <= 2, "the file is not where they were")
    memory, huge_before = mmap.mmap(os.open(path, os.O_RDWR), 0), figure("areas_huge")
    for area in used_again:
        memory[found[area]:found[area] + 8] = struct.pack("<Q", area)
    number = figure("areas_huge") - huge_before
    must(number >= len(used_again), f"{number} of {len(used_again)} areas are huge again")
    must(all(memory[found[area]:found[area] + PAGE] == struct.pack("<Q", area) + bytes(PAGE - 8)
             for area in used_again), "other contents")


def bus_error(function, meanwhile=lambda: None):
    """What a child is told that does it: si_code, si_addr, and the size of what is bad."""
    child = os.fork()
    if not child:
        traced(function)
    wait_stopped(child, signal.SIGSTOP)
    trace(PTRACE_CONT, child)
    meanwhile()
    wait_stopped(child, signal.SIGBUS)
    info = ctypes.create_string_buffer(128)
    trace(PTRACE_GETSIGINFO, child, None, info)
    trace(PTRACE_CONT, child, None, ctypes.c_void_p(signal.SIGBUS))
    status = os.waitpid(child, 0)[1]
    must(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS,
         f"not ended by SIGBUS, but wait status {status:#x}")
    _, _, code, _, address, shift = struct.unpack("<iiiiQh", info.raw[:26])
    print(f"SIGBUS, si_code {code}, at {address:#x}, shift {shift}")
    return code, address, 1 << shift


def poison_page(memory, page, size):
    """Let a page go bad that is mapped by an entry of this size."""
    bad = address_of(memory, page * PAGE)
    code, address, told = bus_error(
        lambda: LIBC.madvise(ctypes.c_void_p(bad), PAGE, MADV_HWPOISON))
    must(code == BUS_MCEERR_AR, f"si_code is {code}")
    must(told == size and address == bad & -size, f"{told} bytes at {address:#x}, not {bad:#x}")


def block_of(path, page):
    """As badblocks says it: where this page of the file is on its device."""
    request = bytearray(struct.pack("<QQIIII", page * PAGE, PAGE, 0, 0, 1, 0) + bytes(56))
    fd = os.open(path, os.O_RDONLY)
    fcntl.ioctl(fd, FS_IOC_FIEMAP, request)
    os.close(fd)
    start, physical = struct.unpack_from("<QQ", request, 32)
    return f"{(physical + page * PAGE - start) // 512} {PAGE // 512}"


def poison(path, _):
    # Where 2 MiB are one folio, the kernel looks who has mapped its first page.
    memory = map_file(path, 13, small=True)
    poison_page(memory, 7, PAGE)
    must(memory[:7 * PAGE] == pattern(13)[:7 * PAGE], "other contents before the bad page")


def poison_huge(path, _):
    """A page of 2 MiB that are mapped as a whole."""
    mapping = HugeMapping(path)
    for page in range(0, mapping.SIZE, mapping.AREA):
        mapping.memory[page + 8:page + 16] = struct.pack("<Q", page)
    poison_page(mapping.memory, 3 * mapping.AREA // PAGE + 7, mapping.AREA)
    must(all(mapping.memory[page + 8:page + 16] == struct.pack("<Q", page)
             for page in range(0, mapping.SIZE, mapping.AREA)
             if page != 3 * mapping.AREA), "other contents of other areas")


def badblocks_of(path):
    device = os.stat(path).st_dev
    return f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/badblocks"


def bad_blocks_of(path):
    with open(badblocks_of(path), encoding="ascii") as file:
        return file.read().splitlines()


def mark_bad(path, page):
    with open(badblocks_of(path), "w", encoding="ascii") as file:
        file.write(f"{block_of(path, page)}\n")


def check_bad_block(path, seed, bad=7):
    """This page cannot be read, and all others can."""
    memory, start = mmap.mmap(os.open(path, os.O_RDWR), SIZE), bad * PAGE
    must(memory[:start] == pattern(seed)[:start], "other contents before the bad block")
    must(memory[start + PAGE:] == pattern(seed)[start + PAGE:],
         "other contents after the bad block")
    code, address, size = bus_error(lambda: memory[start + 80])
    must(code == BUS_MCEERR_AR, f"si_code is {code}")
    must(address & -size == address_of(memory, start) and size == PAGE,
         f"{size} bytes at {address:#x}, and not {address_of(memory, start):#x}")
    try:
        os.pread(os.open(path, os.O_RDONLY), PAGE, start)
        raise AssertionError("the bad block can be read")
    except OSError as error:
        must(error.errno == errno.EIO, f"reading the bad block: {error}")


def badblocks(path, _):
    """Blocks that the driver knows to be bad are not mapped, and others are."""
    map_file(path, 21)
    mark_bad(path, 7)
    check_bad_block(path, 21)
    rewrite(path, 7, pattern(21))


def rewrite(path, bad, contents):
    """A bad block is good again when it is written, and all others are what they were."""
    expected, fd = bytearray(contents), os.open(path, os.O_RDWR)
    must(block_of(path, bad) in bad_blocks_of(path), "the driver does not know the bad block")
    expected[bad * PAGE:(bad + 1) * PAGE] = b"r" * PAGE
    must(os.pwrite(fd, b"r" * PAGE, bad * PAGE) == PAGE, "the bad block cannot be written")
    must(not bad_blocks_of(path), f"blocks are still bad: {bad_blocks_of(path)}")
    must(os.pread(fd, SIZE, 0) == expected, "other contents after it was written")
    os.close(fd)
    memory = mmap.mmap(os.open(path, os.O_RDWR), SIZE)
    must(memory[:] == expected, "other contents in memory after it was written")


def rewritten(path, _):
    """So is a page of which the kernel, too, knows that it is bad."""
    memory = map_file(path, 27, small=True)
    poison_page(memory, 7, PAGE)
    mark_bad(path, 7)
    memory.close()
    rewrite(path, 7, pattern(27))


def machine_check(path, _):
    """The processor finds a page bad that is mapped; the driver hears of it, too."""
    check_machine_check(path, map_file(path, 22, small=True), 22, 7, PAGE)


def machine_check_huge(path, _):
    """The page is one of an entry that maps 2 MiB. What of it is told differs: its
    beginning, or, where the file system says whose it is, the page."""
    memory = map_file(path, 23)
    check_machine_check(path, memory, 23, 2 * MIB // PAGE + 7, 2 * MIB)


def check_machine_check(path, memory, seed, bad, size):
    """@size is that of the entry that maps page @bad."""
    start, (reader, writer) = address_of(memory, bad * PAGE), os.pipe()
    pfn = pfn_of(start)

    def wait_for_it():
        call(LIBC.prctl, PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0)
        os.write(writer, memory[bad * PAGE:bad * PAGE + 1])
        time.sleep(300)

    def go_bad():
        os.read(reader, 1)
        inject(pfn)

    code, address, told = bus_error(wait_for_it, go_bad)
    must(code == BUS_MCEERR_AO, f"si_code is {code}")
    must(told == size and address in (start, start & -size),
         f"{told} bytes at {address:#x}, and not {start:#x}")
    for _ in range(100):
        if block_of(path, bad) in bad_blocks_of(path):
            break
        time.sleep(0.2)
    else:
        raise AssertionError("the driver does not know the block to be bad")
    check_bad_block(path, seed, bad)
    # No other file gets that block.
    os.link(path, f"{path}.{bad}")


def pfn_of(address):
    with open("/proc/self/pagemap", "rb") as file:
        file.seek(address // PAGE * 8)
        return struct.unpack("<Q", file.read(8))[0] & (1 << 55) - 1


def inject(pfn):
    """Action optional, found by the memory controller; told to all processors."""
    subprocess.check_call([f"{os.environ['DYNMEMMAP']}/tools/vm-monitor",
                           f"mce -b 0 9 0xbd000000000000c0 0x5 {pfn << 12:#x} 0x8c"])


ACTIONS = {
    "direct-write": direct_write, "direct-read": direct_read, "fork": fork_cow,
    "process-vm": process_vm, "futex": futex, "splice": splices, "query": queries,
    "sync": sync, "holes": holes, "pinned": pinned, "unlinked": unlinked,
    "longterm": longterm, "ptrace": ptrace,
    "punch-in-flight": functools.partial(in_flight, punch_in_flight),
    "truncate-in-flight": functools.partial(in_flight, truncate_in_flight),
    "unlink-in-flight": functools.partial(in_flight, unlink_in_flight),
    # Not for every file system or machine.
    "reflink": reflink, "reflink-pinned": reflink_pinned, "reflink-huge": reflink_huge,
    "reflink-detached": reflink_detached, "reflink-waits": reflink_waits, "unmount": unmount,
    "unmount-in-flight": functools.partial(in_flight, unmount_in_flight),
    "poison": poison, "poison-huge": poison_huge, "badblocks": badblocks,
    "rewritten": rewritten,
    "refused": refused, "unbind-mounted": unbind_mounted, "unbind-pinned": unbind_pinned,
    "unbind-device": unbind_device,
    "machine-check": machine_check, "machine-check-huge": machine_check_huge,
    "single": single, "small": small, "huge": huge, "fracture": fracture, "merge": merge,
    "small-extents": small_extents, "frames-fail": frames_fail,
    "frames-never": frames_never,
    "device-huge": device_huge, "gigantic": gigantic, "direct-huge": direct_huge,
}


def main():
    if len(sys.argv) < 4 or not ACTIONS.keys() >= set(sys.argv[3:]):
        sys.exit(f"{__doc__.strip()}\n\nactions: {' '.join(ACTIONS)}")
    failed = 0
    for name in sys.argv[3:]:
        try:
            ACTIONS[name](sys.argv[1], sys.argv[2])
        except (AssertionError, OSError) as error:
            print(f"{name}: {error}")
            failed = 1
        if not is_device(sys.argv[1]):
            os.unlink(sys.argv[1])
    return failed


if __name__ == "__main__":
    sys.exit(main())
