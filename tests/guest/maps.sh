#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Odd maps of memory: whatever is reserved, cut out or set aside at boot, what is
# free has no struct pages, and what is not has them.
#
# kernels: gigantic:dynamic uefi:dynamic
# also: stock dynamic debug
# mem: 4G
# append: dynamic_memmap=on
# variant: mem mem=1500M
# variant: holes memmap=4K$0x10000000,4K$0x12345000,64K$0x20000000,2M$0x30000000,1M$0x3ff80000
# variant: exact memmap=exactmap memmap=640K@0 memmap=1023M@1M memmap=333M@1100M memmap=1G@4G
# variant: sieve memmap=4K$130M,4K$198652K,16K$262136K,60K$324620K,512K$387712K,4K$440M
# variant: sieve memmap=4K$516092K,16K$579576K,60K$642060K,512K$705152K,4K$750M,4K$833532K
# variant: sieve memmap=16K$897016K,60K$959500K,512K$1022592K,4K$1060M,4K$1150972K,16K$1214456K
# variant: sieve memmap=60K$1276940K,512K$1340032K,4K$1370M,4K$1468412K,16K$1531896K
# variant: sieve memmap=60K$1594380K,512K$1657472K,4K$1680M,4K$1785852K,16K$1849336K
# variant: sieve memmap=60K$1911820K,512K$1974912K,8K$1048572K,4K$4126M,4K$4431868K,16K$4636664K
# variant: sieve memmap=60K$4840460K,512K$5044864K,4K$5126M,4K$5455868K,16K$5660664K
# variant: sieve memmap=60K$5864460K
# variant: kernelcore kernelcore=1G
# variant: huge hugepages=200
# variant: gigantic hugepagesz=1G hugepages=1
# variant: hvo hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=64 hugetlb_free_vmemmap=on
# variant: hugetlbcma hugetlb_cma=1G hugepagesz=1G hugepages=1
# variant: fakenuma numa=fake=3
# variant: pmem memmap=1G!5G
# variant: movablecore movablecore=1501M cma=96M
# variant: crash crashkernel=333M
# variant: nodes --numa=3 --node-mem=1300M,0
# variant: initrd --initrd=200M --mem=1501M
# variant: uefi --uefi
# variant: nothing mem=300M nokaslr

. "$DYNMEMMAP/tests/guest/lib.sh"

remember_memmap
asked=$(</proc/cmdline)
asked=${asked//[^@\$]/}
expect "memory is in as many pieces as asked for" \
	"$(grep -c ' : System RAM$' /proc/iomem)" -ge ${#asked}
available=$(($(meminfo MemAvailable) >> 10))
note "$((available)) MiB are available"
expect_success "page frames are looked at, all of them" \
	/usr/bin/python3 -I "$DYNMEMMAP/tests/guest/kpage.py" sum
if dm_on; then
	# Those of a device are not.
	expect "idle areas of RAM are free memory" \
		$(($(dm pool_areas) * 2)) -le $(($(meminfo MemFree) >> 10))
	# Set aside at boot, in areas; with some for the others.
	few=$((250 + ($(meminfo Hugetlb) + $(meminfo CmaTotal)) / 2048 +
		$(</sys/kernel/kexec_crash_size) / 2097152))
	# KASAN has a byte for every eight.
	[[ $KERNEL != debug ]] || few=$((few + 256))
	expect "areas in use are few" "$(dm areas_split)" -le $few
fi
expect_success "half of it, and 700 MiB at most, is filled" \
	hold_start some $((available < 1400 ? available / 2 : 700)) thp
expect_success "it keeps its contents" hold_check some
hold_stop some
expect_memmap_back 15
expect_consistent

finish
