#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the guest of tests/bench/pmem: make a file system on persistent memory whose
# struct pages are in RAM, use it and give it up. One line a step for the host:
#
#	step STATUS MEMMAP_KIB NAME

set -u

# shellcheck source=tests/guest/lib.sh
. "$DYNMEMMAP/tests/guest/lib.sh"

step()	# NAME COMMAND...; ends it all when one fails
{
	local name=$1 status

	shift
	"$@" >/tmp/step.output 2>&1
	status=$?
	echo "step $status $(memmap_kib) $name"
	((status == 0)) || {
		cat /tmp/step.output
		exit 1
	}
}

mkdir -p /mnt/dax
step "at rest" sleep 5
step "the pmem becomes a namespace" make_fsdax
step "mkfs.xfs" mkfs.xfs -q -f /dev/pmem0
step "mounted with -o dax" mount -o dax /dev/pmem0 /mnt/dax
step "1 GiB written through mmap, verified" fio --name=mmap --filename=/mnt/dax/file \
	--ioengine=mmap --rw=write --bs=1m --size=1G --verify=crc32c --do_verify=1 \
	--verify_fatal=1
step "the file is gone" rm /mnt/dax/file
step "10 s later" sleep 10
step "unmounted" umount /mnt/dax
step "destroyed" ndctl destroy-namespace --force namespace0.0
