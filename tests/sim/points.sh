#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Daemons that die at each place where a kill between two stores might matter (src/util/point.h), and at
# random ones, of the datapath and of recovery itself; under guests that verify all they read. A place that
# is not visited is a failure (or just named, where STORIES or RANDOM_ONLY leaves some out), as is a daemon that
# does not connect the disk in time. Needs a build with -Dpoints=true.
#
# LONG: if set, each place twice and in each story. RANDOM_ONLY: if set, at random alone. KILLS is how often
# at random, in each story; ROUND after how many the guest ends and all is compared; FOR: no new round of a
# story after so many seconds; STORIES a pattern of those to tell; SEED that of the choices (printed). DAEMON:
# another one. For many kills: a build without sanitizers (see doc/recovery.md).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

kills=${KILLS:-5}
per_round=${ROUND:-500}
daemon=${DAEMON:-$BUILD/src/xenblkd}
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$seed
bdf=0000:00:05.0
truncate -s 16M "$XENSIM_DIR/file" "$XENSIM_DIR/disk1"
mkfifo "$XENSIM_DIR/never"
exec 9<>"$XENSIM_DIR/never"

XENBLKD_POINTS=list LD_PRELOAD=$preload "$daemon" --version >"$XENSIM_DIR/points"
if ! grep -q '^0 ' "$XENSIM_DIR/points"; then
	echo "1..0 # SKIP built without -Dpoints=true"
	exit 0
fi
nr_points=$(wc -l <"$XENSIM_DIR/points")
mapfile -t names < <(sed 's/.* \(.*\):.*/\1/' "$XENSIM_DIR/points")

# nap MILLISECONDS - without a process
nap() {
	read -rt "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" -u 9
	true
}

# What a daemon that was killed has said: 1 if it was anything to complain of.
look_at_log() {
	local line lines
	died_at=''
	mapfile -t lines <"$log"
	for line in "${lines[@]}"; do
		case $line in
		'died at '*)
			died_at=${line#died at }
			died_at=${died_at%% *}
			visited[died_at]=1
			;;
		# The kernel has not done with the dead one's; it is tried again (doc/recovery.md).
		*' is locked: another disk or program'*) ;;
		*'requests were in flight'* | *'a predecessor was killed'* | *'carried out again'*) ;;
		*' warning: '* | *' error: '*)
			echo "$line"
			return 1
			;;
		esac
	done
}

begin_life() {
	: >"$log"
	XENBLKD_POINTS=$1 LD_PRELOAD=$preload "$daemon" \
		--state-dir="$XENSIM_DIR/run" "${options[@]}" 2>>"$log" &
	daemon_pid=$!
}

# end_life STATUS... - it has ended, as one of these
end_life() {
	local status
	wait $daemon_pid 2>/dev/null
	status=$?
	daemon_pid=''
	[[ " $* " = *" $status "* ]] || { echo "a daemon ended with status $status, expected: $*"; return 1; }
	counted=$((counted + (status == 137)))
	look_at_log
}

# dies PLAN - a daemon that dies where it was told to, and has come there
dies() {
	begin_life "$1"
	end_life 137
}

connected() {
	[[ $(<"$log") = *connected:* ]]
}

# stopped PLAN - it is told to end while its guest is connected: it may die on the way, or not
stopped() {
	begin_life "$1"
	wait_for 30 connected || return
	kill -TERM $daemon_pid
	end_life 137 0
}

start_guest() {
	XENSIM_DOMID=$domid LD_PRELOAD=$preload "$BUILD/tools/blkload/blkload" --quiet --timeout=300 \
		--device="/local/domain/$domid/device/vbd/51712" --span=8M \
		--time=1000000 "${kind[@]}" "$@" >"$XENSIM_DIR/guest" 2>&1 &
	guest_pid=$!
}

# It reads back all that it wrote; then nothing is left of it.
end_guest() {
	local status
	kill -TERM "$guest_pid"
	wait "$guest_pid"
	status=$?
	guest_pid=''
	[ $status -eq 0 ] || { cat "$XENSIM_DIR/guest"; return 1; }
}

# begin_round - a guest, and a daemon that serves it
begin_round() {
	local pid
	# Of one that has failed.
	for pid in $guest_pid $daemon_pid; do
		kill -KILL "$pid"
		wait "$pid"
	done
	xensim set nvme_hold=0
	domid=$((domid % 900 + 1))
	xensim create $domid
	start_daemon "${options[@]}" && disk_create $domid 51712 "$target" && start_guest "${load[@]}" &&
	wait_for 60 daemon_says "$domid/xvda: connected" || { cat "$log"; return 1; }
}

# one_round COMMAND... - a guest, daemons that die by the command, and one that ends well
one_round() {
	begin_round || return
	kill_daemon
	"$@" || { cat "$log"; return 1; }
	xensim set nvme_hold=0
	start_daemon "${options[@]}" && wait_for 60 daemon_says "$domid/xvda: connected" && end_guest &&
	disk_remove $domid 51712 && stop_daemon && nothing_is_left &&
	is "$(ls "$XENSIM_DIR/run")" "$([ -e "$XENSIM_DIR/run/lock" ] && echo lock)" || { cat "$log"; return 1; }
	xensim destroy $domid
}

# place FUNCTION - the number of its first place
place() {
	local k
	for ((k = nr_points - 1; k >= 0; k--)); do
		[ "${names[k]}" != "$1" ] || break
	done
	echo "$k"
}

# What a place needs to be visited: a predecessor that died where it left enough to do, or a daemon that ends.
visit() {
	local k=$1 nth=$2
	case ${names[k]} in
	forget_map)
		dies "die:$(place direct_brought_out):1:$enough" || return
		;;
	# Of one that is dead it waits; of two it does not.
	unpin_batch)
		until [ -d "$XENSIM_DIR/run/a" ] && [ -d "$XENSIM_DIR/run/b" ]; do
			dies "die:$(place submit_one):3:$enough" || return
		done
		;;
	add_unmap | unmap_round | put_away | inherit | take_again)
		dies "die:$(place submit_one):3:$enough" || return
		;;
	vbd_destroy_queues)
		stopped "die:$k:1"
		return
		;;
	esac
	dies "die:$k:$nth:$enough"
	[ "$died_at" = "$k" ] || { echo "was to die at $k, died at $died_at"; cat "$log"; }
}

# At the first passing of each place; or, in a long run, at a later one too.
at_each_place() {
	local k nth tries
	for ((k = 0; k < nr_points; k++)); do
		case ${names[k]} in
		# They come with errors, or never: there are stories for them.
		queue_answer | fetched | take_parked) continue ;;
		esac
		for nth in 1 ${LONG:+$((RANDOM % 40 + 2))}; do
			visit $k $nth || return
		done
		# Enough of all others may have come first, or the guest had nothing for it just then.
		for ((tries = 0; tries < 20; tries++)); do
			[ -n "${LONG:-}${visited[k]:-}" ] || visit $k 1 || return
		done
	done
	true
}

# So many, at any place or any moment, and some with commands that the controller has not seen.
at_random() {
	local word number
	LD_PRELOAD=$preload "$BUILD/tests/sim/sim_deaths" $((RANDOM * 32768 + RANDOM)) "$1" "$nr_points" "$enough" \
		"$log" "$preload" "$daemon" --state-dir="$XENSIM_DIR/run" "${options[@]}" >"$XENSIM_DIR/deaths" || { cat "$XENSIM_DIR/deaths"; return 1; }
	while read -r word number; do
		case $word in
		visited) visited[number]=1 ;;
		held) [[ $target != nvme:* ]] || held=$((held + number)) ;;
		killed) counted=$((counted + number)) ;;
		esac
	done <"$XENSIM_DIR/deaths"
}

in_rounds() {
	local left=$kills n begun=$SECONDS
	while [ "$left" -gt 0 ] && [ $((SECONDS - begun)) -lt "${FOR:-1000000}" ]; do
		n=$((left < per_round ? left : per_round))
		one_round at_random $n || return
		left=$((left - n))
		[ "$kills" -le "$per_round" ] || echo "# $text: $((kills - left)) of $kills, $counted in all, at ${#visited[@]} of $nr_points places, ${SECONDS} s" >&3
	done
}

# wanted TEXT
wanted() {
	# shellcheck disable=SC2053
	[[ $1 = ${STORIES:-*} ]]
}

# story TEXT TARGET DAEMON-OPTIONS BLKLOAD-OPTION...
story() {
	local before=$counted
	wanted "$1" || return
	text=$1 target=$2
	read -ra options <<<"--buffer-mib=2 --log-level=info $3"
	load=("${@:4}")
	[ -z "${LONG:-}" ] && [ ${#visited[@]} -gt 0 ] || [ -n "${RANDOM_ONLY:-}" ] || check "$text: killed at each place; what the guest reads is what it wrote" one_round at_each_place
	check "$text: killed $kills times at random; likewise" in_rounds
	echo "# $text: killed $((counted - before)) times"
}

# unexecuted TEXT TARGET DAEMON-OPTIONS BLKLOAD-OPTION... - daemons that answer what was in flight without
# carrying it out: the guest has to find it.
unexecuted() {
	wanted "unexecuted, $1" || return
	target=$2
	read -ra options <<<"--buffer-mib=2 $3"
	load=("${@:4}")
	check "$1: what is not carried out again is found by a guest that verifies" finds_unexecuted
}

# One guest; a kill finds it writing, or not. Return: 0 if it has found anything; 1 if not; 2 if there was
# something else.
finds_unexecuted_once() {
	local i found
	begin_round || return 2
	for i in 1 2 3 4 5 6 7 8; do
		nap 150
		xensim set nvme_hold=1
		nap 20
		kill_daemon
		XENBLKD_POINTS=unexecuted start_daemon "${options[@]}" &&
		wait_for 60 daemon_says "$domid/xvda: connected" || { cat "$log"; return 2; }
		xensim set nvme_hold=0
	done
	end_guest >"$XENSIM_DIR/end"
	found=$?
	cat "$XENSIM_DIR/end"
	stop_daemon
	xensim destroy $domid
	sim 0 xenstore-rm "/local/domain/$domid" "/local/domain/0/backend/vbd/$domid"
	[ $found -ne 0 ] && grep -Eq 'verified .* [1-9][0-9]* wrong' "$XENSIM_DIR/end"
}

finds_unexecuted() {
	local tries status
	for tries in 1 2 3 4 5; do
		finds_unexecuted_once
		status=$?
		[ $status -eq 1 ] || return $status
	done
	echo "$tries guests found nothing"
	return 1
}

# Places that come with an error, which the guest does not survive.
# at_error FUNCTION FAULT... - and the successor goes on
at_error() {
	local k
	k=$(place "$1")
	begin_round || return
	kill_daemon
	begin_life "die:$k:1"
	wait_for 30 connected || return
	xensim set "$2"
	wait $daemon_pid 2>/dev/null
	is $? 137 || return
	daemon_pid=''
	counted=$((counted + 1))
	xensim set "${2%%=*}=0"
	grep -q "^died at $k " "$log" || { cat "$log"; return 1; }
	visited[k]=1
	start_daemon "${options[@]}" && wait_for 60 daemon_says "$domid/xvda: connected" || { cat "$log"; return 1; }
	shift 2
	"$@" || return
	guest_end
	sim 0 xenstore-rm "/local/domain/$domid" "/local/domain/0/backend/vbd/$domid"
	xensim destroy $domid
	stop_daemon && nothing_is_left
}

# As it says by its control socket.
flush_has_failed() {
	"$BUILD/tools/xenblkctl/xenblkctl" --socket="$XENSIM_DIR/run/rpc.sock" --json show $domid/xvda >"$XENSIM_DIR/shown"
	grep -q '"flush_failed": *true' "$XENSIM_DIR/shown" || { cat "$XENSIM_DIR/shown"; return 1; }
}

all_visited() {
	local k status=0
	for ((k = 0; k < nr_points; k++)); do
		[ -z "${visited[$k]:-}" ] || continue
		case ${names[k]} in
		# A write waits for a limit while a flush fails, in that order: queue_take_test does that.
		take_parked) continue ;;
		esac
		sed -n "$((k + 1))s/^/not visited: /p" "$XENSIM_DIR/points"
		status=1
	done
	return $status
}

exec 3>&1
domid=0 counted=0 held=0 enough=20000
kind=(--rw=randrw --fill --verify --flush-every=100)
visited=()
echo "# SEED=$seed"
check "the store starts" start_store
check "a controller is there" start_nvme $bdf "$XENSIM_DIR/disk1"
story "a drive, directly, indirect requests, two queues" nvme:$bdf/1 "--transfer=direct --max-queues=2" \
	--size=4k-256k --segments=64 --queues=2 --depth=12
story "a drive, directly, two reactors, four queues, rings of 4 pages" nvme:$bdf/1 \
	"--transfer=direct --max-queues=4 --reactors=2" \
	--size=512-128k --segments=32 --queues=4 --depth=8 --ring-order=2
story "a drive, by copies" nvme:$bdf/1 "--transfer=copy" --size=512-44k --layout=random
story "a file, by copies" "file:$XENSIM_DIR/file" "--transfer=copy" --size=512-44k --layout=random
story "a file, kept mapped, two reactors, two queues" "file:$XENSIM_DIR/file" \
	"--transfer=persistent --max-queues=2 --reactors=2" \
	--size=4k-44k --persistent --queues=2 --depth=12
unexecuted "a file, by copies" "file:$XENSIM_DIR/file" "--transfer=copy" --size=512-44k --layout=random
unexecuted "a drive, directly" nvme:$bdf/1 "--transfer=direct" --size=512-44k --layout=random
if wanted "errors"; then
	target=nvme:$bdf/1
	read -ra options <<<"--buffer-mib=2 --transfer=copy"
	kind=(--rw=randread --flush-every=1)
	load=(--size=64k --segments=32 --indirect --depth=4)
	check "killed when the segments of a request could not be read: its successor goes on" \
		at_error fetched fail_copy_permille=300 true
	load=(--size=4k --depth=4)
	check "killed when a flush has failed: its successor knows" at_error queue_answer nvme_fail_permille=300 flush_has_failed
fi
if [ -n "${STORIES:-}${RANDOM_ONLY:-}" ]; then
	all_visited | sed 's/^/# /'
else
	check "all places were visited" all_visited
fi
echo "# killed $counted times, $held of them with commands that the controller had not seen; at ${#visited[@]} of $nr_points places"
finish
