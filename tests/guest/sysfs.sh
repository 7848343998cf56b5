#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The files in /sys/kernel/mm/dynamic_memmap: what they take, and what it does.
#
# kernels: dynamic
# also: debug
# mem: 2G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

# An empty write never reaches a file in sysfs, so there is no error for it.
put()	# VALUE FILE; the error as text if there is one
{
	local answer

	if answer=$({ printf %s "$1" >"$DM/$2"; } 2>&1); then
		echo taken
	else
		echo "${answer##*: }"
	fi
}

refuse()	# FILE VALUE
{
	local before answer

	before=$(dm "$1")
	answer=$(put "$2" "$1")
	expect "$1 refuses '$2' with EINVAL" "$answer" = "Invalid argument"
	[[ $(dm "$1") == "$before" ]] || not_ok "$1 changed from $before to $(dm "$1")"
}

accept()	# FILE VALUE
{
	expect "$1 takes '$2'" "$(put "$2" "$1") $(dm "$1")" = "taken $((10#$2))"
}

files="areas_idle areas_huge areas_split pool_areas cached_areas stock_frames
	stock_free_frames stock_reserve_frames memmap_bytes full_memmap_bytes read_repairs write_repairs"
for file in $files; do
	# One number, and one that a shell can count with.
	if [[ $(dm "$file") =~ ^[0-9]+$ && $(dm "$file" 0) =~ ^[0-9]+$ ]]; then
		ok "$file is a number, in total and for node 0"
	else
		not_ok "$file is a number, in total and for node 0"
	fi
	expect "$file cannot be written" "$(put 1 "$file")" != taken
done
expect "there are no knobs per node" ! -e "$DM/node0/keep_areas"

keep=$(dm keep_areas) delay=$(dm take_back_delay_ms)
for value in ' ' -1 0 1048577 4294967296 18446744073709551616 4x 0x10 '4 5' 1.5 many; do
	refuse keep_areas "$value"
done
for value in ' ' -1 0 9 3600001 4294967306 100ms 0x100 1e3 never; do
	refuse take_back_delay_ms "$value"
done
for value in 1 1048576 $'8\n'; do
	accept keep_areas "${value%$'\n'}"
done
for value in 10 3600000; do
	accept take_back_delay_ms "$value"
done

# Free whole areas that the allocator may keep: what was used is not taken back.
echo 10 >"$DM/take_back_delay_ms"
echo 1 >"$DM/keep_areas"
remember_memmap
split=$(dm areas_split)
echo 100 >"$DM/keep_areas"
hold_start some 512
hold_stop some
pause 3
note "split areas: $split before, $(dm areas_split) after, keeping 100"
expect "keep_areas are kept" "$(dm areas_split)" -ge $((split + 60))
echo 1 >"$DM/keep_areas"
expect_memmap_back 20

# What was free for less than the delay is not taken back.
echo 3600000 >"$DM/take_back_delay_ms"
hold_start some 512
hold_stop some
taken=$(vmstat dynmemmap_take_back)
pause 3
expect "nothing is taken back before the delay" "$(vmstat dynmemmap_take_back)" -eq "$taken"

echo "$delay" >"$DM/take_back_delay_ms"
echo "$keep" >"$DM/keep_areas"
expect_memmap_back 20
expect_consistent

finish
