#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A huge page of a file loses a small page, and stays in large pieces. Where nobody counts
# the mappings of each page, they have no more struct pages than they need.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# append: dynamic_memmap=on

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

parts()	# ACTION...
{
	"$DYNMEMMAP/tests/guest/parts.py" /mnt/huge/file "$@"
}

mkdir -p /mnt/huge
mount -t tmpfs -o huge=always,size=256M tmpfs /mnt/huge
remember_memmap

expect_success "16 huge pages are filled" parts fill
if huge_files; then
	expect "they have few struct pages" "$(dm areas_huge)" -ge 16
	eventually 4 memmap_rests
	frames=$(frames_in_use) split=$(dm areas_split)
fi
expect_success "one small page is taken out of each" parts punch
if huge_files; then
	eventually 4 memmap_rests
	# Each of them had one; what else is in use now has all of its own.
	others=$(($(dm areas_split) - split - 16))
	frames=$(($(frames_in_use) - frames - 8 * others))
	note "$frames vmemmap pages more for 16 huge pages, $others areas more"
	expect "they are in areas of small pages now" "$others" -ge -2
	# But for page tables of struct pages. A hole that ends in the middle has the kernel split
	# the other half as well, which takes two more.
	expect "four vmemmap pages of eight were populated, or six, at most" "$frames" -le \
		$((8 * 3 + 8 * 5 + 4))
fi
expect_success "more are taken out of the pieces" parts again
for seed in 1 2 3; do
	expect_success "holes, writes and mappings, seed $seed" parts churn $seed
done
load_start --vm 2 --vm-bytes 60% --vm-method write64 --vm-hang 0
expect_success "the same while memory is short" parts churn 4
load_stop
expect_success "the file is unmounted" umount /mnt/huge
echo 3 >/proc/sys/vm/drop_caches
expect_memmap_back 20
expect_consistent

finish
