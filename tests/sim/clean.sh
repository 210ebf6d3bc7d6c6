#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# xenblkd --clean: what a killed daemon has left is let go of, without another one that serves; what a guest
# that lives has in flight stays for the next.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

bdf=0000:00:05.0
truncate -s 16M "$XENSIM_DIR/drive" "$XENSIM_DIR/file"

clean() {
	sim 0 "$BUILD/src/xenblkd" --state-dir="$XENSIM_DIR/run" --clean
}

state_files() {
	(cd "$XENSIM_DIR/run" && ls | grep -v '^lock$' | xargs)
}

check "the store starts" start_store
check "a controller is there" start_nvme $bdf "$XENSIM_DIR/drive"
check "the daemon starts" start_daemon --transfer=direct --max-queues=2
check "while it runs, nothing is cleaned" not clean
disk_create 1 51712 nvme:$bdf/1
disk_create 2 51712 "file:$XENSIM_DIR/file"
guest_start 1 51712 --time=60 --rw=randrw --size=4k-44k --depth=8
gone_pid=$guest_pid
guest_start 2 51712 --time=60 --rw=randrw --verify --fill --queues=2 --size=4k-44k --depth=8
lives_pid=$guest_pid
guest_pid="$gone_pid $lives_pid"
check "one guest is connected" wait_for 20 daemon_says '1/xvda: connected'
check "another too" wait_for 20 daemon_says '2/xvda: connected'
check "they are busy" wait_for 20 moves nvme_commands
check "the daemon is killed" kill_daemon
kill -KILL "$gone_pid"
wait "$gone_pid" 2>/dev/null
xensim destroy 1
sim 0 xenstore-rm /local/domain/1 /local/domain/0/backend/vbd/1
check "what it left is cleaned up" clean
check "nothing is mapped any more" counter_is mapped_pages 0
check "nothing was reached that is not for devices" counter_is device_strays 0
check "what is left is of the guest that lives" is "$(state_files)" \
	"vbd-2-51712-queue-0.left vbd-2-51712-queue-1.left"
check "it can be cleaned again" clean
check "with nothing lost" is "$(state_files)" "vbd-2-51712-queue-0.left vbd-2-51712-queue-1.left"
check "a daemon starts" start_daemon --transfer=copy --max-queues=2
check "and goes on where the killed one was" wait_for 20 daemon_says '2/xvda: connected'
sleep 0.3
kill -TERM "$lives_pid"
check "its guest has read what it wrote" wait "$lives_pid"
guest_pid=''
disk_remove 2 51712
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
check "no state either" is "$(state_files)" ""
finish
