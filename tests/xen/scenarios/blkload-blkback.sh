# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154,SC2086
TITLE="blkload on the kernel's backend: a frontend that is right with another one too"
TIMEOUT=900

host_setup() {
	drive disk0 128M
}

# load OPTION... - on the drive, made a disk for xen-blkback
load() {
	local device
	device=$(nvme_of disk0)
	blkload --create "$device" --node "physical-device=$(stat -c '%t:%T' "$device")" --quiet --timeout $((60 * scale)) "$@" >/tmp/load.out 2>&1 ||
		{ cat /tmp/load.out; return 1; }
}

ragged="--align 512 --layout random --rw randrw --depth 32 --verify"

dom0() {
	modprobe xen-blkback max_queues=2
	check "one page, one queue, 11 segments" load $ragged --size 512-44k --count 3000 --flush-every 50
	check "indirect requests of 256 segments" load $ragged --size 512-1m --segments 256 --count 500
	check "of few segments, but indirect" load $ragged --size 512-44k --segments 256 --indirect --count 2000
	check "a ring of 16 pages, full" load $ragged --size 512-16k --ring-order 4 --depth 512 --count 5000
	check "that is what it was" says /tmp/load.out '1 queue of 512 entries'
	check "two queues of 4 pages" load $ragged --size 512-44k --ring-order 2 --queues 2 --depth 100 --count 3000
	check "those are what it was" says /tmp/load.out '2 queues of 128 entries'
	check "persistent grants, indirect" load $ragged --size 512-256k --segments 64 --persistent --count 1000
	check "the 32-bit ABI" load $ragged --size 512-256k --segments 64 --abi x86_32 --count 1000
	check "barriers and discards" load $ragged --size 512-44k --count 2000 --barrier-every 7 --discard-every 11 --flush-every 20
	check "it keeps to the protocol" load --conform
	# It leaves there what it had against us.
	xenstore-rm /local/domain/0/error
	check "it connects 6 times" load $ragged --size 512-44k --reconnect 5 --count 100
	check "the module is let go of" rmmod xen_blkback
}
