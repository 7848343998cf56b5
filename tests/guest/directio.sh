#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Direct I/O on huge pages: what a huge page table entry maps becomes one bio_vec,
# nothing is split for it, and all pins go. Bad memory is refused as on stock, also when
# it goes meanwhile.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# disk: disk:64M
# append: dynamic_memmap=on memmap=128M!512M brd.rd_nr=1 brd.rd_size=65536

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

tracing=/sys/kernel/tracing
thp=/sys/kernel/mm/transparent_hugepage
dax=/mnt/dax

directio()	# DISK KIND ACTION[,ACTION...]
{
	watch_splits "$2"
	# A child writes to a page of a huge one, and has it mapped in small pages.
	[[ $3 != forked ]] || watch_splits none
	/usr/bin/python3 -BS "$DYNMEMMAP/tests/guest/directio.py" "$@"
}

# What the kernel has made bio_vecs of, in bytes, one a line.
trace_extraction()
{
	echo 'r:extract __dynmemmap_extract_bvec size=$retval:u64' >"$tracing/kprobe_events"
	echo 1 >"$tracing/events/kprobes/extract/enable"
}

bio_vecs_of()	# BYTES
{
	grep -cE "size=$1\$" "$tracing/trace"
}

echo advise >$thp/shmem_enabled
echo 8 >/proc/sys/vm/nr_hugepages
loop=$(losetup --find --show --direct-io=on /dev/vda)
expect_success "a file system is made" make_dax_fs ext4 /dev/pmem0
mkdir -p $dax
expect_success "it is mounted" mount -o dax /dev/pmem0 $dax
remember_memmap
split=$(vmstat thp_split_page)
expect_success "areas that are split are noted" note_splits

if dm_on; then
	expect_success "bio_vecs are traced" trace_extraction
	expect_success "bios are traced" bios_trace
fi
expect_success "thp: 2 MiB there and back" directio /dev/vda thp whole
expect_success "thp: 1 MiB from within there and back" directio /dev/vda thp inner
if dm_on; then
	echo 0 >"$tracing/events/kprobes/extract/enable"
	expect "the huge page is one bio_vec, there and back" "$(bio_vecs_of $((2 << 20)))" -eq 2
	expect "that is one bio each" "$(bios_of $((2 << 20)))" -eq 2
	expect "so is what begins beyond a page" "$(bios_of $((1 << 20)) $((3 * 4096 + 512)))" -eq 2
	bios_trace_end
	: >"$tracing/kprobe_events"
fi
for disk in /dev/vda /dev/nullb0 /dev/ram0 "$loop"; do
	for kind in thp hugetlb shm $dax; do
		[[ $disk == /dev/vda || $kind == thp ]] || continue
		for actions in whole,odd,pieces forked refused vanish; do
			# What is written there is gone.
			[[ $disk != /dev/nullb0 || $actions == refused ]] || continue
			# Children share it, and write to it.
			[[ $actions != forked || $kind == thp || $kind == hugetlb ]] || continue
			expect_success "$disk, $kind: $actions" directio "$disk" "$kind" $actions
		done
	done
done
expect_success "the huge page of zeros" directio /dev/vda thp zero
expect_success "a private mapping of a file" directio /dev/vda $dax private
# A stock kernel forgets some of the pins. Of these disks, only that one has bytes for it.
! dm_on || for kind in thp hugetlb shm $dax; do
	expect_success "$kind: the end of a bio is trimmed" directio /dev/nullb0 "$kind" trimmed
done
expect "no folio was split" "$(vmstat thp_split_page)" -eq "$split"
expect_no_splits
expect_success "all pins are gone" eventually 5 no_pins_left
expect_success "the file system is unmounted" umount $dax
losetup -d "$loop"
echo 0 >/proc/sys/vm/nr_hugepages
echo 3 >/proc/sys/vm/drop_caches
expect_memmap_back 15
expect_consistent

finish
