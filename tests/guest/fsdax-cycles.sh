#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A namespace is created, used and destroyed a hundred times.
#
# kernels: none
# also: stock dynamic debug
# mem: 1G
# pmem: 1G
# append: dynamic_memmap=on brd.rd_nr=1 brd.rd_size=65536
# timeout: 3600

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

create()
{
	ndctl create-namespace --mode=fsdax --map=mem >/tmp/namespace
}

namespace()	# FIELD
{
	sed -n "s/.*\"$1\":\"\(.*\)\".*/\1/p" /tmp/namespace
}

cycle()
{
	create && mkfs.ext4 -q -F "/dev/$(namespace blockdev)" &&
		mount -o dax "/dev/$(namespace blockdev)" /mnt/dax &&
		"$DYNMEMMAP/tests/guest/dax.py" /mnt/dax/file /dev/ram0 direct-write holes &&
		umount /mnt/dax &&
		ndctl destroy-namespace --force "$(namespace dev)"
}

cycles()	# HOW_MANY
{
	local i

	for ((i = 0; i < $1; i++)); do
		cycle || return
	done
}

mkdir -p /mnt/dax
expect_success "there are no namespaces" ndctl destroy-namespace --force all
! dm_on || full=$(dm full_memmap_bytes)
expect_success "one comes and goes" cycles 1
remember_memmap
for ((tens = 1; tens <= 10; tens++)); do
	expect_success "ten more, the ${tens}th time" cycles 10
	! dm_on || expect "their areas are gone" "$(dm full_memmap_bytes)" -eq "$full"
done
expect_memmap_back 20
expect_consistent

finish
