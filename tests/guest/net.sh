#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Huge pages are sent without being copied: over TCP by loopback and to another network
# namespace, and to a Unix socket. A fragment of a packet has more than a page of them,
# nothing is split for it, and every reference goes when either end is killed.
#
# kernels: pmem:dynamic
# also: stock dynamic debug
# mem: 1G
# variant: ram
# variant: pmem --pmem=512M
# append: dynamic_memmap=on

# shellcheck disable=SC2016,SC2034,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

tracing=/sys/kernel/tracing
page=4096
# Of each kind of memory and each route.
rounds=${1:-3}

net()	# ROUTE KIND ACTION...
{
	watch_splits "$2"
	/usr/bin/python3 -BS "$DYNMEMMAP/tests/guest/net.py" "$@"
}

make_network()
{
	ip netns add far &&
		ip link add near type veth peer name far netns far &&
		ip address add 10.0.0.1/24 dev near && ip link set near up &&
		ip -n far address add 10.0.0.2/24 dev far && ip -n far link set far up &&
		net big lo near &&
		# However slow the host is, packets are as large as they may be.
		echo 31 >/proc/sys/net/ipv4/tcp_tso_rtt_log &&
		# What has been received is freed at once, not when its CPU gets round to it.
		echo 0 >/proc/sys/net/core/skb_defer_max
}

# How much is added to one packet in one step, and how large it is on its way.
trace_packets()
{
	echo 'r:zerocopy skb_zerocopy_iter_stream size=$retval:s32' >"$tracing/kprobe_events" &&
		echo 'r:splice skb_splice_from_iter size=$retval:s64' >>"$tracing/kprobe_events" &&
		echo 1 >"$tracing/events/kprobes/enable" &&
		echo 1 >"$tracing/events/net/net_dev_start_xmit/enable"
}

trace_ends()
{
	echo 0 >"$tracing/events/enable"
	: >"$tracing/kprobe_events"
}

largest()	# EVENT FIELD
{
	awk -v event=" $1: " -v field="$2" 'index($0, event) && match($0, "[ ]" field "=[0-9]+") {
			value = substr($0, RSTART + length(field) + 2, RLENGTH) + 0
			if (value > most) most = value
		}
		END { print most + 0 }' "$tracing/trace"
}

# A packet has at most so many fragments: if it has more pages than that, some fragment
# has more than one. How many may be spliced into it can be chosen.
sent_and_traced()	# ROUTE KIND WAY
{
	local event=zerocopy limit=$frags added sent

	case $3 in vmsplice | splice | sendfile)
		event=splice limit=4 ;;
	esac
	echo "$limit" >/proc/sys/net/core/max_skb_frags
	: >"$tracing/trace"
	expect_success "$1, ${2##*/}, $3: all arrives" net "$1" "$2" send "$3"
	added=$(largest $event size) sent=$(largest net_dev_start_xmit data_len)
	note "$added bytes at most in one step, $sent bytes in one packet"
	echo "$frags" >/proc/sys/net/core/max_skb_frags
	# Only with dynamic memmap is what is spliced called by its folio; what is read of DAX
	# is a copy.
	[[ $event == zerocopy ]] || { dm_on && [[ $2 != /* || $3 == vmsplice ]]; } || return
	expect "$1, ${2##*/}, $3: fragments are larger than a page" "$added" -gt $((limit * page))
	[[ $1 == unix ]] ||
		expect "$1, ${2##*/}, $3: and stay so on their way" "$sent" -gt $((limit * page))
}

ends_are_killed()	# ROUTE KIND
{
	expect_success "$1, ${2##*/}: one end is killed $rounds times" \
		net "$1" "$2" kill "$rounds" $RANDOM
}

all_actions()	# KIND WAYS...
{
	local kind=$1 route way name=${1##*/}

	shift
	for route in lo veth; do
		for way in "$@"; do
			sent_and_traced $route "$kind" "$way"
		done
		expect_success "$route, $name: bad input is refused" net $route "$kind" refused
		expect_success "$route, $name: the memory goes meanwhile" net $route "$kind" vanish
		ends_are_killed $route "$kind"
	done
	for way in "$@"; do
		[[ $way == zerocopy || $way == uring ]] || sent_and_traced unix "$kind" "$way"
	done
	ends_are_killed unix "$kind"
}

read -r frags </proc/sys/net/core/max_skb_frags
pmem=
[[ ! -d /sys/bus/nd/devices/region0 ]] || pmem=yes
expect_success "there is a network" make_network
expect_success "packets are traced" trace_packets
if [[ $pmem ]]; then
	expect_success "there is a namespace with its struct pages in RAM" make_fsdax
	expect_success "a file system is made" make_dax_fs ext4 /dev/pmem0
	mkdir -p /mnt/dax
	expect_success "it is mounted" mount -o dax /dev/pmem0 /mnt/dax
	! dm_on || idle=$(device_areas_idle)
else
	echo advise >/sys/kernel/mm/transparent_hugepage/shmem_enabled
	echo 8 >/proc/sys/vm/nr_hugepages
fi
free_packets_at_once
remember_memmap
! dm_on || AREAS_HUGE=$(areas_in_huge_pages)
export AREAS_HUGE
split=$(vmstat thp_split_page)
expect_success "areas that are split are noted" note_splits

if [[ $pmem ]]; then
	all_actions /mnt/dax/file zerocopy vmsplice splice sendfile
	for route in lo veth; do
		expect_success "$route: the end of a file waits for sockets until they are killed" \
			net $route /mnt/dax/file cut
	done
	rm /mnt/dax/file
	! dm_on || expect_success "the struct pages of persistent memory are gone" \
		eventually 30 device_areas_idle_are "$idle"
	expect_success "it is unmounted" umount /mnt/dax
else
	all_actions thp zerocopy uring vmsplice
	all_actions shm zerocopy uring vmsplice splice sendfile
	all_actions hugetlb zerocopy uring vmsplice
	expect_success "all pages of hugetlb are free" \
		eventually 5 eval '(($(meminfo HugePages_Free) == 8))'
fi
trace_ends

expect "no folio was split" "$(vmstat thp_split_page)" -eq "$split"
expect_no_splits
expect_success "all pins are gone" eventually 5 no_pins_left
! dm_on || expect_success "all huge pages are gone" \
	eventually 10 no_huge_areas_left
echo 3 >/proc/sys/vm/drop_caches
expect_memmap_back 15
expect_consistent

finish
