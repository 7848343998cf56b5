#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Huge pages of a process go to the memory of a device that no processor can read, and
# come back: in one piece, and in each way that splits them. The device is the kernel's
# module test_hmm; its memory has all struct pages, and the areas of RAM that its
# contents come from and go to have as few as ever.
#
# The assertion in remove_migration_pmd() takes the soft-dirty bit of a device's entry for
# that of a writable one; so it fails for what is shared, on any kernel.
#
# kernels: dynamic
# also: stock debug
# mem: 2G
# append: dynamic_memmap=on
# allow@debug: WARNING: at remove_migration_pmd

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

hmm=$DYNMEMMAP/tests/guest/hmm.py
thp=/sys/kernel/mm/transparent_hugepage

load()
{
	insmod "$DYNMEMMAP/build/$KERNEL/lib/test_hmm.ko"
}

# Of RAM and of the device; that of the latter is 8 MiB.
frames()
{
	echo $(($(vmstat nr_memmap_pages) + $(vmstat nr_memmap_boot_pages)))
}

frames_are_gone()
{
	(($(frames) < before + 1536))
}

echo madvise >$thp/enabled
# khugepaged would make whole again what is looked at.
echo 1000000000 >$thp/khugepaged/scan_sleep_millisecs
remember_memmap
before=$(frames)
expect_success "the device is there" load
expect "it has struct pages" "$(frames)" -ge $((before + 1536))
expect_consistent
for action in back device-access fail-to-device fail-to-system fail-at-fault some-pages some-back \
	holes protect unmap discard lazy-free move move-whole lock fork-child-reads \
	fork-child-writes fork-parent-writes fork-both-write fork-parts-whole fork-parts-first \
	fork-takes collapse exclusive release killed bad-input; do
	expect_success "$action" "$hmm" $action
done
for round in 1 2; do
	expect_success "a mixture of all that, $round" "$hmm" mixture
done
if [[ -d /sys/kernel/debug/fail_dynmemmap ]]; then
	fail_start fail_dynmemmap 50
	for round in 1 2; do
		expect_success "a mixture, while there often are no frames for struct pages, $round" \
			env MEMORY_RUNS_OUT=yes "$hmm" mixture
	done
	fail_stop fail_dynmemmap
	expect "there were none" "$(nr_failed fail_dynmemmap)" -gt 0
fi
expect_consistent
expect_success "the device goes" rmmod test_hmm
expect_success "so do its struct pages" eventually 20 frames_are_gone
expect_memmap_back 20
expect_consistent

finish
