# SPDX-License-Identifier: GPL-2.0-only
"""What programs of the guest tests want to know of areas and the huge pages in them."""

import os
import time

from huge import KPF_HEAD, KPF_TAIL, PAGE, PAGES, words_of
from libc import DM, figure

# How long is waited for what a worker does, in looks.
LOOKS = 1500


def areas_in_use(node=None):
    """By state, of all memory or of a node; those in the cache are nobody's. Empty if off."""
    if not os.path.exists(DM):
        return {}
    where = "" if node is None else f"node{node}/"
    return {"huge": figure(f"{where}areas_huge") - figure(f"{where}cached_areas"),
            "split": figure(f"{where}areas_split")}


def areas_at_rest(node=None):
    """When none has come or gone for a while."""
    quiet, last = 0, None
    while last != {} and quiet < 8:
        now = areas_in_use(node)
        quiet, last = (quiet + 1 if now == last else 0), now
        time.sleep(0.2)
    return last


class Areas:
    """How many more there are than in the beginning."""

    def __init__(self, node=None):
        self.node, self.before = node, areas_at_rest(node)

    def expect(self, huge, split, looks=1):
        """Each is a range, or None: any number."""
        while self.before:
            now = areas_in_use(self.node)
            more = {state: now[state] - self.before[state] for state in now}
            if (huge is None or more["huge"] in huge) and (split is None or more["split"] in split):
                break
            looks -= 1
            if not looks:
                where = "" if self.node is None else f"node {self.node} has "
                raise AssertionError(f"{where}{more} areas more, not {huge} huge, {split} split")
            time.sleep(0.2)


def maps_whole(address):
    """Does this process map a huge page there, from its beginning?"""
    word, = words_of("self/pagemap", address // PAGE, 1)
    frame = word & (1 << 55) - 1 if word >> 63 else 0
    if not frame or frame % PAGES:
        return False
    flags = words_of("kpageflags", frame, PAGES)
    return flags[0] & KPF_HEAD and all(flag & KPF_TAIL for flag in flags[1:])


def put(text, path):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
