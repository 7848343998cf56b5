#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the guest: enable a namespace with its struct pages in RAM, fault in a file there,
# and write it to a disk. Prints lines "NAME INSTRUCTIONS".
#
# usage: dax.sh FAULTS

set -eu

# shellcheck source=tests/guest/lib.sh
. "$DYNMEMMAP/tests/guest/lib.sh"

make_fsdax 0 >/dev/null
driver=/sys/bus/nd/drivers/nd_pmem
device=$(basename $driver/pfn*)
echo "$device" >$driver/unbind
# No program is read from a disk meanwhile: the clock does not count how long that takes.
start=${EPOCHREALTIME/./}
echo "$device" >$driver/bind
echo "enable $(((${EPOCHREALTIME/./} - start) * 1000))"
mkdir -p /mnt/dax
mkfs.ext4 -q -F -b 4096 -E stride=512,stripe_width=512 /dev/pmem0
mount -o dax /dev/pmem0 /mnt/dax
"$1" /mnt/dax/file prepare
# With the file system goes what it knows of entries.
umount /mnt/dax
mount -o dax /dev/pmem0 /mnt/dax
sleep 10
"$1" /mnt/dax/file first
"$1" /mnt/dax/file later
"$1" /mnt/dax/file direct
