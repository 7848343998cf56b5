#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# 900 GiB of persistent memory and 512 MiB of RAM: a file system with -o dax is made,
# mounted and written through mmap, in huge pages. An argument says how many MiB.
#
# kernels: dynamic
# mem: 512M
# pmem: 900G
# append: dynamic_memmap=on

# shellcheck disable=SC2016 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

mib=${1:-512}
empty=$(memmap_kib)
expect_success "900 GiB become a namespace with its struct pages in RAM" \
	make_fsdax
expect_success "a file system is made" make_dax_fs xfs /dev/pmem0
mkdir -p /mnt/dax
expect_success "it is mounted" mount -o dax /dev/pmem0 /mnt/dax
expect_success "mounted, it costs at most 48 MiB" eventually 20 memmap_is_below $((48 << 10))
note "memmap: $empty KiB before, $(memmap_kib) KiB with 900 GiB of pmem"
idle=$(memmap_of_idle) huge=$(dm areas_huge)
expect_success "$mib MiB are written through mmap, and verified" fio --name=mmap \
	--filename=/mnt/dax/file --ioengine=mmap --rw=randwrite --bs=64k --size="${mib}M" \
	--verify=crc32c --do_verify=1 --verify_fatal=1 --output=/tmp/fio
note "memmap: $(memmap_kib) KiB with the file, $(dm areas_huge) areas are huge"
expect "its areas are huge" $(($(dm areas_huge) - huge)) -ge $((mib / 2))
# What is idle is all but 4 KiB of each that is huge, and all but 32 of others.
expect "each costs at most 4.2 KiB, or 32.2 of others" $(($(memmap_of_idle) - idle)) \
	-le $((($(dm areas_huge) + $(dm areas_split)) * 204))
rm /mnt/dax/file
expect_success "they go with the file" eventually 30 memmap_is_below $((48 << 10))
expect_success "it is unmounted" umount /mnt/dax
expect_consistent

finish
