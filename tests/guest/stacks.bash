# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Stacks of block devices, for the tests stacks-*.sh. A stack NAME is made by NAME_up,
# undone by NAME_down, and is the device that NAME_top prints; NAME_far prints where
# what was written to it can be seen, as directio.py wants it. All use the disks vda
# and vdb, so there is one at a time.

# shellcheck disable=SC2317 # called by name
. "$DYNMEMMAP/tests/guest/lib.sh"

config=/sys/kernel/config
tracing=/sys/kernel/tracing
nqn=nqn.2026-11.example:stacks
# A slow host is no reason to give a controller up.
nvme_options=nr_io_queues=2,keep_alive_tmo=120
iqn=iqn.2026-11.example:stacks
dax=/mnt/dax
# There is no udev here.
export DM_DISABLE_UDEV=1 MDADM_NO_UDEV=1

put()	# VALUE FILE
{
	echo "$1" >"$2"
}

directio_program=(/usr/bin/python3 -BS "$DYNMEMMAP/tests/guest/directio.py")

directio()	# DISK KIND ACTION[,ACTION...] [FAR...]
{
	watch_splits "$2"
	"${directio_program[@]}" "$@"
}

sectors()	# DEVICE
{
	local name

	name=$(readlink -f "$1") && cat "/sys/class/block/${name##*/}/size"
}

null_up()
{
	local disk=$config/nullb/stacks

	mkdir "$disk" && put 64 "$disk/size" && put 512 "$disk/blocksize" &&
		put 1 "$disk/memory_backed" && put 4096 "$disk/max_sectors" &&
		put 1 "$disk/power"
}

null_down() { rmdir $config/nullb/stacks; }
null_top() { echo /dev/stacks; }
null_far() { :; }

virtio_up() { :; }
virtio_down() { :; }
virtio_top() { echo /dev/vda; }
virtio_far() { :; }

brd_up() { :; }
# Its pages are of the kernel until they are discarded.
brd_down() { blkdiscard /dev/ram0; }
brd_top() { echo /dev/ram0; }
brd_far() { :; }

loop_up() { losetup --direct-io=on /dev/loop0 /dev/vda; }
loop_down() { losetup -d /dev/loop0; }
loop_top() { echo /dev/loop0; }
loop_far() { echo via:/dev/vda; }

linear_up()
{
	dmsetup create linear --table "0 $(($(sectors /dev/vda) - 2048)) linear /dev/vda 2048"
}

linear_down() { dmsetup remove linear; }
linear_top() { echo /dev/mapper/linear; }
linear_far() { echo via:/dev/vda+$((2048 * 512)); }

# Who has the key reads it, whichever way it was written; who has not, does not.
crypt_up()
{
	local key table

	key=$(printf '%02x' {1..64})
	table="0 $(sectors /dev/vda) crypt aes-xts-plain64 $key 0 /dev/vda 0"
	dmsetup create crypt --table "$table" && dmsetup create other --table "$table"
}

crypt_down() { dmsetup remove other && dmsetup remove crypt; }
crypt_top() { echo /dev/mapper/crypt; }
crypt_far() { echo not:/dev/vda /dev/mapper/other; }

md_up()
{
	mdadm --quiet --build /dev/md0 --level=1 --raid-devices=2 --assume-clean \
		/dev/vda /dev/vdb
}

md_down() { mdadm --quiet --stop /dev/md0; }
md_top() { echo /dev/md0; }
md_far() { echo via:/dev/vda via:/dev/vdb; }

# A target on the loopback address, and the controller that is connected to it.
nvme_target_up()
{
	local subsystem=$config/nvmet/subsystems/$nqn port=$config/nvmet/ports/1

	mkdir -p "$subsystem/namespaces/1" "$port" && put 1 "$subsystem/attr_allow_any_host" &&
		put /dev/vda "$subsystem/namespaces/1/device_path" &&
		put 1 "$subsystem/namespaces/1/enable" &&
		put tcp "$port/addr_trtype" && put ipv4 "$port/addr_adrfam" &&
		put 127.0.0.1 "$port/addr_traddr" && put 4420 "$port/addr_trsvcid" &&
		ln -s "$subsystem" "$port/subsystems/"
}

nvme_target_down()
{
	local subsystem=$config/nvmet/subsystems/$nqn port=$config/nvmet/ports/1

	rm -f "$port/subsystems/$nqn" && rmdir "$port" &&
		put 0 "$subsystem/namespaces/1/enable" &&
		rmdir "$subsystem/namespaces/1" "$subsystem"
}

nvme_controller()
{
	local path

	for path in /sys/class/nvme/nvme*; do
		[[ -d $path ]] && echo "$path" && return
	done
	return 1
}

nvme_top()
{
	local path

	for path in "$(nvme_controller)"/nvme*n*; do
		[[ -b /dev/${path##*/} ]] && echo "/dev/${path##*/}" && return
	done
	return 1
}

# Its node is there before it can be opened, which waits until the kernel has looked for
# partitions.
can_be_opened()	# DEVICE
{
	[[ -b $1 ]] && { : <"$1"; } 2>/dev/null
}

nvme_is_there()
{
	can_be_opened "$(nvme_top)"
}

nvme_connect()
{
	put "transport=tcp,traddr=127.0.0.1,trsvcid=4420,nqn=$nqn,$nvme_options" \
		/dev/nvme-fabrics &&
		eventually 20 nvme_is_there
}

nvme_disconnect()
{
	put 1 "$(nvme_controller)/delete_controller"
}

nvme_is_gone()
{
	! nvme_controller >/dev/null
}

nvme_up() { nvme_target_up && nvme_connect; }

nvme_down()
{
	{ nvme_is_gone || nvme_disconnect; } && nvme_target_down
}

nvme_far() { echo /dev/vda; }

iscsi_target_up()
{
	local disk=$config/target/core/iblock_0/disk portal=$config/target/iscsi/$iqn/tpgt_1

	mkdir -p "$disk" && put udev_path=/dev/vda "$disk/control" && put 1 "$disk/enable" &&
		mkdir -p $config/target/iscsi &&
		mkdir -p "$portal/np/127.0.0.1:3260" "$portal/lun/lun_0" &&
		ln -s "$disk" "$portal/lun/lun_0/disk" &&
		put 1 "$portal/attrib/generate_node_acls" &&
		put 0 "$portal/attrib/demo_mode_write_protect" &&
		put 1 "$portal/attrib/cache_dynamic_acls" &&
		put 0 "$portal/attrib/authentication" && put 1 "$portal/enable"
}

iscsi_target_down()
{
	local disk=$config/target/core/iblock_0/disk portal=$config/target/iscsi/$iqn/tpgt_1

	put 0 "$portal/enable" && rm "$portal/lun/lun_0/disk" &&
		rmdir "$portal/lun/lun_0" "$portal/np/127.0.0.1:3260" "$portal" \
			"${portal%/*}" "$disk" "${disk%/*}"
}

# Its files are where the root is read-only.
iscsid_start()
{
	mkdir -p /run/lock && mount -t tmpfs tmpfs /etc/iscsi &&
		put InitiatorName=iqn.2026-11.example:initiator /etc/iscsi/initiatorname.iscsi &&
		printf '%s = %s\n' node.startup manual node.session.auth.authmethod None \
			node.session.timeo.replacement_timeout 1 \
			'node.conn[0].timeo.noop_out_interval' 0 \
			node.session.nr_sessions 1 >/etc/iscsi/iscsid.conf &&
		iscsid && iscsiadm -m node -o new -T $iqn -p 127.0.0.1:3260,1
}

iscsid_is_gone()	# PID
{
	! kill -0 "$1" 2>/dev/null
}

iscsid_stop()
{
	local pid

	read -r pid </run/iscsid.pid && iscsiadm -k 0 && eventually 20 iscsid_is_gone "$pid" &&
		rm -f /run/iscsid.pid && umount /etc/iscsi
}

iscsi_top()
{
	local path

	for path in /sys/class/iscsi_session/session*/device/target*/*/block/*; do
		[[ -b /dev/${path##*/} ]] && echo "/dev/${path##*/}" && return
	done
	return 1
}

iscsi_is_there()
{
	can_be_opened "$(iscsi_top)"
}

iscsi_connect()
{
	iscsiadm -m node -T $iqn -p 127.0.0.1:3260 --login &&
		eventually 20 iscsi_is_there
}

iscsi_disconnect()
{
	iscsiadm -m node -T $iqn -p 127.0.0.1:3260 --logout
}

iscsi_is_gone()
{
	! compgen -G '/sys/class/iscsi_session/session*' >/dev/null
}

iscsi_up() { iscsi_target_up && iscsid_start && iscsi_connect; }

iscsi_down()
{
	{ iscsi_is_gone || iscsi_disconnect; } && iscsid_stop && iscsi_target_down
}

iscsi_far() { echo /dev/vda; }

# Where struct bio has the number of its bio_vecs depends on the configuration.
bio_vcnt_offset()
{
	local offset=80 have

	have=$(zcat /proc/config.gz)
	[[ $have != *CONFIG_BLK_CGROUP=y* ]] || offset=$((offset + 16))
	[[ $have != *CONFIG_BLK_CGROUP_IOCOST=y* ]] || offset=$((offset + 8))
	[[ $have != *CONFIG_BLK_INLINE_ENCRYPTION=y* ]] || offset=$((offset + 8))
	[[ $have != *CONFIG_BLK_DEV_INTEGRITY=y* ]] || offset=$((offset + 8))
	echo $offset
}

# And where struct request has the number of its segments.
request_segments_offset()
{
	local offset=114 have

	have=$(zcat /proc/config.gz)
	[[ $have != *CONFIG_BLK_RQ_ALLOC_TIME=y* ]] || offset=$((offset + 8))
	[[ $have != *CONFIG_BLK_WBT=y* ]] || offset=$((offset + 2))
	echo $offset
}

# Every bio that is submitted and that is given to a driver, of which device, and what its
# first bio_vec is; every request that a driver starts; every area whose tails get struct
# pages. This is what directio.py reads, and its action "probe" tells whether it is true.
stacks_trace()
{
	local fields started

	started="dev=+52(+8(+56(%di))):u32 size=+44(%di):u32"
	started+=" segments=+$(request_segments_offset)(%di):u16"
	fields="dev=+52(+8(%di)):u32 size=+48(%di):u32 done=+56(%di):u32"
	fields+=" vectors=+$(bio_vcnt_offset)(%di):u16"
	fields+=" length=+8(+32(%di)):u32 offset=+12(+32(%di)):u32"
	printf '%s\n' "p:stack/submitted submit_bio $fields" \
		"p:stack/queued submit_bio_noacct_nocheck $fields" \
		"p:stack/started blk_mq_start_request $started" >$tracing/kprobe_events &&
		put 1 $tracing/events/stack/enable &&
		{ ! dm_on || put 1 $tracing/events/dynmemmap/dynmemmap_populate_tails/enable; }
}

stacks_trace_end()
{
	! dm_on || put 0 $tracing/events/dynmemmap/dynmemmap_populate_tails/enable
	put 0 $tracing/events/stack/enable
	: >$tracing/kprobe_events
}

# All that those who are gone had pinned, and mapped.
no_huge_pages_left()
{
	no_pins_left && (($(meminfo AnonHugePages) + $(meminfo ShmemHugePages) == 0 &&
		$(meminfo HugePages_Free) == $(meminfo HugePages_Total)))
}

# Persistent memory of memmap= needs no namespace.
dax_up()
{
	make_dax_fs ext4 /dev/pmem0 && mkdir -p $dax && mount -o dax /dev/pmem0 $dax
}

# Huge pages of every kind are to be had, nothing else is in use.
stacks_begin()
{
	mountpoint -q $config || mount -t configfs config $config
	put advise /sys/kernel/mm/transparent_hugepage/shmem_enabled
	free_packets_at_once
	remember_memmap
	put 16 /proc/sys/vm/nr_hugepages
	! dm_on || stacks_idle=$(device_areas_idle)
	expect_success "there is a file system with -o dax" dax_up
	! dm_on || AREAS_HUGE=$(areas_in_huge_pages)
	export AREAS_HUGE
	stacks_split=$(vmstat thp_split_page)
	expect_success "areas that are split are noted" note_splits
}

# KiB of memmap that may be left, if not as much as elsewhere.
left_kib=

stacks_end()
{
	expect "no folio was split" "$(vmstat thp_split_page)" -eq "$stacks_split"
	expect_no_splits
	expect_success "all pins are gone, and all huge pages" eventually 10 no_huge_pages_left
	expect_success "the file system is unmounted" umount $dax
	! dm_on || expect_success "the struct pages of persistent memory are gone" \
		eventually 30 device_areas_idle_are "$stacks_idle"
	put 0 /proc/sys/vm/nr_hugepages
	put 3 /proc/sys/vm/drop_caches
	expect_memmap_back 15 "$left_kib"
	expect_consistent
}

# What the block layer makes of an area is for the others to see, where it is not one
# bio_vec by design.
try_one_bio()	# STACK KIND FAR...
{
	local name="$1, $2: an area is one bio_vec and one segment, two areas are one bio" said

	dm_on || name="$1, $2: there and back"
	# Those of files that are gone are not taken for those of the buffers.
	[[ $2 != "$dax" ]] || ! dm_on || eventually 30 device_areas_idle_are "$stacks_idle" ||
		note "there are struct pages of files that are gone"
	if said=$(directio "$("$1_top")" "$2" one_bio "${@:3}" 2>&1); then
		ok "$name"
	else
		not_ok "$name"
	fi
	[[ -z $said ]] || note "$said"
}

# How much is added to packets as it is, each time.
trace_splices()
{
	# shellcheck disable=SC2016 # for the kernel to expand
	put 'r:stack/spliced skb_splice_from_iter size=$retval:s64' $tracing/kprobe_events &&
		put 1 $tracing/events/stack/spliced/enable
}

trace_splices_ends()
{
	put 0 $tracing/events/stack/spliced/enable
	: >$tracing/kprobe_events
}

# What is written goes over the network as it is, all of it: a packet that may have four
# fragments has more than four pages.
sends_large_fragments()	# STACK KIND FAR...
{
	local limit=4 before largest spliced=0 size status=0

	: >$tracing/trace
	read -r before </proc/sys/net/core/max_skb_frags
	# However slow the host is, packets are as large as they may be.
	put 31 /proc/sys/net/ipv4/tcp_tso_rtt_log && put $limit /proc/sys/net/core/max_skb_frags &&
		directio "$("$1_top")" "$2" written "${@:3}" || status=1
	put "$before" /proc/sys/net/core/max_skb_frags
	largest=$(grep -oP ' net_dev_start_xmit: .* data_len=\K[0-9]+' $tracing/trace |
		sort -n | tail -n 1)
	while read -r size; do
		spliced=$((spliced + size))
	done < <(grep -oP ' spliced: .* size=\K[0-9]+' $tracing/trace)
	echo "$spliced bytes are not copied, at most $largest bytes are in one packet"
	((status == 0 && largest > limit * 4096 && spliced >= 2 << 20))
}

probe()	# STACK
{
	directio "$("$1_top")" small probe >/tmp/limits
}

try_stack()	# STACK
{
	local stack=$1 far kind action

	expect_success "$stack: it is set up" "${stack}_up"
	read -ra far <<<"$("${stack}_far")"
	expect_success "bios are traced" stacks_trace
	expect_success "$stack: bios are told as they are" probe "$stack"
	note "$stack: $(</tmp/limits)"
	for kind in thp shm hugetlb $dax; do
		try_one_bio "$stack" "$kind" "${far[@]}"
	done
	stacks_trace_end
	! dm_on || [[ $stack != nvme && $stack != iscsi ]] || {
		expect_success "what is sent is traced" trace_splices
		for kind in thp shm hugetlb $dax; do
			expect_success "$stack, $kind: it is sent in fragments larger than a page" \
				sends_large_fragments "$stack" "$kind" "${far[@]}"
		done
		trace_splices_ends
	}
	for kind in thp shm hugetlb $dax; do
		for action in odd,pieces refused,vanish; do
			expect_success "$stack, $kind: $action" \
				directio "$("${stack}_top")" "$kind" $action "${far[@]}"
		done
	done
	# A stock kernel forgets some of the pins.
	! dm_on || [[ $stack != nvme ]] ||
		expect_success "$stack: the end of a bio is trimmed" directio "$(nvme_top)" thp trimmed
	[[ $stack != linear ]] || for kind in thp shm hugetlb $dax; do
		expect_success "$stack, $kind: the memory goes when it is pinned" \
			directio "$("${stack}_top")" "$kind" held "${far[@]}"
	done
	expect_success "$stack: it goes" "${stack}_down"
}
