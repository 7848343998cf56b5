#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every stressor of stress-ng's class vm, one after the other, with huge pages
# never, where advised, and always, and with swap on compressed memory.
#
# kernels: none
# also: stock dynamic debug
# mem: 2G
# disk: files:512M
# allow: Unable to handle swap header version
# append: dynamic_memmap=on
# timeout: 1800

. "$DYNMEMMAP/tests/guest/lib.sh"

thp=/sys/kernel/mm/transparent_hugepage
read -ra stressors <<<"$(stress-ng --class 'vm?' 2>&1 | sed -n "s/^class 'vm' stressors: //p")"
expect "stress-ng has a class vm" ${#stressors[@]} -ge 20
expect_success "there is a file system" eval 'mkfs.ext4 -q /dev/vda && mount /dev/vda /mnt'
expect_success "there is swap" zram_swap 1G
remember_memmap

run_stressor()	# STRESSOR
{
	local -a under=()

	# Where it may, this one poisons memory of its own and dies of it.
	[[ $1 != madvise ]] || under=(setpriv --bounding-set=-sys_admin)
	"${under[@]}" stress-ng --temp-path /mnt --"$1" 2 --verify --oomable --pathological \
		--timeout 3
}

# Exit status 3: the stressor cannot run here, on any kernel.
for mode in never madvise always; do
	echo $mode >$thp/enabled
	for stressor in "${stressors[@]}"; do
		output=$(run_stressor "$stressor" 2>&1)
		case $? in
		0)
			ok "$mode: $stressor"
			;;
		3 | 4)
			skip "$mode: $stressor" "stress-ng cannot run it here"
			;;
		*)
			not_ok "$mode: $stressor"
			note "$output"
			;;
		esac
	done
done

expect_success "swap goes" zram_swap_end
expect_success "the file system goes" umount /mnt
echo 3 >/proc/sys/vm/drop_caches
# The debug kernel remembers every stack that it has seen.
expect_memmap_back 20 4096
expect_consistent

finish
