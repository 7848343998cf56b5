#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the guest: add DIMMs, one after the other, and remove them. Prints lines
# "NAME-GIB VALUE": the instructions of the kernel to add and to remove one, and
# the KiB of memmap that it has brought.
#
# usage: hotplug.sh GIB...

set -u

# shellcheck source=tests/guest/lib.sh
. "$DYNMEMMAP/tests/guest/lib.sh"

tracing=/sys/kernel/tracing
total=$(meminfo MemTotal) sum=0

# All that the kernel does in answer to one request of the firmware, online of the
# blocks included; without what others do while that has to wait.
requests_trace()
{
	printf '%s\n' 'p:begin acpi_device_hotplug' 'r:end acpi_device_hotplug' \
		>>$tracing/kprobe_events
	# Per processor, and there is one.
	echo 8192 >$tracing/buffer_size_kb
	echo 1 >$tracing/events/kprobes/enable
	echo 1 >$tracing/events/sched/sched_switch/enable
}

instructions()
{
	awk 'match($0, / [0-9]+\.[0-9]+: /) { now = substr($0, RSTART, RLENGTH - 2) * 1e9 }
		match($1, /-[0-9]+$/) { pid = substr($1, RSTART + 1) }
		/ begin: / { worker = pid; since = now; runs = 1 }
		/ end: / && pid == worker { sum += now - since; runs = 0; ended++ }
		runs && / sched_switch: / {
			if (pid == worker)
				sum += now - since
			if ($0 ~ "next_pid=" worker " ")
				since = now
		}
		END { printf "%.0f\n", sum; exit ended != 1 }' $tracing/trace
}

ended()
{
	grep -q ' end: ' $tracing/trace
}

# Then the guest has so many GiB more than at the beginning.
change()	# NAME COMMAND GIB
{
	echo >$tracing/trace
	monitor "$2" >/dev/null && eventually 600 ended &&
		(($(meminfo MemTotal) == total + ($3 << 20))) && echo "$1 $(instructions)"
}

requests_trace
# What was free at boot is given back.
pause 10
for gib; do
	before=$(memmap_kib)
	monitor "object_add memory-backend-ram,id=ram-$gib,size=${gib}G,reserve=off" >/dev/null
	sum=$((sum + gib))
	change "add-$gib" "device_add pc-dimm,id=dimm-$gib,memdev=ram-$gib" $sum || exit
	# What was there for a while only is given back.
	pause 10
	echo "memmap-$gib $(($(memmap_kib) - before))"
done
for gib; do
	sum=$((sum - gib))
	change "remove-$gib" "device_del dimm-$gib" $sum || exit
done
