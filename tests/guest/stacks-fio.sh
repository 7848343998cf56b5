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
thp=/sys/kernel/mm/transparent_hugepage

# What is swapped out is split.
watch()	# KIND
{
	((seconds == 0)) || set none
	watch_splits "$1"
}

fio_verifies()	# DISK JOBS...
{
	fio --output=/tmp/fio --filename="$1" --direct=1 --ioengine=io_uring --rw=randwrite \
		--verify=crc32c --do_verify=1 --verify_fatal=1 --verify_state_save=0 --size=8M \
		--bs=2M --iodepth=2 "${@:2}"
}

# Buffers at the beginning of huge pages, within them, and across their ends; bytes of
# each kind are in a part of the disk of their own.
fio_once()	# DISK
{
	# fio maps it without making it larger, and removes it.
	fallocate -l 8M "$dax/fio" || return
	watch thp
	# With blocks of 4092 KiB, which are not used, what it maps is whole huge pages: only
	# then does its beginning, and what begins 2 MiB after that, begin a huge page.
	fio_verifies "$1" --name=thp --offset=0M --iomem=mmap --iomem_align=2m --iodepth=1 \
		--bs=2M,2M,4092k \
		--name=within --offset=8M --iomem=mmap --bs=256k --iodepth=16 \
		--name=across --offset=16M --iomem=mmap --iomem_align=512 \
		--name=fixed --offset=24M --iomem=mmap --fixedbufs \
		--name=hugetlb --offset=32M --iomem=mmaphuge:/dev/hugepages/fio \
		--name=dax --offset=48M "--iomem=mmapshared:$dax/fio" || return
	# By itself, because fio shares memory of its own, too. What it calls mmapshared is
	# shared only if it is a file.
	watch shm
	put always "$thp/shmem_enabled" &&
		fio_verifies "$1" --name=shm --offset=40M --iomem=shm &&
		put advise "$thp/shmem_enabled"
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

# What a huge page table entry maps was made a bio_vec.
trace_extraction()
{
	# shellcheck disable=SC2016 # for the kernel to expand
	put 'r:extract __dynmemmap_extract_bvec size=$retval:u64' "$tracing/kprobe_events" &&
		put 'size > 0' "$tracing/events/kprobes/extract/filter" &&
		put 1 "$tracing/events/kprobes/extract/enable"
}

trace_extraction_ends()
{
	put 0 "$tracing/events/kprobes/extract/enable"
	: >"$tracing/kprobe_events"
}

# Four written and four read of each of thp, hugetlb, dax, and shm. When memory is short,
# it may be that there are no huge pages.
least=32
((seconds == 0)) || least=1
stacks_begin
put always "$thp/enabled"
! dm_on || expect_success "bio_vecs are traced" trace_extraction
((seconds == 0)) || expect_success "there is swap" zram_swap 512M
for stack in null virtio brd loop linear crypt md nvme iscsi; do
	expect_success "$stack: it is set up" "${stack}_up"
	out=$(vmstat pswpout)
	((seconds == 0)) || load_start --vm 2 --vm-bytes 90% --vm-method write64
	: >"$tracing/trace"
	expect_success "$stack: fio finds no error" fio_finds_no_error "$stack"
	if dm_on; then
		vectors=$(grep -c " extract: .* size=$((2 << 20))\$" "$tracing/trace")
		note "$stack: $vectors bio_vecs of 2 MiB"
		expect "$stack: huge page table entries became bio_vecs" "$vectors" -ge $least
	fi
	((seconds == 0)) || {
		load_stop
		expect "$stack: memory was short meanwhile" $(($(vmstat pswpout) - out)) -ge 1000
	}
	note "$stack: $((56 * $(</tmp/turns))) MiB written and read"
	expect_success "$stack: it goes" "${stack}_down"
done
((seconds == 0)) || expect_success "swap goes" zram_swap_end
! dm_on || trace_extraction_ends
rm -f "$dax/fio"
put madvise "$thp/enabled"
# Slabs that are allocated when there is no memory lie wherever one page was free.
((seconds == 0)) || left_kib=6144
stacks_end

finish
