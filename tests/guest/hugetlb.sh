#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Huge pages of 2 MiB and of 1 GiB, allocated and freed at run time.
#
# kernels: dynamic
# also: stock debug
# mem: 7G
# mem@debug: 10G
# append: dynamic_memmap=on

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

# The kernel itself is put anywhere in memory, where no huge page can be then:
# there are four aligned GiB, of which it may spoil two. KASAN and the rest take two
# more, by what they allocate at boot and later.
pages=/sys/kernel/mm/hugepages
remember_memmap

# What it is for is done anyway with dynamic memmap on; it can be set all the same.
optimize=/proc/sys/vm/hugetlb_optimize_vmemmap
for value in 1 0; do
	expect_success "vm.hugetlb_optimize_vmemmap can be $value" eval "echo $value >$optimize"
	expect "and is" "$(cat $optimize)" -eq $value
done
expect_failure "but not nonsense" eval "echo on >$optimize"

allocate()	# SIZE NUMBER
{
	echo "$2" >"$pages/hugepages-$1/nr_hugepages"
	expect "there are $2 of $1" "$(cat "$pages/hugepages-$1/nr_hugepages")" -eq "$2"
}

free=$(meminfo MemFree)
allocate 2048kB 300
# But for what CPUs have had on their lists, which is not counted as free, and let go.
expect "free memory is less by as much" $((free - $(meminfo MemFree))) -ge $(((600 - 32) << 10))
expect_success "pages of 2 MiB are filled" hold_start huge 400 hugetlb
expect "$(cat $pages/hugepages-2048kB/free_hugepages) of them are free" \
	"$(cat $pages/hugepages-2048kB/free_hugepages)" -eq 100
expect_success "other memory is filled" hold_start some 300
expect_success "they keep their contents" hold_check huge

tails_are_gone()
{
	(($(vmstat dynmemmap_unpopulate_tails) > unpopulated))
}

if dm_on; then
	# Whoever asks about one of its pages by number has all struct pages for a moment.
	pfn=$(/usr/bin/python3 -I "$DYNMEMMAP/tests/guest/kpage.py" of "$(hold_pid huge)")
	populated=$(vmstat dynmemmap_populate_tails)
	unpopulated=$(vmstat dynmemmap_unpopulate_tails)
	expect_refusal "pfn $pfn of one was never bad" /sys/kernel/debug/hwpoison/unpoison-pfn \
		"$pfn" "Device or resource busy"
	expect "it has got its struct pages" "$(vmstat dynmemmap_populate_tails)" -gt "$populated"
	expect_success "it gives them back" eventually 60 tails_are_gone
	expect_success "and keeps its contents" hold_check huge
fi
hold_stop huge
allocate 2048kB 0

# The first of its 4096 vmemmap pages is its own, the others are one that all share.
huge_areas_are()	# NUMBER; at least
{
	(($(dm areas_huge) >= $1))
}

# Frames of something else than areas of one kind, if each HUGE one has a frame.
other_frames()
{
	echo $(($(frames_in_use) - 8 * $(dm areas_split) - $(dm areas_huge)))
}

if dm_on; then
	# What lies there is moved out of its way first: that may need page tables elsewhere.
	allocate 1048576kB 1
	allocate 1048576kB 0
	eventually 4 memmap_rests
	before=$(other_frames)
fi
allocate 1048576kB 1
if dm_on; then
	expect "a page of 1 GiB is huge areas" "$(dm areas_huge)" -ge 512
	eventually 4 memmap_rests
	kib=$((4 * (512 + $(other_frames) - before)))
	note "a page of 1 GiB costs $kib KiB of memmap"
	# Its own 4, 4 that others share, 32 of page tables; others may need a table, too.
	expect "it costs one vmemmap page and the page tables" "$kib" -le 48
	expect "and that is counted" "$kib" -ge 4
fi
expect_success "a page of 1 GiB is filled" hold_start huge 1024 gigantic
expect_success "it keeps its contents" hold_check huge
! dm_on || expect_success "it stays as it was" huge_areas_are 512
expect_success "other memory keeps its contents" hold_check some
hold_stop huge
allocate 1048576kB 0

# From huge to small: the same memory, split without going through the allocator.
allocate 1048576kB 1
echo 1 >$pages/hugepages-1048576kB/demote
expect "a page of 1 GiB is demoted" "$(cat $pages/hugepages-2048kB/nr_hugepages)" -eq 512
! dm_on || expect_success "and each of the small ones is a huge area" huge_areas_are 512
allocate 2048kB 0
expect_success "other memory keeps its contents" hold_check some
hold_stop some

expect_memmap_back 15
expect_consistent

finish
