#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Memory is set aside for a crash kernel, and one is loaded into it.
#
# kernels: dynamic
# also: debug
# mem: 1G
# append: dynamic_memmap=on crashkernel=256M

# shellcheck disable=SC2016 # evaluated again and again
. "$DYNMEMMAP/tests/guest/lib.sh"

expect "memory is set aside" "$(cat /sys/kernel/kexec_crash_size)" -eq $((256 << 20))
remember_memmap
boot_pages=$(vmstat nr_memmap_boot_pages)

# What kernels keep for themselves differs.
free_mib()
{
	echo $(($(meminfo MemFree) >> 10))
}

room=$(free_mib) left=$((room / 4))
note "$room MiB are free"
expect_success "most memory is filled" hold_start some $((room - left)) thp
expect_success "it keeps its contents" hold_check some
hold_stop some

# Any kernel will do: it is not started.
image=$(find -L "$DYNMEMMAP/build" -path "*/arch/x86/boot/bzImage" 2>/dev/null | head -n 1)
if [[ -n $image ]]; then
	expect_success "a crash kernel is loaded" kexec -p -s --reuse-cmdline "$image"
	expect "it is there" "$(cat /sys/kernel/kexec_crash_loaded)" -eq 1
	expect_success "it is unloaded" kexec -p -s -u
else
	skip "a crash kernel is loaded" "there is none below build/"
fi
echo 0 >/sys/kernel/kexec_crash_size
expect "the memory is given back" "$(cat /sys/kernel/kexec_crash_size)" -eq 0
total=$(meminfo MemTotal)
# Without the image in the page cache, and when CPUs no longer keep what they have just
# freed, more is free than was before.
echo 3 >/proc/sys/vm/drop_caches
expect_success "as much is free as before, and what stays free" \
	eventually 60 eval '(($(free_mib) - left > room))'
size=$(($(free_mib) - left))
note "$size MiB are to be filled"
expect_success "that is filled" hold_start some "$size" thp
expect_success "it keeps its contents" hold_check some
hold_stop some

# Without what the kernel's image takes of the page cache.
echo 3 >/proc/sys/vm/drop_caches
# Given back, it becomes idle like any other: 128 areas have no struct pages, and the
# frames that boot took from memblock for them are free memory.
expect_success "the memmap is smaller by most of 4 MiB" \
	eventually 60 memmap_is_below $((memmap_before - 3072))
expect_success "frames of memblock are free memory" \
	eventually 60 eval '(($(vmstat nr_memmap_boot_pages) <= boot_pages - 768))'
note "memmap now: $(memmap_kib) KiB; frames of memblock: $(vmstat nr_memmap_boot_pages)" \
	"of $boot_pages"
expect "that does not change how much there is" "$(meminfo MemTotal)" -eq "$total"
expect_consistent

finish
