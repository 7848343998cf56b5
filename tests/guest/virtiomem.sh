#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# virtio-mem adds memory and takes it away again: the areas have no struct pages until
# they are used, but for those that are not plugged; and none is lost or gained.
#
# kernels: blocks:dynamic
# also: stock dynamic debug
# variant: blocks
# variant: bigblocks --qemu-arg=-global --qemu-arg=virtio-mem.block-size=256M
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

# The guest has so many MiB more than at the beginning.
has_more()	# MIB
{
	(($(meminfo MemTotal) == total + ($1 << 10)))
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

total=$(meminfo MemTotal)
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

if ask_for 300M >/dev/null 2>&1; then
	expect_success "a part of a block is plugged" eventually 30 has_more 300
	block=$(last_block)
	expect_success "block $block goes offline" switch offline "$block"
	expect_success "the guest has the others" has_more 256
	expect_success "block $block comes online" switch online_movable "$block"
	expect_success "the guest has the part of it again" has_more 300
	expect_success "the rest is plugged" ask_for 512M
	expect_success "the guest has all" eventually 30 has_more 512
	expect_success "more than there was is filled" hold_start more 1050 thp
	expect_success "it keeps its contents" hold_check more
	hold_stop more
	expect_success "all but a part of a block are unplugged" ask_for 300M
	expect_success "the guest has that" eventually 60 has_more 300
	expect_success "all are unplugged" ask_for 0
	expect_success "the guest has what it had" eventually 60 has_more 0
else
	note "there are no parts of blocks"
fi

# Other memory is added as where there is no such device.
monitor 'object_add memory-backend-ram,id=ram-more,size=512M'
remember_populated
expect_success "a DIMM is added" monitor 'device_add pc-dimm,id=more,memdev=ram-more'
expect_success "the guest has it" eventually 30 has_more 512
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
