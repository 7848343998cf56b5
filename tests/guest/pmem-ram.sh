#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Persistent memory is turned into ordinary memory and back, by daxctl: its areas have
# no struct pages until they are used. It goes under load, too, and not as long as the
# kernel has something in it. So does what holds its own struct pages.
#
# kernels: none
# also: stock dynamic debug
# variant: ram
# variant: held pmem.held
# mem: 1G
# pmem: 2G
# append: dynamic_memmap=on memhp_default_state=offline
# append: memory_hotplug.memmap_on_memory=1

# shellcheck disable=SC2016,SC2034,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

become()	# MODE [OPTIONS...]
{
	daxctl reconfigure-device --mode="$1" "${@:2}" dax0.0
}

becomes_memory()	# ROUND [OPTIONS...]
{
	expect_success "$1: it becomes memory" become system-ram "${@:2}"
	added=$(($(meminfo MemTotal) - total))
	expect "$1: most of 2 GiB is added" $added -ge $((1800 << 10))
}

becomes_a_device()	# ROUND
{
	expect_success "$1: it goes offline" daxctl offline-memory dax0.0
	expect_success "$1: it is persistent memory again" become devdax
	expect "$1: the guest has what it had" "$(meminfo MemTotal)" -eq "$total"
	! dm_on || expect "$1: the areas are those of before" "$(dm full_memmap_bytes)" -eq "$full"
}

total=$(meminfo MemTotal)
expect_success "the drivers are known" drivers_are_known drivers/dax/{kmem,device_dax}
! dm_on || rest=$(dm full_memmap_bytes) idle=$(dm areas_idle)
expect_success "there is a namespace" ndctl create-namespace --force --mode=devdax \
	--map=dev --reconfig=namespace0.0
! booted_with pmem.held ||
	expect_success "it holds its struct pages" hold_struct_pages namespace0.0 devdax
! dm_on || note "its struct pages are in: $(struct_pages_of namespace0.0)"
if dm_on; then
	full=$(dm full_memmap_bytes)
	answer=$({ echo 1 >/sys/bus/dax/devices/dax0.0/memmap_on_memory; } 2>&1)
	expect "it cannot be asked to hold its own memmap" "${answer##*: }" = \
		"Operation not supported"
fi
remember_memmap

becomes_memory once
if dm_on; then
	expect "once: it has areas" $(($(dm full_memmap_bytes) - rest)) -eq $((added << 4))
	expect_success "once: most of them are idle" \
		eventually 10 eval '(($(dm areas_idle) >= idle + 800))'
fi
expect_success "once: more than there was is filled" hold_start more 1200 thp
expect_success "once: it keeps its contents" hold_check more
hold_stop more
becomes_a_device once

becomes_memory "under load"
expect_success "under load: some memory is filled" hold_start some 300
load_start --vm 2 --vm-bytes 15% --vm-method write64 --verify --mmap 1 --mmap-bytes 5%
becomes_a_device "under load"
load_stop
expect_success "under load: memory keeps its contents" hold_check some
hold_stop some

becomes_memory "for the kernel" --no-movable
expect_success "for the kernel: more than there was is filled with what cannot move" \
	hold_start stuck 1100 pipe
busy=0
for block in /sys/devices/system/memory/memory[0-9]*; do
	# It was there before, and has several zones or is needed.
	[[ $(<"$block/valid_zones") == Normal ]] || continue
	[[ $(why_not_offline "${block##*memory}") != "Device or resource busy" ]] || busy=$((busy + 1))
done
expect "for the kernel: blocks are busy and stay" $busy -ge 4
expect_failure "for the kernel: it stays what it is" become devdax
expect "for the kernel: the guest has what is in use" \
	"$(meminfo MemTotal)" -gt $((total + (512 << 10)))
expect_success "for the kernel: it keeps its contents" hold_check stuck
hold_stop stuck

# Whatever else the kernel has put there stays.
expect_memmap_back 20 $((3 << 10))
expect_consistent

finish
