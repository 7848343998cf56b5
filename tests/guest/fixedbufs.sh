#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Buffers that are registered with io_uring: what a huge page table entry maps is pinned
# in one step, and I/O on it is one bio_vec. Memory that has to be moved before it can be
# pinned for long is moved, as on stock.
#
# kernels: ram:dynamic
# also: stock dynamic debug
# mem: 2G
# disk: disk:64M
# variant: ram
# variant: movable movablecore=1G
# append: dynamic_memmap=on

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

thp=/sys/kernel/mm/transparent_hugepage
movable=
[[ $(</proc/cmdline) != *movablecore* ]] || movable=yes

directio()	# KIND ACTION
{
	watch_splits "$1"
	# A part of a huge page is mapped no more, or written by a child: then the rest of it is
	# mapped in small pages.
	[[ $2 != fixed_mixed && $2 != fixed_forked ]] || watch_splits none
	/usr/bin/python3 -BS "$DYNMEMMAP/tests/guest/directio.py" /dev/vda "$@"
}

# A process with registered buffers that is killed.
killed()	# KIND
{
	local pid said output

	exec {output}< <(exec /usr/bin/python3 -BS "$DYNMEMMAP/tests/guest/directio.py" \
		/dev/vda "$1" fixed_forever 2>&1)
	pid=$!
	read -r said <&"$output"
	echo "$said, $(pins_left) pins"
	[[ $said == registered ]] && (($(pins_left) > 0)) && kill -KILL "$pid" || return 1
	wait "$pid"
	(($? == 137)) && eventually 5 no_pins_left
}

echo advise >$thp/shmem_enabled
[[ $movable ]] || echo 24 >/proc/sys/vm/nr_hugepages
remember_memmap
split=$(vmstat thp_split_page)
# To move them, they may be split.
[[ $movable ]] || expect_success "areas that are split are noted" note_splits

for kind in thp hugetlb shm; do
	# Huge pages that are reserved have nowhere to go.
	[[ -z $movable || $kind != hugetlb ]] || continue
	if dm_on; then
		expect_success "$kind: bios are traced" bios_trace
		expect_success "$kind: pins are traced" pins_trace
	fi
	expect_success "$kind: 2 MiB there and back" directio $kind fixed_whole
	expect_success "$kind: 1 MiB from within there and back" directio $kind fixed_inner
	if dm_on; then
		expect "$kind: 2 MiB are one bio_vec" "$(bios_of $((2 << 20)))" -eq 2
		expect "$kind: so is what begins beyond a page" \
			"$(bios_of $((1 << 20)) $((3 * 4096 + 512)))" -eq 2
		if [[ $movable ]]; then
			expect "$kind: all had to be moved" "$(pinned_by_folios)" -eq 0
		else
			expect "$kind: all buffers are pinned by entries" "$(pinned_by_folios)" -eq 4
			expect "$kind: and none by an array" "$(pinned_by_pages)" -eq 0
		fi
		pins_trace_end
		bios_trace_end
	fi
	for action in fixed_odd fixed_mixed fixed_forked fixed_refused; do
		# Children share it, and write to it. Nor is a part of it of small pages.
		[[ $kind != shm || $action != fixed_forked ]] || continue
		[[ $kind == thp || $action != fixed_mixed ]] || continue
		expect_success "$kind: $action" directio $kind $action
	done
	expect_success "$kind: all pins are gone" eventually 5 no_pins_left
	for turn in {1..3}; do
		expect_success "$kind: nor are there any when it is killed, $turn" killed $kind
	done
done
if [[ -z $movable ]]; then
	watch_splits hugetlb
	expect_success "fio verifies what it writes from fixed buffers" fio --name=fixed \
		--filename=/dev/vda --direct=1 --ioengine=io_uring --fixedbufs=1 --iodepth=4 \
		--rw=randwrite --bs=2m --size=64M --iomem=mmaphuge --verify=crc32c --do_verify=1 \
		--verify_fatal=1 --output=/tmp/fio
	expect "no folio was split" "$(vmstat thp_split_page)" -eq "$split"
	expect_no_splits
	expect_success "all pins are gone" eventually 5 no_pins_left
fi

echo 0 >/proc/sys/vm/nr_hugepages
echo 3 >/proc/sys/vm/drop_caches
expect_memmap_back 15
expect_consistent

finish
