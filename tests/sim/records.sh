#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a killed daemon wrote down is of another version, cut short, or was scribbled over: the next one says so
# and damages nothing; other disks go on.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

truncate -s 16M "$XENSIM_DIR/file1" "$XENSIM_DIR/file2"
run=$XENSIM_DIR/run
first=/local/domain/0/backend/vbd/1/51712
victim=$run/vbd-1-51712-queue-0

# Both busy, and the daemon killed with requests of the first in flight.
killed_under_load() {
	start_daemon --max-queues=1 --transfer=copy || return
	wait_for 20 daemon_says '1/xvda: connected' && wait_for 20 daemon_says '2/xvda: connected' || return
	sleep 0.3
	kill -STOP "$daemon_pid"
	kill_daemon
}

files() {
	(cd "$run" && sha256sum -- * 2>/dev/null | grep -v ' lock$')
}

# does_not_start STATUS TEXT - and says that
does_not_start() {
	local status
	timeout 20 env LD_PRELOAD="$preload" "$BUILD/src/xenblkd" --state-dir="$run" --max-queues=1 >"$out.said" 2>&1
	status=$?
	cat "$out.said"
	[ $status -eq "$1" ] && grep -q -- "$2" "$out.said"
}

# set_byte FILE OFFSET VALUE
set_byte() {
	# shellcheck disable=SC2059
	printf "\\x$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

check "the store starts" start_store
disk_create 1 51712 "file:$XENSIM_DIR/file1"
disk_create 2 51712 "file:$XENSIM_DIR/file2"
guest_start 1 51712 --time=600 --rw=randrw --verify --fill --size=4k-44k --depth=8
first_pid=$guest_pid
guest_start 2 51712 --time=600 --rw=randrw --verify --fill --size=4k-44k --depth=8
second_pid=$guest_pid
guest_pid="$first_pid $second_pid"

check "a daemon is killed under load" killed_under_load
cp "$victim" "$XENSIM_DIR/whole"
set_byte "$victim" 8 63
before=$(files)
check "of another version: it says so, and does not start" does_not_start 2 'is of another version of xenblkd'
check "nothing was changed" is "$(files)" "$before"
cp "$XENSIM_DIR/whole" "$victim"
check "the right version goes on, and is killed again" killed_under_load

cp "$victim" "$XENSIM_DIR/whole"
truncate -s 200 "$victim"
check "cut short: a daemon starts" start_daemon --max-queues=1 --transfer=copy
check "and serves the other disk" wait_for 20 daemon_says '2/xvda: connected'
check "of the first it says what is wrong" wait_for 10 daemon_says '1/xvda: .*cannot be read .*has to connect the disk anew'
check "its guest is told that the disk closes" wait_for 10 state_is $first 5
guest_pid=$first_pid
guest_end
guest_pid=$second_pid

guest_start 1 51712 --time=600 --rw=randrw --verify --fill --size=4k-44k --depth=8
first_pid=$guest_pid
guest_pid="$first_pid $second_pid"
check "it connects the disk anew" wait_for 20 daemon_says '1/xvda: connected'
sleep 0.3
kill -STOP "$daemon_pid"
check "the daemon is killed once more" kill_daemon
dd if=/dev/urandom of="$victim" bs=64 count=20 conv=notrunc 2>/dev/null
check "scribbled over: a daemon starts" start_daemon --max-queues=1 --transfer=copy
check "says so" wait_for 10 daemon_says '1/xvda: .*cannot be read .*has to connect the disk anew'
check "the first guest's disk closes again" wait_for 10 state_is $first 5
guest_pid=$first_pid
guest_end
guest_pid=$second_pid
kill -TERM "$second_pid"
check "the other guest has read what it wrote, all the time" wait "$second_pid"
guest_pid=''
disk_remove 1 51712
disk_remove 2 51712
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
