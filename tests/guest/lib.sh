# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# TAP for guest tests. A test sources this file, calls its cases and ends with
# "finish". A case is one line "ok N - name", "not ok N - name" or
# "ok N - name # SKIP why"; lines that start with "#" explain.

set -u

# To start a program takes a tenth of a second under emulation, and these functions
# are called often: they use what the shell itself can do.
exec {never}<> <(:)

tap_count=0
tap_failed=0

DM=/sys/kernel/mm/dynamic_memmap

ok()
{
	echo "ok $((++tap_count)) - $*"
}

not_ok()
{
	echo "not ok $((++tap_count)) - $*"
	tap_failed=$((tap_failed + 1))
}

skip()	# NAME WHY...
{
	local name=$1

	shift
	echo "ok $((++tap_count)) - $name # SKIP $*"
}

note()
{
	echo "# ${*//$'\n'/$'\n# '}"
}

# A command that must succeed; what it prints is shown if it does not.
expect_success()	# NAME COMMAND...
{
	local name=$1 output status

	shift
	if output=$("$@" 2>&1); then
		ok "$name"
	else
		status=$?
		not_ok "$name"
		note "'$*' ended with status $status"
		[[ -z $output ]] || note "$output"
	fi
}

expect_failure()	# NAME COMMAND...
{
	local name=$1 output

	shift
	if output=$("$@" 2>&1); then
		not_ok "$name"
		note "'$*' succeeded, and should not"
		[[ -z $output ]] || note "$output"
	else
		ok "$name"
	fi
}

# Why a file refuses what is written to it, as text; nothing if it does not.
write_error()	# FILE VALUE
{
	local said

	said=$( (echo "$2" >"$1") 2>&1)
	echo "${said##*: }"
}

expect_refusal()	# NAME FILE VALUE ERROR
{
	expect "$1" "$(write_error "$2" "$3")" = "$4"
}

# A comparison by test(1): expect 'memory is there' "$kib" -gt 1000
expect()	# NAME EXPRESSION...
{
	local name=$1

	shift
	if test "$@"; then
		ok "$name"
	else
		not_ok "$name"
		note "not true: $*"
	fi
}

# Try for a while: what a worker does, it does later. Tries are counted, not time:
# on a slow host or kernel both the worker and a try take longer.
eventually()	# SECONDS COMMAND...; as long as if COMMAND took no time
{
	local tries=$(($1 * 5))

	[[ ${KERNEL-} != debug ]] || tries=$((tries * 4))
	shift
	until "$@"; do
		((--tries > 0)) || return 1
		pause 0.2
	done
}

pause()	# SECONDS
{
	# Nothing ever comes: it ends when the time is over.
	! read -rt "$1" -u "$never"
}

meminfo()	# FIELD; in KiB
{
	[[ $'\n'$(</proc/meminfo) =~ $'\n'"$1: "\ *([0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

vmstat()	# COUNTER
{
	[[ $'\n'$(</proc/vmstat) =~ $'\n'"$1 "([0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

# Whether the kernel was started with this argument.
booted_with()	# ARGUMENT
{
	[[ " $(</proc/cmdline) " == *" $1 "* ]]
}

# What the kernel was told, or DEFAULT if it was not.
kernel_argument()	# NAME DEFAULT
{
	local said

	said=" $(</proc/cmdline) "
	[[ $said == *" $1="* ]] || said=" $1=$2 "
	said=${said##*" $1="}
	echo "${said%% *}"
}

# Whether the kernel was to switch dynamic memmap on: the last word counts.
wanted_on()
{
	local said

	said=" $(</proc/cmdline) "
	[[ ${said##*" dynamic_memmap"} == "=on "* ]]
}

# A figure or a knob of dynamic memmap, in total or of one node.
dm()	# FILE [NODE]
{
	local value

	read -r value <"$DM/${2:+node$2/}$1" && echo "$value"
}

dm_on()
{
	[[ -d $DM ]]
}

# In which state are areas of huge pages of files, while these are whole?
state_of_huge_files()
{
	if huge_files; then
		echo huge
	elif dm_on; then
		echo split
	else
		echo none
	fi
}

# Do they share their tails? Not where the mappings of each page are counted.
huge_files()
{
	dm_on && zgrep -q CONFIG_NO_PAGE_MAPCOUNT=y /proc/config.gz
}

# Of any kernel.
memmap_kib()
{
	if dm_on; then
		echo $(($(dm memmap_bytes) >> 10))
	else
		echo $((4 * ($(vmstat nr_memmap_pages) + $(vmstat nr_memmap_boot_pages))))
	fi
}

# What a command prints, when it has printed just that three times before: figures are
# read one after the other, while a worker may be about to change them.
settled()	# COMMAND...
{
	local now before=none same=0 tries=150

	while ((same < 3 && tries--)); do
		now=$("$@")
		[[ $now == "$before" ]] && ((++same)) || same=0
		before=$now
		pause 0.1
	done
	echo "$now"
}

# Bytes of memmap that neither is kept ready nor belongs to memory in use. The debug
# kernel uses memory long after programs have ended.
memmap_of_idle()
{
	# shellcheck disable=SC2016 # evaluated again and again
	settled eval 'echo $(($(dm memmap_bytes) - ($(dm stock_free_frames) << 12) -
		($(dm areas_split) << 15) - ($(dm areas_huge) << 12)))'
}

# Without those that are kept for the next huge page.
areas_in_huge_pages()
{
	echo $(($(dm areas_huge) - $(dm cached_areas)))
}

# But for those that were there before, $AREAS_HUGE.
no_huge_areas_left()
{
	(($(areas_in_huge_pages) <= AREAS_HUGE))
}

# Frames that hold struct pages or their page tables.
frames_in_use()
{
	echo $(($(dm stock_frames) - $(dm stock_free_frames)))
}

memmap_is_below()	# KIB
{
	(($(memmap_kib) <= $1))
}

memmap_rests()
{
	local before

	before=$(dm memmap_bytes)
	pause 2
	(($(dm memmap_bytes) == before))
}

# These three do nothing on a stock kernel, so that a test can run on both.
#
# Remember what the memmap of the guest at rest takes; then, after a load, assert
# that it is as small again, 2 MiB more at the most (4 on debug). How much is "unused" is the
# test's to decide: it has to have freed what it allocated.
remember_memmap()
{
	dm_on || return 0
	eventually 3 memmap_rests || note "the memmap does not come to rest"
	memmap_before=$(memmap_kib)
	note "memmap at rest: $memmap_before KiB"
}

expect_memmap_back()	# [SECONDS [KIB]]
{
	local kib=2048 limit

	dm_on || return 0
	# KASAN keeps a part of what was freed from others, wherever it is.
	[[ $KERNEL != debug ]] || kib=4096
	kib=${2:-$kib}
	limit=$((memmap_before + kib))
	# An emulated processor needs longer than a real one. Once is enough: a moment later
	# somebody may use more again.
	expect_success "the memmap is back to within $kib KiB of before" \
		eventually $((3 * ${1:-10})) memmap_is_below "$limit"
	note "memmap now: $(memmap_kib) KiB," \
		"areas: $(dm areas_idle) idle, $(dm areas_split) split"
}

# What is free in whole areas has no struct pages, but for some that are kept in each zone.
free_areas_are_idle()
{
	local free zones

	free=$(awk '{ nr += $(NF - 1) + 2 * $NF } END { print nr }' /proc/buddyinfo)
	zones=$(wc -l </proc/buddyinfo)
	((free - $(dm areas_idle) <= $(dm keep_areas) * zones))
}

# Whether the counts of areas agree with each other, with what has happened, and with
# the size of memory. One process reads them, because starting one changes them.
areas_agree()
{
	(cd "$DM" && awk 'FILENAME ~ /vmstat/ { events[$1] = $2; next }
		{ count[FILENAME] = $1 }
		END {
			populated = count["areas_huge"] + count["areas_split"]
			areas = populated + count["areas_idle"]
			made = events["dynmemmap_populate"] - events["dynmemmap_unpopulate"]
			given = events["dynmemmap_take_back"] - events["dynmemmap_lend"]
			exit areas != count["full_memmap_bytes"] / 32768 ||
				populated != made || count["pool_areas"] != given ||
				count["stock_free_frames"] > count["stock_frames"]
		}' areas_{idle,huge,split} full_memmap_bytes pool_areas stock_free_frames stock_frames \
		/proc/vmstat)
}

# In one process, too.
nodes_agree()
{
	local file

	for file in areas_idle areas_huge areas_split pool_areas cached_areas stock_frames \
		stock_free_frames memmap_bytes full_memmap_bytes read_repairs write_repairs; do
		awk 'NR == 1 { total = $1; next } { sum += $1 } END { exit sum != total }' \
			"$DM/$file" "$DM"/node*/"$file" || return 1
	done
}

# The free lists as user space sees them are what is counted as free. One process
# reads both, after what the CPUs have counted for themselves has been folded.
buddyinfo_agrees()
{
	awk 'FILENAME ~ /buddyinfo/ { for (i = 5; i <= NF; i++) sum += $i * 2 ^ (i - 5) }
		$1 == "nr_free_pages" { free = $2 }
		END { exit sum != free }' \
		/proc/sys/vm/stat_refresh /proc/buddyinfo /proc/vmstat
}

# The figures are taken one after the other: retry until nothing moves between.
expect_consistent()
{
	dm_on || return 0
	expect_success "idle, huge and split areas are all areas" eventually 15 areas_agree
	expect_success "the totals are the sums over the nodes" eventually 15 nodes_agree
	expect_success "buddyinfo adds up to the free pages" eventually 15 buddyinfo_agrees
}

# A process that keeps MIB of memory filled with a pattern of its own, until
# hold_stop. Several can be held by different names. See hold.py for KIND. All of
# these can be called in a subshell, as expect_success does.
hold_start()	# NAME MIB [KIND]; by the command in $HOLD_UNDER, within $HOLD_TIMEOUT
{
	local name=$1
	local -a under

	shift
	read -ra under <<<"${HOLD_UNDER-}"
	rm -f "/tmp/hold.$name"
	"${under[@]}" /usr/bin/python3 -IS "$DYNMEMMAP/tests/guest/hold.py" \
		"/tmp/hold.$name" "$@" >/tmp/hold.output 2>&1 &
	echo $! >"/tmp/pid.$name"
	hold_answers "$name" ready
}

hold_pid()	# NAME
{
	local pid

	read -r pid <"/tmp/pid.$1" && echo "$pid"
}

hold_has_said()	# NAME
{
	[[ -s /tmp/hold.$1 ]] || ! kill -0 "$(hold_pid "$1")" 2>/dev/null
}

hold_answers()	# NAME TEXT
{
	eventually "${HOLD_TIMEOUT:-240}" hold_has_said "$1"
	[[ -e /tmp/hold.$1 && $(<"/tmp/hold.$1") == "$2" ]] && return
	cat "/tmp/hold.$1" /tmp/hold.output
	return 1
}

# Whether all of it still reads as it was written.
hold_check()	# NAME
{
	rm -f "/tmp/hold.$1"
	kill -USR1 "$(hold_pid "$1")" && hold_answers "$1" good
}

# MiB of it that a node gave. Programs and libraries are where others have had them read.
held_on()	# NODE NAME
{
	grep -v ' file=/usr/' "/proc/$(hold_pid "$2")/numa_maps" | grep -oP " N$1=\\K[0-9]+" |
		awk '{ sum += $1 } END { print int(sum / 256) }'
}

hold_is_gone()	# NAME
{
	wait "$(hold_pid "$1")" 2>/dev/null
	! kill -0 "$(hold_pid "$1")" 2>/dev/null
}

hold_stop()	# NAME
{
	kill -TERM "$(hold_pid "$1")" 2>/dev/null
	eventually 30 hold_is_gone "$1"
}

# Tell the QEMU that runs this guest what to do.
monitor()	# COMMAND
{
	/usr/bin/python3 -I "$DYNMEMMAP/tools/vm-monitor" "$1"
}

# Cut the power; the test starts again as boot $VM_BOOT, and goes on counting with
# power_returned. DISK is a disk of the host, and loses what its first sector held.
power_cut()	# DISK
{
	echo "$tap_count $tap_failed" |
		dd of="$1" bs=512 count=1 conv=sync oflag=direct status=none
	monitor quit
}

power_returned()	# DISK
{
	read -r tap_count tap_failed <"$1"
}

# Any work that makes areas come and go, until load_stop.
load_start()	# [STRESS_NG_OPTIONS...]
{
	local options=("$@")

	((${#options[@]})) || options=(--vm 2 --vm-bytes 30% --vm-method write64 --vm-hang 0
		--mmap 1 --mmap-bytes 10%)
	stress-ng --temp-path /tmp --quiet --timeout 600 "${options[@]}" &
	load_pid=$!
	pause 1
	kill -0 "$load_pid" 2>/dev/null || not_ok "stress-ng does not run: ${options[*]}"
}

load_stop()
{
	local status=0

	kill -TERM "$load_pid" 2>/dev/null
	wait "$load_pid" 2>/dev/null || status=$?
	load_pid=
	# A stressor has failed; that it was stopped, or had no memory, is no error.
	((status != 2)) || not_ok "stress-ng has found an error"
}

# Look at every bio that is submitted, until bios_trace_end. Nothing names its fields
# here: bi_iter.bi_size and .bi_offset, and of its first bio_vec bv_len and bv_offset.
bios_trace()
{
	# shellcheck disable=SC2016 # for the kernel to expand
	echo 'p:bio submit_bio size=+48($arg1):u32 done=+56($arg1):u32' \
		'length=+8(+32($arg1)):u32 offset=+12(+32($arg1)):u32' \
		>>/sys/kernel/tracing/kprobe_events &&
		echo >/sys/kernel/tracing/trace &&
		echo 1 >/sys/kernel/tracing/events/kprobes/bio/enable
}

bios_trace_end()
{
	echo 0 >/sys/kernel/tracing/events/kprobes/bio/enable
	echo -:bio >>/sys/kernel/tracing/kprobe_events
}

# How many of them had all their BYTES in one bio_vec, which began at OFFSET of a page.
bios_of()	# BYTES [OFFSET]
{
	awk -v bytes="$1" -v offset="${2-0}" '$0 ~ / bio: / {
		delete field
		for (i = 1; i <= NF; i++)
			if (split($i, pair, "=") == 2)
				field[pair[1]] = pair[2]
		sum += field["size"] == bytes && field["offset"] + field["done"] == offset &&
			field["length"] >= bytes + field["done"]
	}
	END { print sum + 0 }' /sys/kernel/tracing/trace
}

# Look at registered buffers, until pins_trace_end.
pins_trace()
{
	# shellcheck disable=SC2016 # for the kernel to expand
	printf '%s\n' 'r:folios __dynmemmap_pin_folios heads=$retval:x64' 'p:pages io_pin_pages' \
		>>/sys/kernel/tracing/kprobe_events &&
		echo 1 >/sys/kernel/tracing/events/kprobes/folios/enable &&
		echo 1 >/sys/kernel/tracing/events/kprobes/pages/enable
}

pins_trace_end()
{
	echo 0 >/sys/kernel/tracing/events/kprobes/folios/enable
	echo 0 >/sys/kernel/tracing/events/kprobes/pages/enable
	printf '%s\n' -:folios -:pages >>/sys/kernel/tracing/kprobe_events
}

# How many of them were pinned by entries, and how many by an array of their pages.
pinned_by_folios()
{
	grep ' folios: ' /sys/kernel/tracing/trace | grep -vc 'heads=0x0$'
}

pinned_by_pages()
{
	grep -c ' pages: ' /sys/kernel/tracing/trace
}

# Pages that are pinned now. Each processor has counted some for itself.
pins_left()
{
	echo 1 >/proc/sys/vm/stat_refresh
	echo $(($(vmstat nr_foll_pin_acquired) - $(vmstat nr_foll_pin_released)))
}

no_pins_left()
{
	(($(pins_left) == 0))
}

# What one processor has read of another's packets is freed there with its next one, and
# holds its pages until then; now it is freed at once.
free_packets_at_once()
{
	echo 0 >/proc/sys/net/core/skb_defer_max
}

# Areas that are split from now on are noted in a buffer of their own.
note_splits()
{
	local notes=/sys/kernel/tracing/instances/areas

	! dm_on || {
		mkdir $notes && echo 1 >$notes/events/dynmemmap/dynmemmap_populate_tails/enable
	}
}

# Huge pages of files have all their struct pages, unless nobody counts the mappings of
# each page.
watch_splits()	# KIND; none: for now, they may be
{
	local notes=/sys/kernel/tracing/instances/areas watch=1

	[[ -d $notes ]] || return 0
	[[ $1 != shm || $KERNEL == debug ]] && [[ $1 != none ]] || watch=0
	echo $watch >$notes/tracing_on
}

expect_no_splits()
{
	local notes=/sys/kernel/tracing/instances/areas splits

	[[ -d $notes ]] || return 0
	splits=$(grep -E ' reason=(split|device|repair) ' $notes/trace)
	expect "no area was split" -z "${splits::300}"
	rmdir $notes
}

# Swap in compressed memory.
zram_swap()	# SIZE; a device number on stdout
{
	local number

	number=$(cat /sys/class/zram-control/hot_add) &&
		echo "$1" >"/sys/block/zram$number/disksize" &&
		mkswap "/dev/zram$number" >/dev/null &&
		swapon "/dev/zram$number" &&
		echo "$number"
}

# All swap goes, and what zram keeps of it: its pages are spread over many areas.
zram_swap_end()
{
	local reset

	swapoff -a && for reset in /sys/block/zram*/reset; do
		echo 1 >"$reset"
	done
}

# What is said when a block of memory is to go offline, and stays.
why_not_offline()	# BLOCK
{
	write_error "/sys/devices/system/memory/memory$1/state" offline
}

# Persistent memory that file systems can map, with its struct pages in RAM.
make_fsdax()	# [NUMBER]
{
	ndctl create-namespace --force --mode=fsdax --map=mem "--reconfig=namespace${1:-0}.0"
}

# A namespace that holds its own struct pages, as a kernel makes it that needs them.
hold_struct_pages()	# NAMESPACE fsdax|devdax
{
	ndctl disable-namespace "$1" && ndctl write-infoblock --mode="$2" --map=dev "$1" &&
		ndctl enable-namespace "$1"
}

# Where its struct pages are: as ndctl says, and as the kernel does.
struct_pages_of()	# NAMESPACE
{
	local claim

	ndctl list --namespace="$1" | grep -oP '"map":"\K[a-z]+'
	for claim in /sys/bus/nd/devices/{pfn,dax}[0-9]*; do
		[[ $(<"$claim/namespace") != "$1" ]] || echo "$(<"$claim/mode")"
	done
}

# A file system that lays large files out in whole areas.
make_dax_fs()	# ext4|xfs DEVICE
{
	case $1 in
	ext4) mkfs.ext4 -q -F -b 4096 -E stride=512,stripe_width=512 "$2" ;;
	xfs) mkfs.xfs -q -f -d su=2m,sw=1 "$2" ;;
	esac
}

# daxctl and the like have drivers loaded, and must find out that they are built in.
drivers_are_known()	# PATH_IN_KERNEL_TREE...
{
	local modules

	modules=/lib/modules/$(uname -r)
	mkdir -p /tmp/lib /tmp/lib.work &&
		mount -t overlay lib -o lowerdir=/usr/lib,upperdir=/tmp/lib,workdir=/tmp/lib.work \
			/usr/lib &&
		mkdir -p "$modules" &&
		printf 'kernel/%s.ko\n' "$@" >"$modules/modules.builtin" &&
		: >"$modules/modules.order" &&
		depmod
}

# NVDIMMs have room for labels, which say what their namespaces are. Without there is
# one that is all of an NVDIMM.
make_labels()
{
	ndctl disable-region all && ndctl init-labels --force all && ndctl enable-region all
}

# Areas of devices that have no struct pages: those of RAM are in the pool, or for a
# moment on their way to or from it.
device_areas_idle()
{
	# shellcheck disable=SC2016 # evaluated again and again
	settled eval 'echo $(($(dm areas_idle) - $(dm pool_areas)))'
}

device_areas_idle_are()	# NUMBER
{
	(($(device_areas_idle) == $1))
}

# What cannot be had now and then, where the kernel has CONFIG_FAULT_INJECTION:
# fail_dynmemmap are frames for struct pages, fail_page_alloc is any page.
fail_times=1000000000

fail_start()	# KIND PERCENT
{
	local kind=/sys/kernel/debug/$1

	echo $fail_times >"$kind/times"
	echo 0 >"$kind/verbose"
	echo "$2" >"$kind/probability"
}

fail_stop()	# KIND
{
	echo 0 >"/sys/kernel/debug/$1/probability"
}

nr_failed()	# KIND; since it started
{
	echo $((fail_times - $(<"/sys/kernel/debug/$1/times")))
}

finish()
{
	if dm_on; then
		expect "no write to a missing struct page was seen" "$(dm write_repairs)" -eq 0
		if [[ -z ${may_repair_reads-} ]]; then
			expect "no read of a missing struct page was repaired" "$(dm read_repairs)" -eq 0
			(($(dm read_repairs) == 0)) || note "$(dmesg | grep 'dynmemmap: repaired')"
		else
			note "$(dm read_repairs) repaired reads: $may_repair_reads"
		fi
	elif wanted_on && [[ $KERNEL != stock ]]; then
		not_ok "dynamic memmap is on"
	fi
	echo "1..$tap_count"
	exit $((tap_failed != 0))
}
