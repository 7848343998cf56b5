#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A small guest is given 64 GiB, as a DIMM or by virtio-mem: their full memmap would
# not fit into it.
#
# kernels: dynamic
# variant: dimm --hotplug-mem=64G
# variant: virtio --virtio-mem=64G
# mem: 512M
# append: dynamic_memmap=on memhp_default_state=online_movable

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

virtio=$(compgen -G '/sys/bus/virtio/drivers/virtio_mem/virtio*')

add()
{
	if [[ $virtio ]]; then
		monitor 'qom-set vmem0 requested-size 64G'
	else
		monitor 'object_add memory-backend-ram,id=ram-more,size=64G,reserve=off' &&
			monitor 'device_add pc-dimm,id=more,memdev=ram-more'
	fi
}

remove()
{
	if [[ $virtio ]]; then
		monitor 'qom-set vmem0 requested-size 0'
	else
		monitor 'device_del more'
	fi
}

total=$(meminfo MemTotal) full=$(dm full_memmap_bytes)
remember_memmap
expect_success "64 GiB are added" add
eventually 240 eval '(($(meminfo MemTotal) == total + (64 << 20)))'
expect "the guest has them" $(($(meminfo MemTotal) - total)) -eq $((64 << 20))
expect "their full memmap would take 1 GiB" \
	$(($(dm full_memmap_bytes) - full)) -eq $((1 << 30))
eventually 20 memmap_is_below $((8 << 10))
note "memmap now: $(memmap_kib) KiB"
expect "the memmap takes at most 8 MiB" "$(memmap_kib)" -le $((8 << 10))
expect_success "1 GiB is filled" hold_start more 1024 thp
expect_success "it keeps its contents" hold_check more
hold_stop more
expect_memmap_back 20 $((6 << 10))
expect_success "the 64 GiB are removed" remove
eventually 240 eval '(($(meminfo MemTotal) == total))'
expect "the guest has what it had" "$(meminfo MemTotal)" -eq "$total"
# Memory is offline first, and removed later.
eventually 60 eval '(($(dm full_memmap_bytes) == full))'
expect "the areas are those of before" "$(dm full_memmap_bytes)" -eq "$full"
# The area pages of 512 sections are kept, for when they come back.
expect_memmap_back 20 $((4 << 10))
expect_consistent

finish
