#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# 64 GiB of persistent memory and 1 GiB of RAM: a file system with -o dax is made
# there and used with all that struct pages are for. They exist where files are
# mapped, and nowhere else: see fsdax-sizes.sh for what they cost. KASAN needs an
# eighth of what is mapped for itself, and a stock kernel all struct pages, so these
# get less.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# pmem: 64G
# pmem@stock: 2G
# mem@debug: 2G
# pmem@debug: 2G
# append: dynamic_memmap=on brd.rd_nr=1 brd.rd_size=65536

# shellcheck disable=SC2016,SC2034,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

dax=$DYNMEMMAP/tests/guest/dax.py
gib=64
[[ $KERNEL == dynamic ]] || gib=2
empty=$(memmap_kib)
! dm_on || full=$(dm full_memmap_bytes) idle_empty=$(memmap_of_idle)

# The figures are read one after the other, while a worker may change them.
little_is_left()
{
	local more=$(($(memmap_of_idle) - used))

	((${more#-} <= 64 << 10))
}

expect_success "$gib GiB become a namespace with its struct pages in RAM" \
	make_fsdax
! dm_on || expect "it has areas" $(($(dm full_memmap_bytes) - full)) -ge $(((gib << 24) - (2 << 20)))
mkdir -p /mnt/dax
for fs in ext4 xfs; do
	expect_success "$fs: it is made" make_dax_fs "$fs" /dev/pmem0
	expect_success "$fs: it is mounted" mount -o dax /dev/pmem0 /mnt/dax
	! dm_on || expect_success "$fs: mounted, it costs at most 6 MiB" \
		eventually 20 memmap_is_below $((empty + (6 << 10)))
	note "memmap: $empty KiB before, $(memmap_kib) KiB with $gib GiB of pmem"
	if dm_on; then
		idle=$(device_areas_idle) used=$(memmap_of_idle)
	fi
	for action in direct-write direct-read fork process-vm ptrace futex splice query sync \
		holes pinned unlinked unmount longterm {punch,truncate,unlink,unmount}-in-flight; do
		expect_success "$fs: $action" "$dax" /mnt/dax/file /dev/ram0 "$action"
	done

	expect_success "$fs: a file is read and written through mmap, and verified" fio --name=mmap \
		--filename=/mnt/dax/file --ioengine=mmap --rw=randrw --bs=4k --size=64M \
		--verify=crc32c --do_verify=1 --verify_fatal=1 --output=/tmp/fio
	# fio maps it without making it larger.
	truncate -s 2M /mnt/dax/buffer
	expect_success "$fs: it is the buffer of direct I/O, which is verified" fio --name=buffer \
		--filename=/dev/ram0 --direct=1 --ioengine=io_uring --iodepth=8 --rw=randwrite --bs=64k \
		--size=32M --iomem=mmapshared:/mnt/dax/buffer --verify=crc32c --do_verify=1 \
		--verify_fatal=1 --output=/tmp/fio
	rm -f /mnt/dax/{file,buffer}
	expect_success "$fs: all pins are gone" eventually 5 no_pins_left
	if dm_on; then
		expect_success "$fs: the struct pages of 64 MiB go with the files" \
			eventually 10 device_areas_idle_are "$idle"
		expect_success "$fs: nothing else is left, 64 KiB at the most" \
			eventually 10 little_is_left
	fi
	expect_success "$fs: bios are traced" bios_trace
	expect_success "$fs: it is the buffer of direct I/O, mapped as a whole" \
		"$dax" /mnt/dax/file /dev/ram0 direct-huge
	if dm_on; then
		expect "$fs: 2 MiB of it are one bio_vec" "$(bios_of $((2 << 20)))" -eq 2
		expect "$fs: so is what begins beyond a page" \
			"$(bios_of $((1 << 20)) $((3 * 4096 + 512)))" -eq 2
	fi
	bios_trace_end
	expect_success "$fs: it is unmounted" umount /mnt/dax
done

expect_success "the namespace goes" ndctl destroy-namespace --force namespace0.0
! dm_on || expect "its areas are gone" "$(dm full_memmap_bytes)" -eq "$full"
note "memmap: $(memmap_kib) KiB without it"
if [[ $KERNEL == dynamic ]]; then
	echo 3 >/proc/sys/vm/drop_caches
	expect_success "what is left are the area pages of 64 GiB, 2 MiB, and 2 MiB around" \
		eventually 30 memmap_is_below $((empty + (4 << 10)))
fi
! dm_on || expect_success "only the area pages stay, for the next device" \
	eventually 10 eval '(($(memmap_of_idle) - idle_empty <= gib * 32 + 256 << 10))'
expect_consistent

finish
