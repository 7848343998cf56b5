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
# variant: crumbs memmap=exactmap,640K@0,511M@1M,4K@514M,8K@567292K,60K@604672K,1028K@643076K
# variant: crumbs memmap=2M@666M,3M@722432K,2056K@759820K,4K@780M,8K@839676K,60K@877056K
# variant: crumbs memmap=1028K@915460K,2M@932M,3M@994816K,2056K@1032204K,4K@1046M,8K@1112060K
# variant: crumbs memmap=60K@1149440K,1028K@1187844K,2M@1198M,3M@1267200K,2056K@1304588K
# variant: crumbs memmap=4K@1312M,8K@1384444K,60K@1421824K,1028K@1460228K,2M@1464M,3M@1539584K
# variant: crumbs memmap=2056K@1576972K,4K@1578M,8K@1656828K,60K@1694208K,1028K@1732612K
# variant: crumbs memmap=2M@1730M,3M@1811968K,2056K@1849356K,4K@1844M,8K@1929212K,60K@1966592K
# variant: crumbs memmap=1028K@2004996K,2M@1996M,1G@4G
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
	expect "idle areas are free memory" $(($(dm areas_idle) * 2)) -le $(($(meminfo MemFree) >> 10))
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
