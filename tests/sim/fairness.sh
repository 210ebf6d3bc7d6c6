#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest whose device hangs holds what it has in flight, and asks for more: others find room all the same.
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
finish
