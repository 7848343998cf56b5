#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Persistent memory as a device that programs map by themselves: what they have not
# touched has no struct pages. KASAN needs an eighth of what is mapped for itself, and a
# stock kernel all struct pages, so these get less.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# pmem: 64G
# pmem@stock: 4G
# mem@debug: 2G
# pmem@debug: 4G
# append: dynamic_memmap=on brd.rd_nr=1 brd.rd_size=65536

# shellcheck disable=SC2016,SC2034,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

dax=$DYNMEMMAP/tests/guest/dax.py

make_devdax()	# ALIGNMENT
{
	ndctl create-namespace --force --mode=devdax --map=mem "--align=$1" \
		--reconfig=namespace0.0
}

use()	# ACTION...
{
	local action

	for action in "$@"; do
		expect_success "$align: $action" "$dax" /dev/dax0.0 /dev/ram0 "$action"
	done
}

# What an entry maps as a whole is one bio_vec. For long, pages of a device are pinned one
# by one: without locks, no file but of shmem may be (gup_fast_folio_allowed()).
use_whole()
{
	expect_success "$align: bios are traced" bios_trace
	use direct-huge
	if dm_on; then
		expect "$align: 2 MiB of it are one bio_vec" "$(bios_of $((2 << 20)))" -eq 2
		expect "$align: so is what begins beyond a page" \
			"$(bios_of $((1 << 20)) $((3 * 4096 + 512)))" -eq 2
	fi
	bios_trace_end
}

# What it costs as long as nobody touches it.
look_at_areas()
{
	areas=$((($(dm full_memmap_bytes) - full) >> 15))
	note "it has $areas areas, $(($(memmap_of_idle) - before)) bytes of memmap"
	((areas_most > areas)) || areas_most=$areas
	if [[ $align != 1G ]]; then
		expect "$align: it has areas" $areas -ge 1900
		expect "$align: untouched, each costs at most 0.1 KiB" \
			$((($(memmap_of_idle) - before) / areas)) -le 102
	fi
}

remember_memmap
! dm_on || full=$(dm full_memmap_bytes) areas_most=0 empty=$(memmap_of_idle)
for align in 4K 2M 1G; do
	! dm_on || before=$(memmap_of_idle)
	expect_success "$align: there is a device" make_devdax $align
	! dm_on || look_at_areas
	case $align in
	4K)	use single poison direct-write direct-read process-vm futex longterm ;;
	2M)
		use device-huge
		use_whole
		use poison-huge direct-write direct-read process-vm futex longterm
		;;
	1G)	use gigantic ;;
	esac
	expect_success "$align: all pins are gone" eventually 5 no_pins_left
	expect_success "$align: it goes" ndctl disable-namespace namespace0.0
	! dm_on || expect "$align: and its areas" "$(dm full_memmap_bytes)" -eq "$full"
done

if dm_on; then
	[[ $KERNEL == debug ]] || expect_memmap_back 20 $((2048 + areas_most / 16))
	expect_success "only the area pages stay, for the next device" \
		eventually 10 eval '(($(memmap_of_idle) - empty <= areas_most / 16 + 256 << 10))'
fi
expect_consistent

finish
