#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon is killed again and again under guests that verify all they read: each successor goes on
# where it was, and a guest sees nothing but pauses. KILLS is how often, for each kind of disk.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

kills=${KILLS:-8}
bdf=0000:00:05.0
truncate -s 16M "$XENSIM_DIR/file" "$XENSIM_DIR/disk1"

sleep_ms() {
	sleep "$(printf '0.%03d' "$1")"
}

again() {
	sed -n 's/.*: \([0-9]*\) requests are carried out again/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }'
}

# killed_under_load DOMID BLKLOAD-OPTION... - Return: what became of the guest
killed_under_load() {
	local domid=$1 i
	shift
	carried_out=0
	XENSIM_DOMID=$domid LD_PRELOAD=$preload "$BUILD/tools/blkload/blkload" --quiet --timeout=300 \
		--device="/local/domain/$domid/device/vbd/51712" --rw=randrw --fill --verify --span=8M \
		--flush-every=200 --time=1000 "$@" &
	guest_pid=$!
	wait_for 60 daemon_says "$domid/xvda: connected" && sleep 0.1
	for ((i = 0; i < kills; i++)); do
		sleep_ms $((RANDOM % 60 + 5))
		# Commands that the device has not seen when the kill comes, nor sees before it is reset.
		[ $((i % 2)) -eq 0 ] || xensim set nvme_hold=1
		sleep_ms $((RANDOM % 5))
		kill_daemon
		start_daemon "${options[@]}" || return
		xensim set nvme_hold=0
		wait_for 60 daemon_says "$domid/xvda: connected" || { cat "$log"; return 1; }
		carried_out=$((carried_out + $(again)))
	done
	# It reads back all that it wrote.
	kill -TERM "$guest_pid"
	wait "$guest_pid"
}

# story TEXT TARGET DAEMON-OPTIONS BLKLOAD-OPTION...
story() {
	local text=$1 target=$2
	read -ra options <<<"$3"
	shift 3
	domid=$((domid + 1))
	check "$text: the daemon starts" start_daemon "${options[@]}"
	disk_create $domid 51712 "$target"
	check "killed $kills times; what the guest reads is what it wrote" killed_under_load $domid "$@"
	check "requests were carried out again: $carried_out" [ "$carried_out" -gt 0 ]
	disk_remove $domid 51712
	check "the daemon ends" stop_daemon
	check "nothing is left" nothing_is_left
	check "no state either" is "$(ls "$XENSIM_DIR/run")" "$([ -e "$XENSIM_DIR/run/lock" ] && echo lock)"
	guest_pid=''
}

domid=0
check "the store starts" start_store
check "a controller is there" start_nvme $bdf "$XENSIM_DIR/disk1"
story "a file" "file:$XENSIM_DIR/file" "" --size=512-44k --layout=random
story "a drive, directly" nvme:$bdf/1 --transfer=direct --size=512-44k --layout=random
story "a drive, indirect requests, four queues, rings of 16 pages" nvme:$bdf/1 \
	"--transfer=direct --max-queues=4" --size=4k-1m --segments=256 --queues=4 --ring-order=4 --depth=12
story "a drive, by copies, indirect requests" nvme:$bdf/1 --transfer=copy --size=512-1m --segments=256 \
	--layout=random
finish
