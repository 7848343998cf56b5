#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the guest: run the kernel's own selftests of mm, which are built in DIR.
# Prints their TAP. Each test is ended after SECONDS; the lines of $LEAVE_OUT
# name tests not to run. Modules of the kernel are in $MODULES.
#
# usage: selftests-mm.sh DIR SECONDS [CATEGORY...]

set -eu

dir=$1
seconds=$2
shift 2

# They write beside themselves, and are read many times.
mkfs.ext4 -q /dev/vda
mount /dev/vda /mnt
cp -r "$dir" /mnt/mm
cd /mnt/mm

# run_vmtests.sh knows neither a time limit nor a test to leave out: what runs a
# test in it becomes a function of ours. A test over the limit ends with 124.
# shellcheck disable=SC2016  # it is run_vmtests.sh that expands them
{
	sed -i 's/("\$@" 2>&1) | tap_prefix/(limited "$@" 2>\&1) | tap_prefix/' run_vmtests.sh
	grep -qF '(limited "$@" 2>&1) | tap_prefix' run_vmtests.sh
} || {
	echo "Bail out! run_vmtests.sh does not run tests as it used to"
	exit 1
}
limited()
{
	local status=0 start=$SECONDS name=$*

	if grep -qxF -- "${name#./}" <<<"${LEAVE_OUT-}"; then
		echo "left out: it took too long elsewhere"
		return 124
	fi
	timeout -k 5 "$LIMIT" "$@" || status=$?
	echo "seconds: $((SECONDS - start))"
	# One that had to be killed ends with 137.
	((SECONDS - start < LIMIT)) || status=124
	return $status
}
export -f limited
export LIMIT=$seconds

# A module is not installed anywhere.
modinfo()	# NAME
{
	[[ -e $MODULES/$1.ko ]] || command modinfo "$@"
}
modprobe()	# [-r] NAME
{
	local name=${!#}

	if [[ ! -e $MODULES/$name.ko ]]; then
		command modprobe "$@"
	elif [[ $1 == -r ]]; then
		rmmod "$name"
	else
		insmod "$MODULES/$name.ko"
	fi
}
export -f modinfo modprobe

# A device takes no page that is just being moved to make memory free; then these tests
# fail. So this is not done for an hour.
delay=/sys/kernel/mm/dynamic_memmap/take_back_delay_ms
usual_delay=$(cat $delay 2>/dev/null || true)
delay_for()	# CATEGORY
{
	[[ -z $usual_delay ]] || if [[ $1 == hmm ]]; then
		echo 3600000 >$delay
	else
		echo "$usual_delay" >$delay
	fi
}

status=0
for category in "$@"; do
	echo "# category $category"
	delay_for "$category"
	bash run_vmtests.sh -d -t "$category" || status=$?
	# A category that was given no time to clean up leaves huge pages behind.
	for pages in /sys/kernel/mm/hugepages/*/nr_hugepages; do
		echo 0 >"$pages"
	done
done
echo "# all categories done"
# A failing test is for the host to judge.
((status <= 4))
