# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="what a frontend may say about rings and queues: both layouts, and errors that leave nothing behind"

host_setup() {
	drive disk0 64M
}

# A guest that never runs: dom0 writes its nodes. The first two entries of its grant table are its
# console and xenstore pages, which may stand for rings; none of its ports can be bound.
front() {
	echo "/local/domain/$id/device/vbd/51712"
}

back_says() {
	[ "$(xenstore-read "/local/domain/0/backend/vbd/$id/51712/$1" 2>/dev/null)" = "$2" ]
}

error_says() {
	xenstore-read "/local/domain/0/backend/vbd/$id/51712/xenblkd-error" | grep -F -- "$1"
}

# said ERROR NODE=VALUE... - a frontend that begins anew and says this
said() {
	local error=$1 node
	shift
	for node in protocol ring-ref ring-ref0 ring-ref1 ring-ref2 ring-ref3 ring-page-order num-ring-pages \
		event-channel multi-queue-num-queues queue-0 queue-1; do
		xenstore-rm "$(front)/$node" 2>/dev/null
	done
	xenstore-write "$(front)/state" 1
	wait_for 20 back_says state 2 || return
	for node in "$@"; do
		xenstore-write "$(front)/${node%%=*}" "${node#*=}"
	done
	xenstore-write "$(front)/state" 3
	wait_for 20 error_says "$error" && wait_for 20 back_says state 5 || return
	# Its record is there only while a queue is.
	[ -z "$(ls /run/xenblkd/vbd-* 2>/dev/null)" ]
}

queues() {
	local queues=(/sys/block/xvda/mq/*)
	echo ${#queues[@]}
}

one_port_fails() {
	local node
	node=/local/domain/$(guest_domid g2)/device/vbd/51712/queue-3/event-channel
	xenstore-write "$node" 999
}

dom0() {
	local port="cannot serve event channel 99"
	check "xenblkd starts" start_xenblkd --max-queues=4
	guest_config g1 pv "$(disk xvda null:1G)"
	check "xl creates a guest that does not run" xl create -p /etc/xen/g1.cfg
	id=$(guest_domid g1)
	check "the backend offers 4 queues" back_says multi-queue-max-queues 4
	check "and 16 pages" back_says max-ring-page-order 4
	check "in both schemes" back_says max-ring-pages 16
	check "and 256 segments" back_says feature-max-indirect-segments 256

	check "a strange protocol" said 'protocol is "x"' protocol=x ring-ref=1 event-channel=99
	check "no ring" said "has no ring-ref that is a number" event-channel=99
	check "no number" said "has no ring-ref that is a number" ring-ref=1x event-channel=99
	check "no port" said "has no event-channel that is a number" ring-ref=1
	check "a grant that is none" said "cannot map ring 0, 1 pages from grant 9999" ring-ref=9999 event-channel=99
	check "too many pages" said "ring-page-order is no number from 0 to 4" ring-page-order=5 event-channel=99
	check "a strange number of them" said "ring-page-order is no number" ring-page-order=x event-channel=99
	check "not a power of two" said "num-ring-pages is 3" num-ring-pages=3 event-channel=99
	check "two numbers that differ" said "num-ring-pages is 4" ring-page-order=1 num-ring-pages=4 event-channel=99
	check "a page is missing" said "no ring-refN for each page" ring-page-order=1 ring-ref0=1 event-channel=99
	check "ring-ref alone for two pages" said "no ring-refN for each page" ring-page-order=1 ring-ref=1 event-channel=99
	check "the second page cannot be mapped" said "cannot map ring 0, 2 pages" \
		ring-page-order=1 ring-ref0=1 ring-ref1=9999 event-channel=99
	for n in 0 5 x; do
		check "$n queues" said "multi-queue-num-queues is no number from 1 to 4" multi-queue-num-queues=$n
	done
	check "the second queue is missing" said "no queue-1/ring-ref that is a number" \
		multi-queue-num-queues=2 queue-0/ring-ref=1 queue-0/event-channel=99
	check "and its ring" said "cannot map ring 1, 1 pages from grant 9999" multi-queue-num-queues=2 \
		queue-0/ring-ref=1 queue-0/event-channel=99 queue-1/ring-ref=9999 queue-1/event-channel=99

	# These are good but for the port, which is looked at last.
	check "one page" said "$port" ring-ref=1 event-channel=99
	check "one page with a number" said "$port" ring-page-order=0 ring-ref0=1 event-channel=99
	check "two pages by order" said "$port" ring-page-order=1 ring-ref0=0 ring-ref1=1 event-channel=99
	check "two pages by number" said "$port" num-ring-pages=2 ring-ref0=0 ring-ref1=1 event-channel=99
	check "the same page four times" said "$port" \
		ring-page-order=2 ring-ref0=1 ring-ref1=1 ring-ref2=1 ring-ref3=1 event-channel=99
	check "one queue, said so" said "$port" multi-queue-num-queues=1 ring-ref=1 event-channel=99
	check "one queue, in a directory of its own" said "$port" \
		multi-queue-num-queues=1 queue-0/ring-ref=1 queue-0/event-channel=99
	check "two queues with the same ring" said "$port" multi-queue-num-queues=2 \
		queue-0/ring-ref=1 queue-0/event-channel=99 queue-1/ring-ref=1 queue-1/event-channel=99
	check "xl destroys it" guest_destroy g1

	EXTRA="xen_blkfront.max_queues=4" VCPUS=4 \
		check "a guest" guest_create g2 pv "$(disk xvda "file:$(nvme_of disk0)")"
	check "boots" guest_wait g2
	check "and has four queues" is "$(guest_run g2 queues)" 4
	wrote=$(guest_run g2 fill xvda)
	check "the daemon is stopped" stop_xenblkd
	check "and started again" start_xenblkd --max-queues=4
	check "the guest goes on" is "$(guest_run g2 read_back xvda)" "$wrote"
	check "the daemon is stopped" stop_xenblkd
	check "the fourth port is no more" one_port_fails
	check "and started again" start_xenblkd --max-queues=4
	check "it says so" wait_for 20 daemon_says "cannot serve event channel 999"
	check "and has let go of the three others" not ports_to_guests
	check "and of their records" is "$(ls /run/xenblkd/vbd-* 2>/dev/null)" ""
}
