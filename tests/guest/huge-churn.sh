#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Huge pages are split, forked, written, swapped, collapsed and freed on four CPUs at
# once, while others use up the memory and give it back, and every byte is verified:
# by processes of their own, by threads that share them with each other and with their
# children, and in a file that loses parts of them.
#
# kernels: dynamic
# also: stock debug
# mem: 768M
# cpus: 4
# append: dynamic_memmap=on

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

seconds=30
[[ $KERNEL != debug ]] || seconds=120
seconds=$(kernel_argument churn.seconds "$seconds")

four_times()	# ACTION SECONDS
{
	local seed job
	local -a jobs=()

	"$DYNMEMMAP/tests/guest/parts.py" /mnt/huge/file long "$2" "$RANDOM" &
	jobs+=($!)
	for seed in 1 2 3 4; do
		"$DYNMEMMAP/tests/guest/huge.py" "$1" "$2" $((RANDOM * 4 + seed)) &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do
		wait "$job" || return
	done
}

echo always >/sys/kernel/mm/transparent_hugepage/enabled
echo 100 >/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
echo 1 >/sys/kernel/mm/ksm/run
number=$(zram_swap 1G)
note "swap on zram$number"
mkdir -p /mnt/huge
mount -t tmpfs -o huge=always,size=64M tmpfs /mnt/huge
remember_memmap
! dm_on || echo 10 >"$DM/take_back_delay_ms"

# Where the test is one of failing allocations.
! declare -F churn_begins >/dev/null || churn_begins
load_start --vm 1 --vm-bytes 60% --vm-method write64 --vm-hang 0 --vm-madvise hugepage
expect_success "huge pages keep their contents" four_times churn "$seconds"
split=$(vmstat thp_split_pmd)
expect_success "those that threads and children share, too" four_times races $((seconds * 2 / 3))
expect "they were split" $(($(vmstat thp_split_pmd) - split)) -gt 20
load_stop
! declare -F churn_ends >/dev/null || churn_ends
note "$(grep -E '^(thp_(fault_alloc|split_page|split_pmd|collapse_alloc|swpout)|pswpout) ' \
	/proc/vmstat)"
expect "some were split" "$(vmstat thp_split_pmd)" -gt 20
expect_success "the file is unmounted" umount /mnt/huge
expect_success "swap ends" zram_swap_end
echo 3 >/proc/sys/vm/drop_caches
! dm_on || expect_success "what is free in whole areas has no struct pages" \
	eventually 60 free_areas_are_idle
# Areas that were cut for frames come to hold other memory of the kernel as well: how many
# that are depends on how long this goes on.
if dm_on && ((seconds > 600)); then
	note "memmap: $memmap_before KiB before, now $(memmap_kib)"
else
	expect_memmap_back 20
fi
expect_consistent

finish
