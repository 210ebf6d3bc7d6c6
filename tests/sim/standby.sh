#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A second daemon stands by, and goes on when the first one ends: killed, told to, or upgraded, again and
# again under guests that verify all they read. HANDOVERS is how often, for each way.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

handovers=${HANDOVERS:-4}
run=$XENSIM_DIR/run
bdf=0000:00:05.0
truncate -s 16M "$XENSIM_DIR/file" "$XENSIM_DIR/disk1"
options=(--transfer=direct --max-queues=2)
next_pid='' next_log='' nr_logs=0
trap 'kill -KILL $next_pid 2>/dev/null; cleanup' EXIT

next_says() {
	grep -Eq "$1" "$next_log"
}

# It stands by, or serves if nobody does.
launch_next() {
	next_log=$XENSIM_DIR/daemon.$((++nr_logs))
	LD_PRELOAD=$preload "$BUILD/src/xenblkd" --state-dir="$run" --confine=kill --standby "${options[@]}" \
		2>"$next_log" &
	next_pid=$!
}

start_next() {
	launch_next
	wait_for 60 next_says ' stands by: ' || { cat "$next_log"; return 1; }
}

# It serves, and is the daemon now.
goes_on() {
	wait_for 60 next_says ' ready: ' && wait_for 60 next_says '2/xvda: connected' ||
		{ cat "$next_log"; return 1; }
	log=$next_log
	daemon_pid=$next_pid next_pid=''
}

start_guests() {
	local domid
	guest_pid=
	for domid in 1 2; do
		XENSIM_DOMID=$domid LD_PRELOAD=$preload "$BUILD/tools/blkload/blkload" --quiet --timeout=300 \
			--device="/local/domain/$domid/device/vbd/51712" --rw=randrw --fill --verify \
			--span=8M --flush-every=200 --time=1000 --size=512-256k --layout=random \
			--segments=64 --queues=2 >"$XENSIM_DIR/guest-$domid" 2>&1 &
		guest_pid+=" $!"
	done
	wait_for 60 daemon_says '1/xvda: connected' && wait_for 60 daemon_says '2/xvda: connected'
}

# They read back all that they wrote.
end_guests() {
	local pid
	kill -TERM $guest_pid
	for pid in $guest_pid; do
		wait "$pid" || return
	done
	guest_pid=
}

ends_well() {
	local status
	wait "$daemon_pid"
	status=$?
	daemon_pid=
	is "$status" 0
}

by_kill() {
	kill_daemon
}

by_stop() {
	kill "$daemon_pid"
	ends_well
}

by_upgrade() {
	"$BUILD/tools/xenblkctl/xenblkctl" --socket="$run/rpc.sock" upgrade >"$XENSIM_DIR/says" || return
	is "$(cat "$XENSIM_DIR/says")" "xenblkd $version, process $next_pid, serves now"
	ends_well
}

by_both_killed() {
	kill_daemon
	kill -KILL "$next_pid"
	wait "$next_pid" 2>/dev/null
	launch_next
}

# hand_over WAY - with requests in flight; then another one stands by
hand_over() {
	local i
	for ((i = 0; i < handovers; i++)); do
		sleep "0.0$((RANDOM % 60 + 10))"
		# Commands that the device has not seen.
		[ $((i % 2)) -eq 0 ] || xensim set nvme_hold=1
		"$1" || { cat "$XENSIM_DIR/says" "$log"; return 1; }
		xensim set nvme_hold=0
		goes_on && start_next || return
	done
}

# One that stood by and was killed leaves memory pinned, which the next one lets go of.
next_is_killed() {
	kill -KILL "$next_pid"
	wait "$next_pid" 2>/dev/null
	start_next && next_says 'let go of [0-9]+ pages'
}

next_ends() {
	kill "$next_pid"
	wait "$next_pid"
	is $? 0 && next_pid=
}

# there_are NAME... - what is in the state directory
there_are() {
	is "$(cd "$run" && echo *)" "$*"
}

# Queues of two disks, and what each process has, of which there is one.
one_is_left() {
	local dir
	for dir in "$run"/[ab]; do
		there_are "${dir##*/}" lock metrics.sock rpc.sock vbd-{1,2}-51712-queue-{0,1}
	done
}

ctl() {
	"$BUILD/tools/xenblkctl/xenblkctl" --socket="$run/rpc.sock" "$@"
}

# What a disk is limited to, as who serves knows it.
limited_to() {
	is "$(ctl --json show 1/xvda | tr -d ' \n' | grep -o '"read-iops":[0-9]*')" "\"read-iops\":$1"
}

# Who stands by has read what there was, and what there is now counts.
changes_are_seen() {
	ctl set 1/xvda read-iops=1000001 && disk_create 3 51712 null:1G &&
	wait_for 10 state_is /local/domain/0/backend/vbd/3/51712 2 &&
	kill_daemon && goes_on && limited_to 1000001 && guest 3 51712 --count=10 && start_next || return
	# It has read this.
	sleep 1.2
	ctl set 1/xvda read-iops=1000002 && disk_remove 3 51712 && kill_daemon && goes_on && limited_to 1000002 &&
	not daemon_says ' 3/xvda: ' && ctl set 1/xvda read-iops= && start_next
}

no_upgrade() {
	! "$BUILD/tools/xenblkctl/xenblkctl" --socket="$run/rpc.sock" upgrade 2>"$XENSIM_DIR/says" &&
		grep 'no other xenblkd stands by; start one: ' "$XENSIM_DIR/says"
}

knows_next() {
	"$BUILD/tools/xenblkctl/xenblkctl" --socket="$run/rpc.sock" call daemon.info |
		grep "\"standby\": *\"xenblkd $version, process $next_pid\""
}

# A record's head, of a disk that there is not.
leave_foreign() {
	{ head -c 8 "$run/vbd-1-51712-queue-0"; head -c 4088 /dev/zero | tr '\0' '\377'; } >"$run/vbd-9-51712-queue-0"
}

# refuses STATUS WORDS OPTION... - to start
refuses() {
	LD_PRELOAD=$preload "$BUILD/src/xenblkd" --state-dir="$run" "${@:3}" 2>"$XENSIM_DIR/says"
	is $? "$1" && grep -q "$2" "$XENSIM_DIR/says" || { cat "$XENSIM_DIR/says"; return 1; }
}

version=$("$BUILD/src/xenblkd" --version | sed 's/^xenblkd //; s/,.*//')
check "the store starts" start_store
check "a controller is there" start_nvme $bdf "$XENSIM_DIR/disk1"
check "where nobody serves, who is to stand by serves" start_daemon --standby "${options[@]}"
check "nobody stands by: there is no upgrade, and it is said what to do" no_upgrade
disk_create 1 51712 "file:$XENSIM_DIR/file"
disk_create 2 51712 "nvme:$bdf/1"
check "guests" start_guests
check "one stands by" start_next
check "a third one does not" refuses 1 'one process serves there, and one stands by' --standby
check "nor does it serve" refuses 1 'another xenblkd is running: '
check "its daemon knows of it" knows_next
check "killed $handovers times: the other goes on" hand_over by_kill
check "upgraded $handovers times" hand_over by_upgrade
check "stopped $handovers times: who stands by goes on" hand_over by_stop
check "killed $handovers times together with the one that stands by" hand_over by_both_killed
check "disks and settings that change while it stands by are as they are now" changes_are_seen
check "the one that stands by is killed alone" next_is_killed
check "it ends when it is told to" next_ends
check "and leaves nothing" one_is_left
leave_foreign
check "one of another version does not stand by" \
	refuses 2 'is of another version of xenblkd, and this one could not go on' --standby
rm "$run/vbd-9-51712-queue-0"
check "the guests read what they wrote" end_guests
disk_remove 1 51712
disk_remove 2 51712
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
check "no state either" there_are lock
finish
