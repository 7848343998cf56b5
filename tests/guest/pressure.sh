#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Nearly all memory used in many ways, and verified; then the memmap goes again.
#
# kernels: dynamic
# also: debug
# mem: 4G
# append: dynamic_memmap=on

. "$DYNMEMMAP/tests/guest/lib.sh"

seconds=${1:-20} enough=200
# There, little happens in that time.
[[ $KERNEL != debug ]] || seconds=$((seconds * 4)) enough=20
remember_memmap
populated=$(vmstat dynmemmap_populate) gone=$(vmstat dynmemmap_unpopulate)

# Only for whoever wants to know; it says nothing on time.
largest_memmap()
{
	local largest=0 now

	while [[ -e /tmp/stressing ]]; do
		now=$(memmap_kib)
		((now <= largest)) || echo $((largest = now)) >/tmp/largest
		pause 1
	done
}

touch /tmp/stressing
largest_memmap &
expect_success "stress-ng finds no error" stress-ng --temp-path /tmp \
	--vm 4 --vm-bytes 80% --vm-method all --verify --timeout "$seconds"
rm /tmp/stressing
wait $!
note "largest memmap meanwhile: $(</tmp/largest) KiB"
pause 10
note "memmap 10 s after: $(memmap_kib) KiB"
populated=$(($(vmstat dynmemmap_populate) - populated))
expect "areas got their struct pages" $populated -ge $enough
expect_memmap_back 10
gone=$(($(vmstat dynmemmap_unpopulate) - gone))
note "areas populated: $populated, unpopulated: $gone"
expect "and lost them again" $gone -ge $((populated / 2))
expect_consistent

finish
