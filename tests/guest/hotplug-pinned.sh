#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What is pinned cannot move, not even out of memory that is for movable pages: a DIMM
# stays, whole, until that is over. Who takes a block of it offline can be interrupted,
# and who waits for the DIMM keeps nobody else waiting.
#
# kernels: none
# also: stock dynamic debug
# mem: 512M
# hotplug-mem: 256M
# append: dynamic_memmap=on memhp_default_state=online_movable

# shellcheck disable=SC2016,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

memory=/sys/devices/system/memory
total=$(meminfo MemTotal)
! dm_on || full=$(dm full_memmap_bytes)

is_unplugged()
{
	(($(meminfo MemTotal) == total)) || return 1
	# Memory is offline first, and removed later.
	! dm_on || (($(dm full_memmap_bytes) == full))
}

blocks()
{
	local block

	for block in "$memory"/memory*/; do
		basename "$block"
	done
}

# Pages that should have moved, and have not, are many more than before.
do_not_move()
{
	(($(vmstat pgmigrate_fail) >= failed + 500))
}

# Take a block offline until it is known not to go; what the error is then.
interrupted()	# BLOCK
{
	local pid said

	(
		trap : TERM
		echo offline >"$memory/$1/state"
	) >/tmp/said 2>&1 &
	pid=$!
	eventually 120 do_not_move
	kill -TERM $pid
	wait $pid
	said=$(</tmp/said)
	echo "${said##*: }"
}

remember_memmap
before=$(blocks)
monitor 'object_add memory-backend-ram,id=ram-more,size=256M'
expect_success "a DIMM is added" monitor 'device_add pc-dimm,id=more,memdev=ram-more'
eventually 30 eval '(($(meminfo MemTotal) == total + (256 << 10)))'
mapfile -t blocks < <(blocks | grep -vxF "$before")
expect "it has blocks" ${#blocks[@]} -eq 2
expect_success "some of it is filled with huge pages" hold_start huge 60 thp
expect_success "most of it with pages of which many are pinned" hold_start some 170 pinned
expect_success "and other memory with huge pages mapped in parts" hold_start parts 20 apart

failed=$(vmstat pgmigrate_fail)
expect "${blocks[0]} does not go offline, and can be left so" "$(interrupted "${blocks[0]}")" \
	= "Interrupted system call"
expect "it is online" "$(<"$memory/${blocks[0]}/state")" = online
expect "the guest has it" "$(meminfo MemTotal)" -eq $((total + (256 << 10)))
expect_success "what is pinned keeps its contents" hold_check some
expect_success "huge pages keep theirs" hold_check huge

# So that a task need not be blocked for two minutes to be reported.
echo 10 >/proc/sys/kernel/hung_task_timeout_secs
failed=$(vmstat pgmigrate_fail)
expect_success "the DIMM is to be removed" monitor 'device_del more'
expect_success "what is pinned does not move" eventually 120 do_not_move
pause 50
expect "the DIMM is there" "$(meminfo MemTotal)" -gt "$total"
expect "nobody waits for it to go" "$(dmesg | grep -c 'blocked for more than')" -eq 0
expect_success "what is pinned keeps its contents" hold_check some
hold_stop some
expect_success "the DIMM is removed when nothing is pinned any more" eventually 120 is_unplugged
expect_success "huge pages keep their contents" hold_check huge
hold_stop huge
expect_success "those that are mapped in parts, too" hold_check parts
hold_stop parts
expect_memmap_back 20 $((3 << 10))
expect_consistent

finish
