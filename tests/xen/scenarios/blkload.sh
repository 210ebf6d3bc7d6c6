# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154,SC2086
TITLE="dom0 is a frontend to itself: blkload finds what it wrote, reconnects, and dies without a word"
TIMEOUT=900

host_setup() {
	drive disk0 128M
}

# A machine whose emulator waits for a processor stands still for a while.
patience="--quiet --timeout $((60 * scale))"

# load OPTION... - on the drive, made a disk for it; what came of it is in a file
load() {
	blkload --create "file:$(nvme_of disk0)" $patience "$@" >/tmp/load.out 2>&1 ||
		{ cat /tmp/load.out; return 1; }
}

# Random sizes at random places, in random parts of pages.
ragged="--size 512-44k --align 512 --layout random --rw randrw --depth 32 --verify"

# found TARGET OPTION... - sectors are wrong, and blkload says so and fails
found() {
	local status
	blkload --create "$@" >/tmp/load.out 2>&1
	status=$?
	[ $status -eq 1 ] && grep -qE 'verified [0-9]+ sectors: [1-9][0-9]* wrong' /tmp/load.out ||
		{ echo "status $status"; cat /tmp/load.out; return 1; }
}

# The last sector of the first MiB, with what the one before it holds.
misplace() {
	dd if="$(nvme_of disk0)" of=/tmp/sector bs=512 skip=2046 count=1 2>/dev/null &&
		dd if=/tmp/sector of="$(nvme_of disk0)" bs=512 seek=2047 count=1 conv=notrunc,fsync 2>/dev/null
}

killed() {
	blkload --create "file:$(nvme_of disk0)" $patience "$@" >/tmp/load.out 2>&1
	is $? 137
}

# dies DEVID - a disk of that number, whose frontend dies with requests in flight
dies() {
	killed --devid "$1" $ragged --shadow /tmp/shadow --die-after 300
}

frontend_of() {
	echo "/local/domain/0/blkload/vbd/$1"
}

# The nodes of a dead frontend's disk, as a toolstack removes them.
remove_nodes() {
	xenstore-rm "/local/domain/0/backend/vbd/0/$1" && xenstore-rm "$(frontend_of "$1")" &&
		xenstore-rm /local/domain/0/blkload
}

times_gone() {
	grep -c '0/xvda: gone' $daemon_log
}

gone_more_than() {
	[ "$(times_gone)" -gt "$1" ]
}

dom0() {
	local turn gone
	check "xenblkd starts" start_xenblkd
	check "random reads at depth 32" load --time 1
	check "and as JSON" load --time 1 --depth 1 --json
	check "which says that all is well" says /tmp/load.out '"good": true'
	check "requests of all sizes in parts of pages: what is written is read, and nothing beside it" \
		load $ragged --count 4000 --flush-every 50
	check "so it is for a frontend with the 32-bit ABI" load $ragged --abi x86_32 --count 2000
	check "that it was one the daemon knows" daemon_says 'connected: x86_32-abi'
	check "one that does not name its ABI, and connects as firmware does" \
		load $ragged --abi unnamed --firmware --count 2000

	check "indirect requests, of up to 1 MiB" load $ragged --size 512-1m --segments 256 --count 300
	check "a ring of 16 pages, full" load $ragged --ring-order 4 --depth 512 --size 512-16k --count 3000
	check "that is what it was" says /tmp/load.out '1 queue of 512 entries'
	check "barriers and discards" load $ragged --barrier-every 7 --discard-every 11 --flush-every 20 --count 2000

	check "the daemon keeps to the protocol" load --conform
	check "it connects 21 times" load $ragged --reconnect 20 --count 200 --flush-every 50
	check "and 21 times without closing, with requests in flight" \
		load $ragged --reconnect 20 --abandon --count 200
	check "it used all its connections" says /tmp/load.out 'on 21 connections'

	for turn in 1 2 3; do
		check "turn $turn: one is killed with requests in flight" dies 51712
		check "turn $turn: another takes its disk up, and finds what it wrote" \
			blkload --device "$(frontend_of 51712)" $patience $ragged --shadow /tmp/shadow --count 500
		gone=$(times_gone)
		check "turn $turn: the nodes are removed" remove_nodes 51712
		check "turn $turn: and the daemon is done with it" wait_for 10 gone_more_than "$gone"
	done
	check "one is killed" dies 51728
	check "and its disk removed" remove_nodes 51728

	# Would it be seen?
	check "1 MiB is written" load --span 1m --size 32k --rw write --fill --count 1 --verify --shadow /tmp/small
	check "a sector is put where another belongs" misplace
	check "blkload finds it" found "file:$(nvme_of disk0)" --span 1m --size 32k --rw read --count 1 --verify --shadow /tmp/small --quiet
	check "and names it" says /tmp/load.out 'sector 2047 is misplaced: it says sector 2046'
	check "a disk that keeps nothing is found out" found null:64M --rw randrw --count 1000 --verify --quiet
	check_not "a disk that cannot be opened is no disk" load --create file:/nowhere --count 1
	check "and it is said why" says /tmp/load.out 'nowhere'
}
