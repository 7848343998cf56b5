#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# 900 GiB of persistent memory and 512 MiB of RAM: 4 GiB are written.
#
# kernels: none
# also: dynamic
# mem: 512M
# pmem: 900G
# append: dynamic_memmap=on
# timeout: 1800

. "$DYNMEMMAP/tests/guest/fsdax-large.sh" 4096
