#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Several reactors: queues of a disk, and disks, spread over them; and a successor with another number.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

bdf=0000:00:05.0
truncate -s 16M "$XENSIM_DIR/file" "$XENSIM_DIR/disk1" "$XENSIM_DIR/disk2"

# Each reactor had its part, when the daemon ended.
all_worked() {
	local i
	for ((i = 0; i < $1; i++)); do
		daemon_says "reactor $i: [1-9][0-9]* grant calls" || { echo "not reactor $i"; return 1; }
	done
}

# Polling, as on CPUs of their own: that is where they meet.
options=(--transfer=direct --max-queues=4 --poll-us=50)

check "the store starts" start_store
check "a controller is there" start_nvme $bdf "$XENSIM_DIR/disk1"
check "one with large blocks is there" start_nvme -4 0000:00:06.0 "$XENSIM_DIR/disk2"
check "the daemon starts, with two reactors" start_daemon --reactors=2 "${options[@]}"
disk_create 1 51712 nvme:$bdf/1
disk_create 2 51712 "file:$XENSIM_DIR/file?transfer=persistent"
disk_create 3 51712 nvme:0000:00:06.0/1
guest_start 1 51712 --rw=randrw --verify --fill --time=2 --queues=4 --size=512-256k --segments=64 --depth=8
drive_pid=$guest_pid
guest_start 2 51712 --persistent --rw=randrw --verify --fill --time=2 --queues=4 --size=512-44k --flush-every=50
file_pid=$guest_pid
check "four queues on large blocks, where writes wait for each other" \
	guest 3 51712 --rw=randrw --verify --fill --time=2 --queues=4 --align=512 --size=512-12k --layout=random
check "at the same time four queues on a drive" wait "$drive_pid"
check "and four on a file, whose guest keeps its pages granted" wait "$file_pid"
guest_pid=''
disk_remove 3 51712
check "the daemon ends" stop_daemon
check "both reactors had their part" all_worked 2
check "and pages stayed mapped" daemon_says '[1-9][0-9]{2,} segments went through pages that stayed mapped'

# Each wants 20 s, and is told to end before.
guest_start 1 51712 --rw=randrw --verify --fill --time=20 --queues=4 --size=512-256k --segments=64 --depth=8
drive_pid=$guest_pid
guest_start 2 51712 --persistent --rw=randrw --verify --fill --time=20 --queues=3 --size=512-44k
file_pid=$guest_pid
guest_pid="$drive_pid $file_pid"
for reactors in 2 1 3; do
	check "$reactors are started" start_daemon --reactors=$reactors "${options[@]}"
	check "and serve the drive" wait_for 20 daemon_says '1/xvda: connected'
	check "and the file" wait_for 20 daemon_says '2/xvda: connected'
	sleep 0.2
	[ $reactors = 3 ] || kill_daemon
done
kill -TERM "$drive_pid" "$file_pid"
check "through two kills the drive's guest has read what it wrote" wait "$drive_pid"
check "and the file's" wait "$file_pid"
guest_pid=''
disk_remove 1 51712
disk_remove 2 51712
check "the daemon ends again" stop_daemon
check "three reactors had their part" all_worked 3

# Two with much to do on one reactor, and none on the other: what copies cost makes them busy.
check "two are started once more" start_daemon --reactors=2 --transfer=copy --max-queues=1
disk_create 1 51712 null:16M
disk_create 2 51712 null:16M
disk_create 3 51712 "file:$XENSIM_DIR/file"
guest_start 1 51712 --rw=randread --depth=32 --time=60
one_pid=$guest_pid
check "a disk" wait_for 20 daemon_says '1/xvda: connected'
guest_start 2 51712 --rw=randread --depth=1 --rate=10 --time=60
other_pid=$guest_pid
check "another, on the other reactor" wait_for 20 daemon_says '2/xvda: connected'
guest_start 3 51712 --rw=randrw --verify --fill --depth=32 --time=60
third_pid=$guest_pid
guest_pid="$one_pid $other_pid $third_pid"
check "and a third on that of the first" wait_for 20 daemon_says '3/xvda: connected'
xensim set cost_copy_ns=20000
check "one of the two moves" wait_for 30 daemon_says 'queue 0 goes from reactor 0 to reactor 1'
xensim set cost_copy_ns=0
sleep 0.2
kill -TERM "$one_pid" "$other_pid" "$third_pid"
check "the first went on" wait "$one_pid"
check "so did the other" wait "$other_pid"
check "the third has read what it wrote" wait "$third_pid"
guest_pid=''
for i in 1 2 3; do
	disk_remove $i 51712
done
check "the daemon ends a third time" stop_daemon
check "both had their part again" all_worked 2
check "nothing is left" nothing_is_left
check "no state either" is "$(ls "$XENSIM_DIR/run")" "$([ -e "$XENSIM_DIR/run/lock" ] && echo lock)"
finish
