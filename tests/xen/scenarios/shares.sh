# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="memory for data is short: a guest with large requests gets its share of it, whatever another does"
GUEST_FIO=1

# The first is slow, so that those who use it always have requests waiting for memory.
host_setup() {
	drive disk0 64M raw throttling.iops-total=50
	drive disk1 64M
}

# Hundreds of requests of 11 pages: each page that is given back has a taker.
small_ones() {
	wait_for 30 has_disk xvda
	fio --name=small --filename=/dev/xvda --direct=1 --ioengine=libaio --iodepth=256 \
		--rw=randread --bs=44k --size=64m --time_based --runtime=600
}

# Needs more than half of all pages at once.
large_ones() {
	wait_for 30 has_disk xvda
	fio --name=large --filename=/dev/xvda --direct=1 --ioengine=libaio --iodepth=2 \
		--rw=write --bs=1m --size=16m --verify=crc32c --verify_fatal=1 --do_verify=1
}

sectors_read() {
	awk '$3 == "xvda" { print $6 }' /proc/diskstats
}

moved() {
	[ "$(guest_run g1 sectors_read)" -gt "$1" ]
}

dom0() {
	local before
	check "xenblkd starts" start_xenblkd --buffer-mib=2 --transfer=copy
	EXTRA="xen_blkfront.max_ring_page_order=4 xen_blkfront.max_indirect_segments=0 xen_blkfront.max_queues=1" \
		MEMORY=384 check "a guest with small requests" guest_create g1 pv "$(disk xvda "file:$(nvme_of disk0)")"
	EXTRA="xen_blkfront.max_indirect_segments=256 xen_blkfront.max_queues=1" \
		MEMORY=384 check "a guest with large ones" guest_create g2 pv "$(disk xvda "file:$(nvme_of disk1)")"
	check "they boot" guest_wait g1
	check "both" guest_wait g2
	guest_start g1 small_ones
	check "the first is busy" wait_for 60 moved 5000
	before=$(guest_run g1 sectors_read)
	check "the second writes and reads 16 MiB" guest_run g2 large_ones
	check "the first goes on" wait_for 60 moved $((before + 1000))
	guest_destroy g2
	check "1 MiB was one request" daemon_says 'disconnected after .* 0 errors, 0 refused; [1-9][0-9] were indirect'
}
