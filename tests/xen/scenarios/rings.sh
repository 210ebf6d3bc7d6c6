# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
# All others, where the backend limits what the guest would take: matrix.
TITLE="what a guest is told of queues, ring sizes and segments: fio verifies file and NVMe disks, by copy and direct"
GUEST_FIO=1
TIMEOUT=900

host_setup() {
	drive disk0 32M
	drive disk1 32M
	drive disk2 32M
}

# What the guest's driver was told at boot.
driver_has() {
	[ "$(cat "/sys/module/xen_blkfront/parameters/$1")" = "$2" ]
}

# What it made of that and of what the backend offers.
queues() {
	local queues=(/sys/block/xvda/mq/*)
	echo ${#queues[@]}
}

# Requests of 1 MiB reach the backend whole only if 256 segments fit into one.
segments() {
	cat /sys/block/xvda/queue/max_segments
}

# A job on each CPU, and so on each queue. Requests that overlap in flight have no one right content:
# jobs have parts of their own, and serialize_overlap keeps those of a job apart.
verify() {
	wait_for 30 has_disk "$1"
	fio --name="$1" --filename="/dev/$1" --direct=1 --ioengine=libaio --iodepth=8 \
		--rw=randrw --bssplit=512/10:4k/20:44k/10:128k/20:1m/40 --blockalign=512 \
		--numjobs=4 --offset_increment=8m --size=8m --io_size=3m \
		--cpus_allowed=0-3 --cpus_allowed_policy=split \
		--serialize_overlap=1 --randseed=1 --fsync=5 \
		--verify=crc32c --verify_fatal=1 --do_verify=1 --group_reporting
}

verify_all() {
	local pids=() d
	for d in xvda xvdb xvdc; do
		verify $d &
		pids+=($!)
	done
	for d in "${pids[@]}"; do
		wait "$d"
	done
}

# cell QUEUES ORDER SEGMENTS - a guest with these on three kinds of disks
cell() {
	local queues=$1 order=$2 segments=$3 q
	local what="$1 queues of order $2, $3 segments" rings
	rings="$queues queues? of $((32 << order)) slots"
	local EXTRA="xen_blkfront.max_queues=$queues xen_blkfront.max_ring_page_order=$order"
	EXTRA="$EXTRA xen_blkfront.max_indirect_segments=$segments"
	MEMORY=640 VCPUS=4 \
		check "$what: a guest" guest_create g1 pv "$(disk xvda "file:$file")" \
		"$(disk xvdb "nvme:$copy/1?transfer=copy")" "$(disk xvdc "nvme:$direct/1?transfer=direct")"
	check "$what: boots" guest_wait g1
	check "$what: its driver was told the order" guest_run g1 driver_has max_ring_page_order "$order"
	check "$what: has the queues" is "$(guest_run g1 queues)" "$queues"
	check "$what: and the segments" is "$(guest_run g1 segments)" "$segments"
	check "$what: so says the log of three disks" is "$(grep -cE "connected: .* $rings" $daemon_log)" 3
	check "$what: what was written is what is read" guest_run g1 verify_all
	check "$what: the guest's kernel is content" guest_run g1 kernel_is_content
	guest_destroy g1
	check "$what: no request failed, many were indirect" \
		is "$(grep -cE 'disconnected after .* 0 errors, 0 refused; [0-9]{2,} were indirect' $daemon_log)" 3
	for ((q = 0; q < queues && queues > 1; q++)); do
		check "$what: queue $q was in use" \
			is "$(grep -cE "queue $q had [1-9][0-9]* reads, [1-9][0-9]* writes" $daemon_log)" 3
	done
	[ "$failures" -eq 0 ] || say_file $daemon_log 60
	echo "--- started: again" >$daemon_log
	echo " ready: " >>$daemon_log
}

dom0() {
	file=$(nvme_of disk0)
	copy=$(nvme_bdf disk1)
	direct=$(nvme_bdf disk2)
	GUEST_TIMEOUT=300
	check "xenblkd starts" start_xenblkd --max-queues=4 --reactors=2
	cell 1 2 32
	cell 4 3 256
}
