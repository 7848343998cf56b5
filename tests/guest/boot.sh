#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel boots, and sees the memory that it was given.
#
# kernels: stock dynamic debug
# mem: 1G

. "$DYNMEMMAP/tests/guest/lib.sh"

case $(uname -r) in
7.3.*-"$KERNEL")
	ok "this is the $KERNEL kernel"
	;;
*)
	not_ok "this is the $KERNEL kernel, not $(uname -r)"
	;;
esac

expect "all processors are online" "$(nproc)" -eq 2
# KASAN takes an eighth, and what finds bugs in pages some more.
least=800
[[ $KERNEL != debug ]] || least=700
expect "most of the memory is there" "$(meminfo MemTotal)" -gt $((least << 10))
expect "most of it is free" "$(meminfo MemAvailable)" -gt $((least - 100 << 10))
expect "available is not more than total" "$(meminfo MemAvailable)" -le "$(meminfo MemTotal)"
if [[ $KERNEL == debug ]]; then
	expect_success "dynamic memmap is on by default" dm_on
else
	expect_failure "dynamic memmap is off by default" dm_on
fi
expect_success "files can be written" touch /tmp/file
expect_failure "the host's files cannot" touch "$DYNMEMMAP/file"

finish
