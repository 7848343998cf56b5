#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# virtio-mem adds memory and takes it away again: the areas have no struct pages until
# they are used, but for those that are not plugged; and none is lost or gained. What is
# pinned stays, and of the blocks where it is, what is not plugged has struct pages.
#
# kernels: blocks:dynamic
# also: stock dynamic debug
# variant: blocks
# variant: bigblocks --qemu-arg=-global --qemu-arg=virtio-mem.block-size=256M
# variant: on-memory memory_hotplug.memmap_on_memory=1
# mem: 1G
# mem@debug: 1280M
# virtio-mem: 1G
# hotplug-mem: 512M
# append: dynamic_memmap=on memhp_default_state=online_movable

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

memory=/sys/devices/system/memory

ask_for()	# SIZE
{
	monitor "qom-set vmem0 requested-size $1"
}

# How many MiB the guest has more than at the beginning.
more()
{
	echo $((($(meminfo MemTotal) - total) >> 10))
}

has_more()	# MIB
{
	(($(meminfo MemTotal) == total + ($1 << 10)))
}

# MiB that are not plugged, of blocks that are there.
unplugged()
{
	local now=("$memory"/memory[0-9]*)

	echo $(((${#now[@]} - ${#blocks[@]}) * (0x$(<"$memory/block_size_bytes") >> 20) - $(more)))
}

# When nothing has been plugged or unplugged for a while.
plugging_rests()
{
	local before

	before="$(more) $(unplugged)"
	pause 3
	[[ "$(more) $(unplugged)" == "$before" ]]
}

is_marked_offline()
{
	(($(/usr/bin/python3 -IS "$DYNMEMMAP/tests/guest/kpage.py" offline) == $(unplugged) << 8))
}

# Each has a struct page that says so, as on stock, and its area all of them.
expect_marked_offline()	# NAME
{
	expect_success "$1: pages that are not plugged are marked as offline, and no others" \
		eventually 10 is_marked_offline
	! dm_on || expect "$1: they have their struct pages" \
		"$(dm areas_split)" -ge $(($(unplugged) / 2))
}

remember_populated()
{
	! dm_on || populated=$(vmstat dynmemmap_populate)
}

# 256 areas have been added, and perhaps some programs run.
expect_few_populated()	# NAME
{
	! dm_on || expect "$1: they have no struct pages" \
		$(($(vmstat dynmemmap_populate) - populated)) -le 96
}

# The block of memory that was plugged last.
last_block()
{
	local end

	end=$(sed -nE 's/^ *[0-9a-f]+-([0-9a-f]+) : System RAM \(virtio_mem\)$/\1/p' /proc/iomem |
		tail -n 1)
	echo $((0x$end / 0x$(<"$memory/block_size_bytes")))
}

switch()	# STATE BLOCK
{
	echo "$1" >"$memory/memory$2/state"
}

total=$(meminfo MemTotal) blocks=("$memory"/memory[0-9]*)
! dm_on || full=$(dm full_memmap_bytes)
remember_memmap
for round in 1 2; do
	remember_populated
	expect_success "round $round: 512 MiB are plugged" ask_for 512M
	expect_success "round $round: the guest has them" eventually 30 has_more 512
	expect_few_populated "round $round"
	expect_memmap_back
	! dm_on || expect "round $round: they have areas" \
		$(($(dm full_memmap_bytes) - full)) -eq $((8 << 20))
	expect_success "round $round: more than there was is filled" hold_start more 1050 thp
	expect_success "round $round: it keeps its contents" hold_check more
	hold_stop more
	expect_success "round $round: some memory is filled" hold_start some 300
	expect_success "round $round: all are unplugged" ask_for 0
	expect_success "round $round: the guest has what it had" eventually 60 has_more 0
	expect_success "round $round: memory keeps its contents" hold_check some
	hold_stop some
done

# Memory in use moves away, however busy it is.
expect_success "under load: 512 MiB are plugged" ask_for 512M
expect_success "under load: the guest has them" eventually 30 has_more 512
expect_success "under load: memory is filled" hold_start some 600
load_start --vm 2 --vm-bytes 10% --vm-method write64 --verify --mmap 1 --mmap-bytes 5%
expect_success "under load: all are unplugged" ask_for 0
expect_success "under load: the guest has what it had" eventually 120 has_more 0
load_stop
expect_success "under load: memory keeps its contents" hold_check some
hold_stop some

in_parts=
if ask_for 300M >/dev/null 2>&1; then
	in_parts=yes
	expect_success "a part of a block is plugged" eventually 30 has_more 300
	expect_marked_offline "a part"
	block=$(last_block)
	expect_success "block $block goes offline" switch offline "$block"
	expect_success "the guest has the others" has_more 256
	expect_success "block $block comes online" switch online_movable "$block"
	expect_success "the guest has the part of it again" has_more 300
	expect_marked_offline "once more"
	expect_success "the rest is plugged" ask_for 512M
	expect_success "the guest has all" eventually 30 has_more 512
	expect_success "more than there was is filled" hold_start more 1050 thp
	expect_success "it keeps its contents" hold_check more
	hold_stop more
	expect_success "all but a part of a block are unplugged" ask_for 300M
	expect_success "the guest has that" eventually 60 has_more 300
	expect_marked_offline "unplugged"
	expect_success "all are unplugged" ask_for 0
	expect_success "the guest has what it had" eventually 60 has_more 0
else
	note "there are no parts of blocks"
fi

# What is pinned cannot move: half of what is filled stays.
expect_success "pinned: 512 MiB are plugged" ask_for 512M
expect_success "pinned: the guest has them" eventually 30 has_more 512
for part in {1..4}; do
	expect_success "pinned: memory is filled, part $part" hold_start "kept$part" 48 pinned
	expect_success "pinned: other memory between is filled, too" hold_start "given$part" 48
done
for part in {1..4}; do
	hold_stop "given$part"
done
expect_success "pinned: all are to be unplugged" ask_for 0
if [[ $in_parts ]]; then
	expect_success "pinned: a part of a block is" eventually 120 eval '(($(unplugged) > 0))'
fi
eventually 60 plugging_rests
note "$(more) MiB are left, $(unplugged) MiB of their blocks are not plugged"
expect "pinned: what is pinned stays" "$(more)" -ge 192
[[ $in_parts ]] || expect "pinned: so does all of its blocks" "$(unplugged)" -eq 0
expect_marked_offline "pinned"
for part in {1..4}; do
	expect_success "pinned: part $part keeps its contents" hold_check "kept$part"
done
expect_success "pinned: all are plugged again" ask_for 512M
expect_success "pinned: the guest has them again" eventually 60 has_more 512
expect_marked_offline "plugged again"
for part in {1..4}; do
	hold_stop "kept$part"
done
expect_success "not pinned: all are unplugged" ask_for 0
expect_success "not pinned: the guest has what it had" eventually 60 has_more 0

# Other memory is added as where there is no such device. A DIMM holds its memmap where
# there is one to hold; virtio-mem has not.
dimm=512
dm_on || ! booted_with memory_hotplug.memmap_on_memory=1 || dimm=504
monitor 'object_add memory-backend-ram,id=ram-more,size=512M'
remember_populated
expect_success "a DIMM is added" monitor 'device_add pc-dimm,id=more,memdev=ram-more'
expect_success "the guest has it" eventually 30 has_more $dimm
expect_few_populated "a DIMM"
expect_success "the DIMM is removed" monitor 'device_del more'
expect_success "the guest has what it had" eventually 60 has_more 0
if dm_on; then
	# Memory is offline first, and removed later.
	eventually 30 eval '(($(dm full_memmap_bytes) == full))'
	expect "the areas are those of boot" "$(dm full_memmap_bytes)" -eq "$full"
fi
expect_memmap_back 20
expect_consistent

finish
