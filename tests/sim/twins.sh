#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# One machine in two domains for a time, as when it migrates to the host that it is on: its disk is
# open once, and serves the new domain when what the old one had in flight has ended.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

truncate -s 8M "$XENSIM_DIR/disk"
target=file:$XENSIM_DIR/disk

back() {
	echo "/local/domain/0/backend/vbd/$1/51712"
}

# twin DOMID MACHINE - a domain with the disk
twin() {
	xensim create "$1" &&
		sim 0 xenstore-write "/local/domain/$1/vm" "/vm/$2" &&
		disk_create "$1" 51712 "$target"
}

removed() {
	sim 0 xenstore-rm "$(back "$1")" "/local/domain/$1/device/vbd/51712"
	wait_for 20 daemon_says "$1/xvda: gone"
}

check "the store starts" start_store
check "the daemon starts" start_daemon --max-queues=2
check "a machine has a disk" twin 1 one
guest_start 1 51712 --rw=randrw --verify --fill --queues=2 --size=512-44k --span=4m --time=60
check "it is in use" wait_for 20 state_is "$(back 1)" 4
check "another machine gets it" twin 2 two
check "in vain" wait_for 20 daemon_says '2/xvda: .* is locked'
check "and its nodes go" removed 2

check "the machine is suspended" wait_for 20 guest_pauses
check "and made in another domain" twin 3 one
check "which has the disk, too" wait_for 20 daemon_says '3/xvda: opened .*, which its machine has in another domain'
check "while the old one is connected" state_is "$(back 1)" 4
check "it was in vain: the new one goes" removed 3
kill -CONT "$guest_pid"
check "and the old one goes on" wait_for 20 moves copies

check "it is suspended again" wait_for 20 guest_pauses
check "and made again" twin 4 one
check "the new one goes on with the disk" guest 4 51712 --rw=randrw --verify --fill --queues=2 --size=512-44k --count=300
check "which the old one does not have any more" wait_for 20 state_is "$(back 1)" 6
check "the old one goes" removed 1
guest_end
check "the new one is served" guest 4 51712 --rw=randrw --verify --size=512-44k --count=100
check "until its disk goes" disk_remove 4 51712
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
