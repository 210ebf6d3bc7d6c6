#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest whose device hangs holds what it has in flight, and asks for more: others find room all the same. And one that
# asks for hundreds of requests at a time has so many of a turn, and no more, once there are others.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

truncate -s 64M "$XENSIM_DIR/file" "$XENSIM_DIR/drive1" "$XENSIM_DIR/drive2"

# All that a guest can have in flight, on a drive that does not answer.
hang() {
	guest_start "$1" 51712 --time=60 --queues=3 --segments=256 "${@:2}"
	hung+=" $guest_pid"
}

# No more is copied, or mapped: it waits.
stands() {
	local before
	before=$(xensim show copies)-$(xensim show maps)
	sleep 0.1
	is "$(xensim show copies)-$(xensim show maps)" "$before"
}

hung=''
check "the store starts" start_store
check "a controller is there" start_nvme 0000:00:05.0 "$XENSIM_DIR/drive1"
check "and another" start_nvme 0000:00:06.0 "$XENSIM_DIR/drive2"
for transfer in copy direct; do
	check "$transfer: the daemon starts, with a single reactor" start_daemon --reactors=1 --max-queues=4
	disk_create 1 51712 "nvme:0000:00:05.0/1?transfer=$transfer"
	disk_create 2 51712 "nvme:0000:00:06.0/1?transfer=$transfer"
	disk_create 3 51712 "file:$XENSIM_DIR/file"
	hung=''
	hang 1 --rw=write --size=1m --depth=30
	hang 2 --rw=randrw --size=4k-16k --indirect --ring-order=4 --depth=512
	check "$transfer: one has a drive" wait_for 10 daemon_says '1/xvda: connected'
	check "$transfer: another has one" wait_for 10 daemon_says '2/xvda: connected'
	xensim set nvme_hold=1
	check "$transfer: both hang, with all in flight that they may have" wait_for 10 stands
	check "$transfer: a third reads and writes on" guest 3 51712 --rw=randrw --verify --count=500 --size=4k-44k
	check "$transfer: with requests of 1 MiB too" guest 3 51712 --rw=randrw --verify --count=20 \
		--size=1m --segments=256 --depth=4
	check "$transfer: they still hang" stands
	xensim set nvme_hold=0
	check "$transfer: the drives go on" wait_for 10 moves nvme_commands
	guest_pid=$hung
	kill -TERM $hung
	for pid in $hung; do
		check "$transfer: and so does who had hung" wait "$pid"
	done
	guest_pid=''
	for domid in 1 2 3; do
		disk_remove $domid 51712
	done
	check "$transfer: the daemon ends" stop_daemon
	check "$transfer: nothing is left" nothing_is_left
done

# operations - in a hypercall, of a guest that writes 256 blocks at a time
operations() {
	local ops calls
	ops=$(xensim show copies) calls=$(xensim show hypercalls)
	guest 1 51712 --rw=randwrite --count=20000 --ring-order=4 --depth=512 --batch=256 >"$XENSIM_DIR/load" ||
		{ cat "$XENSIM_DIR/load"; return 1; }
	echo $((($(xensim show copies) - ops) / ($(xensim show hypercalls) - calls)))
}

many() {
	local ops
	ops=$(operations) && echo "$ops operations in a hypercall" && [ "$ops" -gt 64 ]
}

few() {
	local ops
	ops=$(operations) && echo "$ops operations in a hypercall" && [ "$ops" -le 64 ]
}

check "the daemon starts" start_daemon --reactors=1
disk_create 1 51712 'null:64M?transfer=copy'
disk_create 2 51712 'null:64M?transfer=copy'
check "a guest that is alone has whole turns" many
guest_start 2 51712 --time=60 --rate=10
check "another one is there" wait_for 10 daemon_says '2/xvda: connected'
check "it has no more than its share then" few
kill -TERM "$guest_pid"
check "and the other one had its own" wait "$guest_pid"
guest_pid=''
check "when that has gone, it has whole turns again" many
disk_remove 1 51712
disk_remove 2 51712
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
