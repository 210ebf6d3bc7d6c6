#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2086
# All that a frontend may ask for, verified: big rings, several queues, indirect requests, barriers,
# discards; and frontends that come and go in every way.
. "$(dirname "$0")/lib.sh"

truncate -s 64M "$XENSIM_DIR/disk"

# load OPTION... - random sizes in random parts of pages, verified
load() {
	guest 1 51712 --rw=randrw --align=512 --layout=random --verify "$@"
}

# killed OPTION... - the load is, with requests in flight
killed() {
	load "$@"
	is $? 137
}

# found OPTION... - sectors are wrong, and that is said
found() {
	guest 1 51712 --verify "$@"
	is $? 1
}

# Sector 2047 gets what sector 2046 has.
misplace() {
	dd if="$XENSIM_DIR/disk" of="$XENSIM_DIR/disk" bs=512 skip=2046 seek=2047 count=1 conv=notrunc 2>/dev/null
}

# Under sanitizers all is slower.
many=1000
[ -z "$asan" ] || many=200

check "the store starts" start_store
check "the daemon starts" start_daemon
check "a disk is made" disk_create 1 51712 "file:$XENSIM_DIR/disk"
check "a ring of 16 pages" load --size=512-44k --ring-order=4 --depth=512 --count=$many
check "indirect requests of up to 1 MiB" load --size=512-1m --segments=256 --depth=32 --count=$((many / 4))
check "small ones, all indirect" load --size=512-44k --segments=256 --indirect --count=$many
check "for a 32-bit guest" load --size=512-256k --segments=64 --abi=x86_32 --count=$((many / 4))
check "two queues of two pages" load --size=512-44k --queues=2 --ring-order=1 --depth=64 --count=$many
check "barriers, discards and flushes" load --size=512-44k --barrier-every=7 --discard-every=11 \
	--flush-every=13 --count=$many
check "the same, as a 32-bit guest on two queues" load --size=512-44k --barrier-every=7 \
	--discard-every=11 --flush-every=13 --abi=x86_32 --queues=2 --count=$many
check "it closes and connects 20 times" load --size=512-44k --count=50 --reconnect=20
check "it connects 20 times without closing, with requests in flight" \
	load --size=512-44k --count=100 --reconnect=20 --abandon
check "likewise with two queues and indirect requests" \
	load --size=512-256k --segments=64 --queues=2 --count=100 --reconnect=5 --abandon
check "one connects as firmware does" load --size=4k --firmware --count=50

for turn in 1 2 3; do
	check "turn $turn: a frontend is killed with requests in flight" killed --size=512-44k \
		--shadow="$XENSIM_DIR/shadow" --die-after=200
	check "turn $turn: the next finds what it wrote" load --size=512-44k \
		--shadow="$XENSIM_DIR/shadow" --count=100
done

# Would it be seen?
check "1 MiB is written" guest 1 51712 --verify --rw=write --fill --span=1m --size=32k --count=1 \
	--shadow="$XENSIM_DIR/small"
check "one of its sectors is put where another belongs" misplace
check "blkload finds it" found --rw=read --span=1m --size=32k --count=1 --shadow="$XENSIM_DIR/small"
check "the disk goes" disk_remove 1 51712
check "one that keeps nothing is made" disk_create 1 51712 null:64M
check "and found out" found --rw=randrw --count=500
check "it goes too" disk_remove 1 51712
check "one that cannot be opened is made" disk_create 1 51712 file:/nowhere
check "a frontend does not get it" not guest 1 51712 --timeout=1 --count=1
sim 0 xenstore-rm /local/domain/0/backend/vbd/1/51712 /local/domain/1/device/vbd/51712

check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
