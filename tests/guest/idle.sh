#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest that does nothing has next to no memmap, and all figures agree.
#
# kernels: dynamic
# also: debug
# mem: 4G
# append: dynamic_memmap=on

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

# What the kernel has by itself, other than its memmap, grows with debugging.
mem_mib=${1:-4096} limit_mib=${2:-4} own_mib=$((80 + mem_mib / 128))
if [[ $KERNEL == debug ]]; then
	limit_mib=$((limit_mib + 60)) own_mib=1200
fi

until (($(cut -d. -f1 /proc/uptime) >= 10)); do
	pause 0.5
done
eventually 4 memmap_rests

expect "the kernel says so in one line" "$(dmesg | grep -c 'dynmemmap: on: ')" -eq 1
note "memmap: $(dm memmap_bytes) bytes of $(dm full_memmap_bytes)," \
	"areas: $(dm areas_idle) idle, $(dm areas_split) split"
expect "the memmap takes at most $limit_mib MiB" "$(dm memmap_bytes)" -le $((limit_mib << 20))
expect "a full one would take $((mem_mib / 64)) MiB" \
	"$(dm full_memmap_bytes)" -eq $((mem_mib << 20 >> 6))
expect "there are no huge areas" "$(dm areas_huge)" -eq 0
# One may be lent between the two looks.
expect_success "idle areas are in the pool" \
	eventually 4 eval '(($(dm pool_areas) == $(dm areas_idle)))'
expect_success "the stock is stocked" \
	eventually 4 eval '(($(dm stock_free_frames) >= $(dm stock_reserve_frames) / 2))'
expect "the memory that the memmap would have taken can be used" \
	"$(meminfo MemTotal)" -ge $((mem_mib - own_mib << 10))
expect "idle memory counts as free" \
	"$(meminfo MemFree)" -ge $(($(meminfo MemTotal) - (own_mib << 10)))
expect "and as available" "$(meminfo MemAvailable)" -ge $(($(meminfo MemTotal) * 9 / 10))
expect "the pool is less than what is free" \
	"$(($(dm pool_areas) * 2048))" -le "$(meminfo MemFree)"
expect_consistent

# By one program: to start another takes memory.
zones_agree()
{
	awk '/^ *pages free/ { sum += $3 } /^nr_free_pages / { sum -= $2 }
		END { exit sum < -256 || sum > 256 }' /proc/zoneinfo /proc/vmstat
}

expect_success "zoneinfo and vmstat agree on what is free, to 1 MiB" eventually 4 zones_agree
blocks=$(awk '/^Number of blocks/ { on = 1; next }
	on && /zone/ { for (i = 5; i <= NF; i++) sum += $i } END { print sum }' /proc/pagetypeinfo)
expect "pagetypeinfo knows the blocks of idle areas" "$blocks" -ge "$(dm areas_idle)"

finish
