#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# How long the daemon polls for a disk that has nothing to do, as the disk says, or its toolstack; and that
# it does not where others need the CPUs.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

path=/local/domain/0/backend/vbd/1/51712

# so_far - requests that were done, and times that the reactor has slept
so_far() {
	echo "$(ctl --json stats | python3 -c '
import json, sys
said = json.load(sys.stdin)
print(sum(d["stats"]["reads"] for d in said["disks"]), sum(r["sleeps"] for r in said["reactors"]))')"
}

# sleeps_for_100 - how often it sleeps while 100 requests are done, each a while after the other
sleeps_for_100() {
	local before now
	read -ra before <<<"$(so_far)"
	while :; do
		sleep 0.05
		read -ra now <<<"$(so_far)"
		[ $((now[0] - before[0])) -lt 100 ] || break
	done
	echo $(((now[1] - before[1]) * 100 / (now[0] - before[0])))
}

# The settings have been seen, if not at once.
sleeps_each_time() {
	local n
	n=$(sleeps_for_100)
	echo "# $n sleeps for 100 requests"
	[ "$n" -ge 50 ]
}

polls_on() {
	local n
	n=$(sleeps_for_100)
	echo "# $n sleeps for 100 requests"
	[ "$n" -le 10 ]
}

check "the store starts" start_store
check "the daemon starts, which would not poll" start_daemon --poll-us=0
disk_create 1 51712 null:1G
guest_start 1 51712 --rw=randread --depth=1 --rate=200 --time=600
check "the guest is connected" wait_for 10 daemon_says '1/xvda: connected'
check "after each request it sleeps" wait_for 20 sleeps_each_time
check "a disk is to be polled for a second" ctl set 1/xvda poll-us=1000000
check "then it does not sleep" wait_for 20 polls_on
check "that is taken back" ctl set 1/xvda poll-us=
check "it sleeps again" wait_for 20 sleeps_each_time
sim 0 xenstore-write $path/polling-duration 1000000
check "a toolstack says it in its own way" wait_for 20 polls_on
while :; do :; done &
busy_pid=$!
sim 0 xenstore-write $path/polling-idle-threshold 100
check "and to poll only where nobody else needs the CPUs: somebody does" wait_for 20 sleeps_each_time
kill $busy_pid
sim 0 xenstore-write $path/polling-idle-threshold 0
check "and always again" wait_for 20 polls_on
sim 0 xenstore-write $path/polling-duration soon
check "what is no number is none, and that is logged" wait_for 20 daemon_says 'polling-duration in xenstore: poll-us is "soon"'
check "it sleeps, as the daemon does" wait_for 20 sleeps_each_time
check_not_set() { ! ctl set 1/xvda "$1" >/dev/null 2>&1; }
check "more than all cannot be idle" check_not_set poll-idle-percent=101
guest_end
check "the daemon ends" stop_daemon
finish
