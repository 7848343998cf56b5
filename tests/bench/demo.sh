#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the guest of the demonstration: rest, memory pressure, rest, with a line
# every second for the host:
#
#	sample PHASE MEMMAP_KIB MEMFREE_KIB MEMTOTAL_KIB
#
# and at the end "stress-ng STATUS".
#
# usage: demo.sh REST_SECONDS PRESSURE_SECONDS PRESSURE_BYTES

set -u

rest=$1
pressure=$2
bytes=$3
phase=/run/phase
memmap=/sys/kernel/mm/dynamic_memmap/memmap_bytes

# Kilobytes of memmap: dynamic memmap says it all, page tables and reserves
# included; any kernel counts the pages of struct pages in vmstat.
memmap_kib()
{
	local name value pages=0

	if [[ -e $memmap ]]; then
		echo $(($(<$memmap) >> 10))
		return
	fi
	while read -r name value; do
		case $name in
		nr_memmap_pages | nr_memmap_boot_pages)
			pages=$((pages + value))
			;;
		esac
	done </proc/vmstat
	echo $((pages * 4))
}

sample()
{
	local name value _ free=0 total=0

	while read -r name value _; do
		case $name in
		MemTotal:) total=$value ;;
		MemFree:) free=$value ;;
		SwapCached:) break ;;
		esac
	done </proc/meminfo
	echo "sample $(<$phase) $(memmap_kib) $free $total"
}

echo idle >$phase
while sample; do
	sleep 1
done &
sampler=$!

sleep "$rest"
echo pressure >$phase
stress-ng --temp-path /tmp --vm 2 --vm-bytes "$bytes" --vm-method all --vm-keep --verify \
	--timeout "$pressure" --quiet >/run/stress 2>&1
status=$?
echo rest >$phase
sleep "$rest"
kill $sampler
wait $sampler 2>/dev/null
sample
cat /run/stress
echo "stress-ng $status"
