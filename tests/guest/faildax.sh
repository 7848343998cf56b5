#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Files of persistent memory, and devices, are mapped and used while there mostly is no
# memory for their struct pages: whoever touches them waits, or is told, and goes on when
# there is some.
#
# kernels: none
# also: debug
# mem: 2G
# pmem: 1G
# append: dynamic_memmap=on brd.rd_nr=1 brd.rd_size=65536

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

dax=$DYNMEMMAP/tests/guest/dax.py
pages=/sys/kernel/debug/fail_page_alloc

# Where a function of the kernel begins, and the next one.
function_at()	# NAME
{
	awk -v name="$1" '
		start && $1 != start { print "0x" start, "0x" $1; exit }
		$3 == name { start = $1 }' /proc/kallsyms
}

# Only pages that are to become frames. While frames fail, somebody has them already.
use()	# FILE
{
	local status=0

	fail_start fail_page_alloc 90
	fail_start fail_dynmemmap 33
	"$dax" "$1" /dev/ram0 frames-fail >/tmp/used 2>&1 || status=$?
	fail_stop fail_page_alloc
	fail_stop fail_dynmemmap
	note "$(</tmp/used)"
	return $status
}

expect_use()	# WHAT FILE
{
	if use "$2"; then
		ok "$1: it is used"
	else
		not_ok "$1: it is used"
	fi
	for kind in fail_page_alloc fail_dynmemmap; do
		note "$kind: $(nr_failed $kind) times"
		expect "$1: $kind: some failed" "$(nr_failed $kind)" -gt 0
	done
	expect_success "$1: it is told when there never is any" "$dax" "$2" /dev/ram0 frames-never
	expect_success "$1: it is used when there is memory, too" \
		"$dax" "$2" /dev/ram0 direct-write direct-read process-vm
}

read -r start end < <(function_at dynmemmap_stock_provide)
note "memory for frames is asked for between $start and $end"
echo "$start" >$pages/require-start
echo "$end" >$pages/require-end
echo 0 >$pages/min-order
echo 0 >$pages/ignore-gfp-wait
echo 0 >$pages/ignore-gfp-highmem

full=$(dm full_memmap_bytes)
expect_success "there is a namespace with its struct pages in RAM" make_fsdax
mkdir -p /mnt/dax
for fs in ext4 xfs; do
	expect_success "$fs: it is made" make_dax_fs "$fs" /dev/pmem0
	expect_success "$fs: it is mounted" mount -o dax=always /dev/pmem0 /mnt/dax
	idle=$(device_areas_idle)
	expect_use "$fs" /mnt/dax/file
	expect_success "$fs: the struct pages go with the files" \
		eventually 30 device_areas_idle_are "$idle"
	expect_success "$fs: it is unmounted" umount /mnt/dax
done
for align in 4K 2M; do
	expect_success "$align: there is a device" ndctl create-namespace --force --mode=devdax \
		--map=mem --align=$align --reconfig=namespace0.0
	expect_use "$align" /dev/dax0.0
	expect_success "$align: it goes" ndctl disable-namespace namespace0.0
	expect "$align: and its areas" "$(dm full_memmap_bytes)" -eq "$full"
done
expect_success "all pins are gone" eventually 5 no_pins_left
expect_consistent

finish
