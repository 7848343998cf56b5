#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the guest: run the loops, and with dynamic memmap on, lend areas under
# trace. Prints lines "NAME INSTRUCTIONS".
#
# usage: measure.sh LOOPS

set -eu

tracing=/sys/kernel/tracing
knobs=/sys/kernel/mm/dynamic_memmap

# Until everything that is free has been taken back.
rest()
{
	local before=-1 now

	now=$(<$knobs/areas_idle)
	while ((now != before)); do
		sleep 5
		before=$now
		now=$(<$knobs/areas_idle)
	done
}

# One event at a time: a lend contains a populate, and must not pay for its
# trace. Prints the median and the worst of the areas of 512 MiB.
traced()	# EVENT
{
	rest
	echo >$tracing/trace
	echo 1 >"$tracing/events/dynmemmap/dynmemmap_$1/enable"
	dd if=/dev/zero of=/tmp/areas bs=2M count=256 status=none
	echo 0 >"$tracing/events/dynmemmap/dynmemmap_$1/enable"
	rm /tmp/areas
	sed -n "s/.*$1:.* reason=allocation ns=\([0-9]*\)$/\1/p" $tracing/trace | sort -n |
		awk -v name="$1" '{ ns[NR] = $1 } END {
			print "area-" name, ns[int((NR + 1) / 2)]
			print "area-" name "-worst", ns[NR]
		}'
}

"$1"
[[ -d $knobs ]] || exit 0
traced lend
traced populate
