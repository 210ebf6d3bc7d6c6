#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A daemon ends as it should, or is killed, and the next one serves the same guests: with other options, and
# knowing what must not be forgotten.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

bdf=0000:00:05.0
truncate -s 16M "$XENSIM_DIR/file" "$XENSIM_DIR/disk"

shows() {
	"$BUILD/tools/xenblkctl/xenblkctl" --socket="$XENSIM_DIR/run/rpc.sock" --json show "$1" >"$XENSIM_DIR/shown"
	cat "$XENSIM_DIR/shown"
	grep -q "$2" "$XENSIM_DIR/shown"
}

again() {
	start_daemon "$@" && wait_for 20 daemon_says "xvda: connected"
}

check "the store starts" start_store
check "a controller is there" start_nvme $bdf "$XENSIM_DIR/disk"

check "four queues may be had" start_daemon --max-queues=4
disk_create 1 51712 "file:$XENSIM_DIR/file"
guest_start 1 51712 --time=1000 --rw=randrw --fill --verify --span=8M --queues=4 --depth=8
check "a guest has them" wait_for 20 daemon_says 'xvda: connected: .* 4 queues of'
check "the daemon ends" stop_daemon
check "the next one gives one" again --max-queues=1
check "the guest keeps its four" daemon_says 'xvda: connected: .* 4 queues of'
check "the daemon is killed" kill_daemon
check "yet another one gives two" again --max-queues=2
check "the guest keeps its four once more" daemon_says 'xvda: connected: .* 4 queues of'
kill -TERM "$guest_pid"
check "it has read what it wrote" wait "$guest_pid"
guest_pid=''
disk_remove 1 51712
disk_create 1 51712 "file:$XENSIM_DIR/file"
check "who connects anew has what there is" guest 1 51712 --queues=4 --count=100
check "two" daemon_says 'xvda: connected: .* 2 queues of'
disk_remove 1 51712
check "the daemon ends" stop_daemon

check "a daemon starts" start_daemon
disk_create 2 51712 nvme:$bdf/1
guest_start 2 51712 --time=1000 --rw=randread --flush-every=1 --depth=4
check "a guest flushes" wait_for 20 moves nvme_commands
xensim set nvme_fail_permille=300
check "a flush fails" wait_for 20 daemon_says 'a flush failed'
xensim set nvme_fail_permille=0
check "the daemon ends with its guest connected" stop_daemon
check "the next one starts" again
check "and knows that a flush failed" shows 2/xvda '"flush_failed": *true'
check "it ends too" stop_daemon
check "the third starts" again
check "and knows it as well" shows 2/xvda '"flush_failed": *true'
check "it is killed" kill_daemon
xensim set fail_share_permille=1000
(sleep 2 && xensim set fail_share_permille=0) &
check "the fourth starts, where Linux has not yet looked what grants it has back" again
check "and waited for them" not daemon_says 'there is no memory for DMA'
check "it knows that a flush failed" shows 2/xvda '"flush_failed": *true'
guest_end
xensim destroy 2
sim 0 xenstore-rm /local/domain/2 /local/domain/0/backend/vbd/2
check "its disk goes" wait_for 10 daemon_says '2/xvda: gone'
disk_create 3 51712 nvme:$bdf/1
guest_start 3 51712 --time=1000 --rw=randread --depth=4
check "another one's is connected" wait_for 20 daemon_says '3/xvda: connected'
check "without that" shows 3/xvda '"flush_failed": *false'
guest_end
xensim destroy 3
sim 0 xenstore-rm /local/domain/3 /local/domain/0/backend/vbd/3
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
check "no state either" is "$(ls "$XENSIM_DIR/run")" "$([ -e "$XENSIM_DIR/run/lock" ] && echo lock)"
finish
