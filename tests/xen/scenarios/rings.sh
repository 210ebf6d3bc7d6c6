# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="ring sizes and indirect requests: fio verifies file and NVMe disks, by copy and direct"
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

# Requests of up to 1 MiB reach the disk whole only if all their segments fit into one.
largest_request() {
	cat /sys/block/xvda/queue/max_segments
}

# Short: half a minute of emulation is much. Requests that overlap in flight have no one content.
verify() {
	wait_for 30 has_disk "$1"
	fio --name=verify --filename="/dev/$1" --direct=1 --ioengine=libaio --iodepth=16 \
		--rw=randrw --bssplit=512/10:4k/20:44k/10:128k/20:1m/40 --blockalign=512 --size=32m \
		--io_size=24m --serialize_overlap=1 --randseed="$2" --fsync=20 \
		--verify=crc32c --verify_fatal=1 --do_verify=1 --group_reporting
}

# cell ORDER INDIRECT - a guest with these on three disks
cell() {
	local order=$1 indirect=$2 bdf1 bdf2 d
	local what="order $1, $2 segments" slots=$((32 << order))
	EXTRA="xen_blkfront.max_ring_page_order=$order xen_blkfront.max_indirect_segments=$indirect" MEMORY=384 \
		check "$what: a guest" guest_create g1 pv "$(disk xvda "file:$file")" \
		"$(disk xvdb "nvme:$copy/1?transfer=copy")" "$(disk xvdc "nvme:$direct/1?transfer=direct")"
	check "$what: boots" guest_wait g1
	check "$what: the driver was told the order" guest_run g1 driver_has max_ring_page_order "$order"
	check "$what: and the segments" is "$(guest_run g1 largest_request)" "$indirect"
	check "$what: three rings of $slots slots" is "$(grep -c "connected: .* $slots slots" $daemon_log)" 3
	for d in xvda xvdb xvdc; do
		check "$what: $d: what was written is what is read" guest_run g1 verify $d 1
	done
	check "$what: the guest's kernel is content" guest_run g1 kernel_is_content
	guest_destroy g1
	check "$what: no request failed, many were indirect" \
		is "$(grep -cE 'disconnected after .* 0 errors, 0 refused; [0-9]{2,} were indirect' $daemon_log)" 3
	echo "--- started: again" >$daemon_log
	echo " ready: " >>$daemon_log
}

dom0() {
	file=$(nvme_of disk0)
	copy=$(nvme_bdf disk1)
	direct=$(nvme_bdf disk2)
	GUEST_TIMEOUT=300
	check "xenblkd starts" start_xenblkd
	for order in 0 1 2 3 4; do
		cell $order $((order % 2 ? 32 : 256))
	done
}
