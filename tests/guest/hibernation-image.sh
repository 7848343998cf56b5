#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest hibernates and resumes: the image of it is written to swap, read
# back, and put in the place of the running system; first of the same one, then of
# another after the power was off. All areas have struct pages for that; afterwards they
# are idle again.
#
# kernels: dynamic
# also: stock debug
# mem: 1G
# ramdisk: yes
# disk: swap:1G
# boots: 2
# append: dynamic_memmap=on resume=/dev/vda

# shellcheck disable=SC2016,SC2034,SC2317 # evaluated again and again, called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

hibernate()	# MODE; see Documentation/admin-guide/pm/sleep-states.rst
{
	echo "$1" >/sys/power/disk && echo disk >/sys/power/state
}

# What the first boot has saved goes on in the place of the second: nothing comes here.
if ((VM_BOOT == 2)); then
	not_ok "a guest that was saved is resumed"
	finish
fi

expect_success "there is swap to write the image to" eval 'mkswap /dev/vda && swapon /dev/vda'
remember_memmap
head -c 60M /dev/urandom >/tmp/file
sum=$(sha256sum </tmp/file)
! dm_on || idle=$(dm areas_idle)
for mode in test_resume shutdown; do
	expect_success "$mode: it is saved and resumed" hibernate $mode
	expect "$mode: memory keeps its contents" "$(sha256sum </tmp/file)" = "$sum"
done
if dm_on; then
	expect_success "areas are idle again" eventually 30 eval '(($(dm areas_idle) >= idle - 64))'
fi
rm /tmp/file
expect_memmap_back 15
expect_consistent

finish
