#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2154
#
# Disks that are connected and have nothing to do cost nothing: nobody wakes up for them, and they
# hold the memory that they are said to hold. Their guests stand still, so that not even a stray event
# comes.
#
# Environment: DISKS (24, of 4 queues each), IDLE_SECONDS (1).
. "$(dirname "$0")/lib.sh"

disks=${DISKS:-24}
pids=()

# Four to a domain, from domain 1 on.
domid_of() {
	echo $((1 + $1 / 4))
}

devid_of() {
	echo $((51712 + 16 * ($1 % 4)))
}

connect_all() {
	local i
	for ((i = 0; i < disks; i++)); do
		disk_create "$(domid_of $i)" "$(devid_of $i)" null:1G || return 1
		guest_start "$(domid_of $i)" "$(devid_of $i)" --queues=4 --exact --rate=20 --depth=1 --time=600
		pids+=("$guest_pid")
	done
	guest_pid=
	wait_for 60 all_connected
}

all_connected() {
	[ "$(grep -c ': connected: .* 4 queues' "$log")" -eq "$disks" ]
}

# They have all done something, and do nothing more; and the daemon is done with that.
stand_still() {
	sleep 0.5
	kill -STOP "${pids[@]}"
	wait_for 30 asleep
}

asleep() {
	local before
	before=$(wakeups)
	sleep 0.3
	[ "$(wakeups)" = "$before" ] && ! grep -q '^State:.*R' /proc/"$daemon_pid"/task/*/status
}

# How often any thread of the daemon has had a CPU.
wakeups() {
	awk '/ctxt_switches/ { n += $2 } END { print n }' /proc/"$daemon_pid"/task/*/status
}

resident_kib() {
	awk '/^VmRSS/ { print $2 }' /proc/"$daemon_pid"/status
}

let_go() {
	kill -KILL "${pids[@]}"
	wait "${pids[@]}" 2>/dev/null
	true
}

check "the store" start_store
check "the daemon" start_daemon --max-queues=4
alone=$(resident_kib)
check "$disks disks of 4 queues are connected" connect_all
check "and come to rest" stand_still
before=$(wakeups)
sleep "${IDLE_SECONDS:-1}"
check "nobody woke up in ${IDLE_SECONDS:-1} s" is "$(wakeups)" "$before"
echo "# resident: $alone KiB without disks, $((($(resident_kib) - alone) / disks)) KiB more for each"
[ -n "$asan" ] || check "at most 64 MiB without disks" [ "$alone" -le 65536 ]
[ -n "$asan" ] || check "and 2 MiB for each" [ "$(resident_kib)" -le $((alone + 2048 * disks)) ]
let_go
for ((i = 0; i < disks; i += 4)); do
	xensim destroy "$(domid_of $i)"
	sim 0 xenstore-rm "/local/domain/$(domid_of $i)" "/local/domain/0/backend/vbd/$(domid_of $i)"
done
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
