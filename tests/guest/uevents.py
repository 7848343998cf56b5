#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Print what the kernel tells udev about devices, one line an event: ACTION@PATH."""

import os
import socket

NETLINK_KOBJECT_UEVENT = 15

listener = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_KOBJECT_UEVENT)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
listener.bind((0, 1))
print(f"listening@{os.getpid()}", flush=True)
while True:
    print(listener.recv(8192).split(b"\0")[0].decode(), flush=True)
