#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Disks that become larger and smaller under their guests, when the daemon is told to look.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

back=/local/domain/0/backend/vbd/1/51712
truncate -s 8M "$XENSIM_DIR/disk"

sectors_are() {
	is "$(sim 0 xenstore-read "$back/sectors")" "$1"
}

# resized SIZE SECTORS
resized() {
	truncate -s "$1" "$XENSIM_DIR/disk"
	kill -HUP "$daemon_pid"
	wait_for 20 sectors_are "$2"
}

check "the store starts" start_store
check "the daemon starts, with two reactors" start_daemon --reactors=2 --max-queues=2
check "a disk is made" disk_create 1 51712 "file:$XENSIM_DIR/disk"
check "the daemon takes it on" wait_for 20 state_is $back 2
check "before it is connected it grows" resized 12M 24576
guest_start 1 51712 --rw=randrw --verify --queues=2 --size=512-44k --span=2m --time=60
check "a guest is connected" wait_for 20 state_is $back 4
check "it grows" resized 16M 32768
check "a size that is not whole sectors is cut" resized $((20 * 1048576 + 511)) 40960
check "it becomes smaller" resized 8M 16384
check "the guest is connected as before" state_is $back 4
check "it is told again, and nothing has changed" kill -HUP "$daemon_pid"
check "the guest goes on" wait_for 20 moves copies
kill -TERM "$guest_pid"
check "and has read what it wrote" wait "$guest_pid"
guest_pid=''
check "the daemon says what became of it" daemon_says '1/xvda: has 8388608 bytes now, and had 20971520'
check "it did read" grep -E 'verified [1-9][0-9]* sectors: 0 wrong' "$XENSIM_DIR/guest-1"
truncate -s 32M "$XENSIM_DIR/disk"
check "it is told while nobody is connected" kill -HUP "$daemon_pid"
check "the next guest has all of what it has become" guest 1 51712 --rw=randrw --verify --fill --size=44k --count=100
check "which is written to its end" [ "$(tail -c 512 "$XENSIM_DIR/disk" | tr -d '\0' | wc -c)" -gt 100 ]
check "the disk goes" disk_remove 1 51712
check "it is told without a disk" kill -HUP "$daemon_pid"
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
