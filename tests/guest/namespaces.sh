#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One NVDIMM is divided by labels into namespaces of all kinds, which share sections.
# They are used beside each other, resized, made into each other and destroyed, with
# struct pages in RAM and on the device itself.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# mem@debug: 2G
# pmem: 2G
# append: dynamic_memmap=on brd.rd_nr=1 brd.rd_size=65536

# shellcheck disable=SC2034,SC2317 # used and called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

dax=$DYNMEMMAP/tests/guest/dax.py
declare -A device=() node=()

# Says what it is and where: {"dev":"namespace0.1", ..., "blockdev":"pmem0.1"}
create()	# NAME NDCTL_OPTIONS...
{
	local name=$1 said

	shift
	said=$(ndctl create-namespace --force "$@" 2>&1) || {
		echo "$said"
		return 1
	}
	[[ $said =~ \"dev\":\"([a-z0-9.]+)\" ]] && device[$name]=${BASH_REMATCH[1]} || return
	[[ $said =~ \"(blockdev|chardev)\":\"([a-z0-9.]+)\" ]] && node[$name]=/dev/${BASH_REMATCH[2]}
}

# Not in a subshell, for it says where its namespace is.
expect_create()	# WHAT NAME NDCTL_OPTIONS...
{
	local what=$1

	shift
	if create "$@" >/tmp/created; then
		ok "$what"
		note "$1: ${device[$1]} at ${node[$1]}"
	else
		not_ok "$what"
		note "$(</tmp/created)"
	fi
}

mounted()	# NAME FSTYPE
{
	local mnt=/mnt/$1

	mkdir -p "$mnt"
	case $2 in
	ext4)	mkfs.ext4 -q -F -b 4096 "${node[$1]}" ;;
	xfs)	mkfs.xfs -q -f "${node[$1]}" ;;
	esac && mount -o dax=always "${node[$1]}" "$mnt"
}

use_file()	# NAME ACTION...
{
	local name=$1

	shift
	"$dax" "/mnt/$name/file" /dev/ram0 "$@"
}

use_device()	# NAME ACTION...
{
	local name=$1

	shift
	"$dax" "${node[$name]}" /dev/ram0 "$@"
}

# Through the page cache: no mapping of these leads to the memory itself.
use_disk()	# NAME
{
	head -c 4M /dev/urandom >/tmp/written &&
		dd if=/tmp/written of="${node[$1]}" bs=1M oflag=direct status=none &&
		dd if="${node[$1]}" bs=1M count=4 iflag=direct status=none | cmp - /tmp/written
}

# How often was heard of its disk; or of its device, which is below one of the bus.
heard()	# add|remove NAME
{
	local kind=block

	[[ ${node[$2]} != /dev/dax* ]] || kind='dax[0-9]*\.[0-9]*'
	grep -c "^$1@.*/$kind/${node[$2]##*/}\$" /tmp/uevents
}

heard_more()	# add|remove NAME NUMBER
{
	(($(heard "$1" "$2") > $3))
}

size_of_device()	# NAME
{
	echo $(($(<"/sys/bus/dax/devices/${node[$1]##*/}/size") >> 20))
}

gone()	# NAME
{
	ndctl destroy-namespace --force "${device[$1]}"
}

expect_success "all of it is used at first" make_fsdax
expect_success "its labels are made" make_labels
expect_success "there are no namespaces" ndctl destroy-namespace --force all
! dm_on || full=$(dm full_memmap_bytes)
/usr/bin/python3 -I "$DYNMEMMAP/tests/guest/uevents.py" >/tmp/uevents &
listener=$!
eventually 30 test -s /tmp/uevents

# 128 MiB are a section: most of these begin and end inside of one.
expect_create "fsdax, its struct pages on the device" dev --mode=fsdax --map=dev --size=336M
expect_create "devdax, its struct pages in RAM" chars --mode=devdax --map=mem --size=208M
expect_create "devdax, its struct pages on the device" other --mode=devdax --map=dev --size=208M
expect_create "sectors" sectors --mode=sector --size=80M
expect_create "raw" raw --mode=raw --size=80M
# The last one: a namespace can only become larger where it is.
expect_create "fsdax, its struct pages in RAM" ram --mode=fsdax --map=mem --size=336M
# What a namespace says of itself, and alignment, take 2 MiB.
expect "struct pages in RAM take nothing of it" \
	"$(blockdev --getsize64 "${node[ram]}")" -eq $((334 << 20))
expect "ndctl and the kernel say where they are" \
	"$(struct_pages_of "${device[ram]}")" = $'mem\nram'
if dm_on; then
	expect "nor do those on the device, which are not needed" \
		"$(blockdev --getsize64 "${node[dev]}")" -eq $((334 << 20))
	expect "other: nor there" "$(size_of_device other)" -eq 206
	for name in dev other; do
		expect "$name: ndctl and the kernel say where they are" \
			"$(struct_pages_of "${device[$name]}")" = $'mem\nram'
	done
	expect_success "dev: it is made to hold them, as it would before" \
		hold_struct_pages "${device[dev]}" fsdax
	expect_success "other: it is made to hold them, as it would before" \
		hold_struct_pages "${device[other]}" devdax
fi
expect "where they are, they take their room" \
	"$(blockdev --getsize64 "${node[dev]}")" -eq $((330 << 20))
expect "other: so it is there" "$(size_of_device other)" -eq 204
for name in dev other; do
	expect "$name: that is what is said" \
		"$(struct_pages_of "${device[$name]}")" = $'dev\npmem'
done
for name in dev chars other sectors raw ram; do
	expect_success "$name: who listens hears of it" eventually 10 heard_more add $name 0
done

expect_success "ext4 is mounted on one" mounted ram ext4
expect_success "xfs is mounted on the other" mounted dev xfs
for name in ram dev; do
	expect_success "$name: mapped files are used" use_file $name direct-write direct-read \
		fork sync holes query
	head -c 20M /dev/urandom >/mnt/$name/kept
	cp /mnt/$name/kept /tmp/kept.$name
done
for name in chars other; do
	expect_success "$name: it is mapped and used" use_device $name direct-write process-vm futex
done
for name in sectors raw; do
	expect_success "$name: it is written and read" use_disk $name
done

# What is not resized keeps what it holds.
expect_success "one is unmounted" umount /mnt/ram
expect_create "it becomes larger" ram --reconfig="${device[ram]}" --mode=fsdax --map=mem \
	--size=640M
expect "it is" "$(blockdev --getsize64 "${node[ram]}")" -eq $((638 << 20))
expect_success "xfs is mounted there" mounted ram xfs
expect_success "ram: mapped files are used" use_file ram direct-write direct-read fork sync holes
expect_success "its neighbour keeps its file" cmp /mnt/dev/kept /tmp/kept.dev
expect_success "it is unmounted" umount /mnt/ram
expect_create "it becomes smaller" ram --reconfig="${device[ram]}" --mode=fsdax --map=mem \
	--size=144M
expect "it is" "$(blockdev --getsize64 "${node[ram]}")" -eq $((142 << 20))
expect_success "ext4 is mounted there" mounted ram ext4
expect_success "ram: mapped files are used" use_file ram direct-write direct-read fork sync holes

# Into each other, while others are mounted.
expect_create "devdax becomes fsdax" chars --reconfig="${device[chars]}" --mode=fsdax --map=mem
expect_success "ext4 is mounted there" mounted chars ext4
expect_success "chars: mapped files are used" use_file chars direct-write fork sync holes
expect_success "it is unmounted" umount /mnt/chars
expect_create "fsdax becomes sectors" chars --reconfig="${device[chars]}" --mode=sector
expect_success "chars: it is written and read" use_disk chars
expect_create "sectors become raw" chars --reconfig="${device[chars]}" --mode=raw
expect_success "chars: it is written and read" use_disk chars
expect_create "raw becomes devdax" chars --reconfig="${device[chars]}" --mode=devdax --map=mem
expect_success "chars: it is mapped and used" use_device chars direct-write process-vm
expect_create "on the device becomes in RAM" other --reconfig="${device[other]}" --mode=devdax \
	--map=mem
expect_success "other: it is mapped and used" use_device other direct-write process-vm
expect_create "and on the device again" other --reconfig="${device[other]}" --mode=devdax --map=dev
expect_success "other: it is mapped and used" use_device other direct-write process-vm

expect_success "the file that nobody touched is there" cmp /mnt/dev/kept /tmp/kept.dev
expect_success "one is unmounted" umount /mnt/ram
expect_success "the other is unmounted" umount /mnt/dev
for name in other ram raw dev sectors chars; do
	removed=$(heard remove $name)
	expect_success "$name: it goes" gone $name
	expect_success "$name: who listens hears of that" \
		eventually 10 heard_more remove $name "$removed"
done
kill $listener
! dm_on || expect "all areas are gone" "$(dm full_memmap_bytes)" -eq "$full"
expect_create "one that is all of it" all --mode=fsdax --map=mem
expect_success "xfs is mounted there" mounted all xfs
expect_success "all: mapped files are used" use_file all direct-write direct-read fork sync holes
expect_success "it is unmounted" umount /mnt/all
expect_success "it goes" gone all
! dm_on || expect "all areas are gone" "$(dm full_memmap_bytes)" -eq "$full"
expect_consistent

finish
