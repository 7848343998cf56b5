#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Many reads and writes of 2 MiB are under way when at a random moment the writer is
# killed, or the disk goes: the controller is disconnected or reset, the session ends,
# the target is removed, a table is replaced, a disk fails. No pin is left.
#
# kernels: none
# also: stock dynamic debug
# mem: 1G
# disk: one:64M
# disk: two:64M
# append: dynamic_memmap=on memmap=128M!512M brd.rd_nr=1 brd.rd_size=65536

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/stacks.bash"

rounds=${1:-20}
kinds=(thp shm hugetlb "$dax")
# What happens to which stack; "killed" is the writer, and nothing else.
events=(nvme:killed nvme:reset nvme:target_gone nvme:killed nvme:disconnected
	iscsi:killed iscsi:target_gone iscsi:killed iscsi:disconnected
	linear:killed linear:replaced crypt:killed crypt:replaced md:killed md:failed
	virtio:killed null:killed null:off brd:killed loop:killed)
writer=
# Who has lost the target gives up soon.
nvme_options+=,reconnect_delay=1,ctrl_loss_tmo=2

writer_start()	# DISK KIND
{
	rm -f /tmp/writer
	watch_splits "$2"
	"${directio_program[@]}" "$1" "$2" forever >/tmp/writer 2>&1 &
	writer=$!
	eventually 60 writer_has_said && [[ $(</tmp/writer) == running ]] && return
	cat /tmp/writer
	writer_kill
	return 1
}

writer_has_said()
{
	[[ -s /tmp/writer ]]
}

writer_kill()
{
	# It may have ended, because the disk has.
	kill -KILL "$writer" 2>/dev/null
	return 0
}

# The events, beside the writer's end.
nvme_reset()
{
	put 1 "$(nvme_controller)/reset_controller"
}

nvme_disconnected() { nvme_disconnect; }

nvme_target_gone()
{
	rm "$config/nvmet/ports/1/subsystems/$nqn"
}

iscsi_disconnected() { iscsi_disconnect; }

iscsi_target_gone()
{
	put 0 "$config/target/iscsi/$iqn/tpgt_1/enable"
}

linear_replaced() { dmsetup wipe_table --noflush linear; }
crypt_replaced() { dmsetup wipe_table --noflush crypt; }
md_failed() { mdadm --quiet /dev/md0 --fail /dev/vdb; }
null_off() { put 0 "$config/nullb/stacks/power"; }

# The writer is killed before or after, and at once.
round()	# STACK EVENT KIND MOMENT FIRST
{
	local stack=$1 event=$2 kind=$3 moment=$4 first=$5 status=0 ended

	writer_start "$("${stack}_top")" "$kind" || return
	pause "$moment"
	[[ $first != writer ]] || writer_kill
	[[ $event == killed ]] || "${stack}_$event" || status=1
	writer_kill
	wait "$writer" 2>/dev/null
	ended=$?
	# While its disk is there, nothing else has ended it.
	[[ $event != killed && $first != writer ]] || ((ended == 137)) || {
		echo "the writer was not killed, but ended with status $ended: $(</tmp/writer)"
		status=1
	}
	eventually 30 no_huge_pages_left || {
		echo "left: $(pins_left) pins, $(meminfo AnonHugePages) KiB of AnonHugePages," \
			"$(meminfo ShmemHugePages) KiB of ShmemHugePages," \
			"$(($(meminfo HugePages_Total) - $(meminfo HugePages_Free))) HugePages"
		return 1
	}
	! dm_on || eventually 30 no_huge_areas_left || {
		echo "left: $(areas_in_huge_pages) areas of huge pages, before $AREAS_HUGE"
		return 1
	}
	# What it was connected to is given up, and then can be made anew.
	[[ $event != target_gone ]] || eventually 30 "${stack}_gives_up" || return
	return "$status"
}

nvme_gives_up() { nvme_is_gone; }
iscsi_gives_up() { iscsi_is_gone || iscsi_disconnect; }

stacks_begin
current=
for ((number = 0; number < rounds; number++)); do
	IFS=: read -r stack event <<<"${events[number % ${#events[@]}]}"
	if [[ $stack != "$current" ]]; then
		[[ -z $current ]] || expect_success "$current: it goes" "${current}_down"
		expect_success "$stack: it is set up" "${stack}_up"
		current=$stack
	fi
	kind=${kinds[RANDOM % ${#kinds[@]}]} moment=0.$((RANDOM % 5))$((RANDOM % 10))
	first=event
	((RANDOM % 2)) || first=writer
	expect_success "$((number + 1)): $stack, $kind: $event ${moment} s after the start, $first first" \
		round "$stack" "$event" "$kind" $moment $first
	if [[ $event != killed && $event != reset ]]; then
		expect_success "$stack: it goes" "${stack}_down"
		current=
	fi
done
[[ -z $current ]] || expect_success "$current: it goes" "${current}_down"
stacks_end

finish
