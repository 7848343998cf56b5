#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio writes to every stack of block devices from huge pages of every kind, and
# verifies what it reads back.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# disk: one:64M
# disk: two:64M
# append: dynamic_memmap=on memmap=128M!512M brd.rd_nr=1 brd.rd_size=65536

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/stacks.bash"

seconds=${1:-0}

# Buffers at the beginning of huge pages, within them, and across their ends; bytes of
# each kind are in a part of the disk of their own.
fio_once()	# DISK
{
	# fio maps it without making it larger, and removes it.
	truncate -s 8M "$dax/fio"
	fio --output=/tmp/fio --filename="$1" --direct=1 --ioengine=io_uring --rw=randwrite \
		--verify=crc32c --do_verify=1 --verify_fatal=1 --verify_state_save=0 --size=8M --bs=2M --iodepth=2 \
		--name=thp --offset=0M --iomem=mmap \
		--name=within --offset=8M --iomem=mmap --bs=256k --iodepth=16 \
		--name=across --offset=16M --iomem=mmap --iomem_align=512 \
		--name=fixed --offset=24M --iomem=mmap --fixedbufs \
		--name=hugetlb --offset=32M --iomem=mmaphuge:/dev/hugepages/fio \
		--name=shm --offset=40M --iomem=mmapshared \
		--name=dax --offset=48M "--iomem=mmapshared:$dax/fio"
}

# At least once, and as often as the time allows.
fio_finds_no_error()	# STACK
{
	local end=$((SECONDS + seconds)) turns=0 disk

	disk=$("${1}_top") || return
	while fio_once "$disk"; do
		turns=$((turns + 1))
		((SECONDS < end)) || {
			put "$turns" /tmp/turns
			return
		}
	done
	cat /tmp/fio
	return 1
}

stacks_begin
# Of files there are huge pages, too.
watch_splits shm
put always /sys/kernel/mm/transparent_hugepage/enabled
put always /sys/kernel/mm/transparent_hugepage/shmem_enabled
((seconds == 0)) || expect_success "there is swap" zram_swap 512M
for stack in null virtio brd loop linear crypt md nvme iscsi; do
	expect_success "$stack: it is set up" "${stack}_up"
	out=$(vmstat pswpout)
	((seconds == 0)) || load_start --vm 2 --vm-bytes 90% --vm-method write64
	expect_success "$stack: fio finds no error" fio_finds_no_error "$stack"
	((seconds == 0)) || {
		load_stop
		expect "$stack: memory was short meanwhile" $(($(vmstat pswpout) - out)) -ge 1000
	}
	note "$stack: $((56 * $(</tmp/turns))) MiB written and read"
	expect_success "$stack: it goes" "${stack}_down"
done
((seconds == 0)) || expect_success "swap goes" zram_swap_end
rm -f "$dax/fio"
put madvise /sys/kernel/mm/transparent_hugepage/enabled
put advise /sys/kernel/mm/transparent_hugepage/shmem_enabled
stacks_end

finish
