# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# What the stories in this folder are told with: a machine of their own, gone when they end; the
# daemon as it was built, and guests that are processes. A story is a script that sources this, with
# the build folder as its argument:
#
#	. "$(dirname "$0")/lib.sh"
#	check "the daemon starts" start_daemon
#	disk_create 1 51712 null:1G
#	check "a guest reads" guest 1 51712 --count=1000
#	finish
set -uo pipefail

BUILD=${1:?the build folder}
export XENSIM_DIR
XENSIM_DIR=$(mktemp -d /dev/shm/xensim.XXXXXX)
# Whatever is configured on this machine.
export XENBLKD_CONFIG=/dev/null
store_pid='' daemon_pid='' nvme_pids='' guest_pid='' number=0 failures=0
log=$XENSIM_DIR/daemon.log out=$XENSIM_DIR/out

# Sanitizers want to come first.
preload=$BUILD/sim/libxensim.so
asan=$(ldd "$BUILD/src/xenblkd" | awk '/lib[at]san/ { print $3 }')
[ -z "$asan" ] || preload="$asan $preload"
# The C library keeps what it gave the environment.
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0

cleanup() {
	local pid
	for pid in $guest_pid $daemon_pid $nvme_pids $store_pid; do
		kill -KILL "$pid"
		wait "$pid"
	done 2>/dev/null
	rm -rf "$XENSIM_DIR"
}
trap cleanup EXIT

# sim DOMID COMMAND... - as a program of that domain
sim() {
	local domid=$1
	shift
	XENSIM_DOMID=$domid LD_PRELOAD=$preload "$@"
}

xensim() {
	"$BUILD/sim/xensim" "$@"
}

ctl() {
	"$BUILD/tools/xenblkctl/xenblkctl" --socket="$XENSIM_DIR/run/rpc.sock" "$@"
}

# check TEXT COMMAND... - one TAP line; what failed shows its output
check() {
	local text=$1
	shift
	number=$((number + 1))
	if "$@" >"$out" 2>&1; then
		echo "ok $number - $text"
	else
		failures=$((failures + 1))
		echo "not ok $number - $text"
		tail -40 "$out" | sed 's/^/# /'
		tail -20 "$log" | sed 's/^/# daemon: /'
		tail -q -n 20 "$XENSIM_DIR"/guest-* 2>/dev/null | sed 's/^/# guest: /'
		xensim show | grep -v '=0$' | sed 's/^/# machine: /'
	fi
}

not() {
	! "$@"
}

# is GOT WANTED
is() {
	[ "$1" = "$2" ] || { echo "is $1, expected $2"; false; }
}

# wait_for SECONDS COMMAND... - so long on a machine of one's own; others have it for most of the time
wait_for() {
	local end=$((SECONDS + $1 * 6))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || { echo "in vain: $*"; return 1; }
		sleep 0.02
	done
}

start_store() {
	"$BUILD/sim/xensim-store" &
	store_pid=$!
	wait_for 10 [ -S "$XENSIM_DIR/store.0" ] && wait_for 10 sim 0 xenstore-exists /local/domain/0
}

# start_nvme [-OPTIONS] BDF FILE... - a controller with a namespace for each
start_nvme() {
	"$BUILD/sim/xensim-nvme" "$@" &
	nvme_pids+=" $!"
	[ "${1#-}" = "$1" ] || shift
	wait_for 10 [ -L "$XENSIM_DIR/sys/bus/pci/devices/$1/driver" ]
}

# Its driver in sysfs is Linux's, or none.
has_driver() {
	[ -L "$XENSIM_DIR/sys/bus/pci/devices/$1/driver" ]
}

daemon_says() {
	grep -Eq "$1" "$log"
}

start_daemon() {
	mkdir -p "$XENSIM_DIR/run"
	: >"$log"
	# A system call beyond what it may is its end, so that none goes unseen.
	LD_PRELOAD=$preload "$BUILD/src/xenblkd" --state-dir="$XENSIM_DIR/run" --confine=kill "$@" \
		2>"$log" &
	daemon_pid=$!
	wait_for 60 daemon_ready
}

daemon_ready() {
	kill -0 "$daemon_pid" 2>/dev/null && daemon_says ' ready: '
}

# The daemon ends, and well.
stop_daemon() {
	local status
	kill "$daemon_pid"
	wait "$daemon_pid"
	status=$?
	daemon_pid=''
	is "$status" 0 && daemon_says 'nothing mapped, nothing bound'
}

kill_daemon() {
	kill -KILL "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=''
}

# disk_create DOMID DEVID TARGET [NODE VALUE]... - what a toolstack does
disk_create() {
	local front=/local/domain/$1/device/vbd/$2 back=/local/domain/0/backend/vbd/$1/$2 domid=$1
	local target=$3 device=$2
	shift 3
	xensim create "$domid"
	wait_for 5 sim 0 xenstore-exists "/local/domain/$domid/domid" &&
	sim 0 xenstore-write "$front/backend" "$back" "$front/backend-id" 0 "$front/state" 1 \
		"$front/virtual-device" "$device" "$front/device-type" disk &&
	sim 0 xenstore-chmod -r "$front" "n$domid" r0 &&
	sim 0 xenstore-write "$back/frontend" "$front" "$back/frontend-id" "$domid" \
		"$back/params" "$target" "$back/mode" w "$back/online" 1 "$back/dev" xvda "$@" \
		"$back/state" 1 &&
	sim 0 xenstore-chmod -r "$back" n0 "r$domid"
}

# disk_remove DOMID DEVID - the toolstack takes it back
disk_remove() {
	local back=/local/domain/0/backend/vbd/$1/$2
	sim 0 xenstore-write "$back/online" 0 "$back/state" 5 &&
	wait_for 10 state_is "$back" 6
	sim 0 xenstore-rm "$back" "/local/domain/$1/device/vbd/$2"
}

state_is() {
	[ "$(sim 0 xenstore-read "$1/state")" = "$2" ]
}

# guest DOMID DEVID OPTION... - load of a guest on its disk
guest() {
	local domid=$1 device=$2
	shift 2
	sim "$domid" "$BUILD/tools/blkload/blkload" --quiet --timeout=120 \
		--device="/local/domain/$domid/device/vbd/$device" "$@"
}

# guest_start DOMID DEVID OPTION... - the same, while the story goes on
guest_start() {
	local domid=$1 device=$2
	shift 2
	XENSIM_DOMID=$domid LD_PRELOAD=$preload "$BUILD/tools/blkload/blkload" --quiet --timeout=120 \
		--device="/local/domain/$domid/device/vbd/$device" "$@" >"$XENSIM_DIR/guest-$domid" 2>&1 &
	guest_pid=$!
}

# guest_stops DOMID - of its own, having read what it wrote
guest_stops() {
	kill -TERM "$guest_pid"
	wait "$guest_pid" || return
	guest_pid=''
	grep -E 'verified [1-9][0-9]* sectors: 0 wrong' "$XENSIM_DIR/guest-$1"
}

# guest_end - it has come to its end, or is killed now
guest_end() {
	kill -KILL "$guest_pid"
	wait "$guest_pid"
	guest_pid=''
} 2>/dev/null

# guest_pauses - it stands still, until SIGCONT, and not where it holds a lock of the machine's: the
# first xensim takes that of the grants, the second, which finds the first one gone, that of the
# events too. To be waited for.
guest_pauses() {
	kill -STOP "$guest_pid"
	timeout 1 "$BUILD/sim/xensim" show mapped_pages &&
		timeout 1 "$BUILD/sim/xensim" show mapped_pages && return
	kill -CONT "$guest_pid"
	return 1
}

counter_is() {
	is "$(xensim show "$1")" "$2"
}

# moves COUNTER - something goes on
moves() {
	local before
	before=$(xensim show "$1")
	sleep 0.05
	[ "$(xensim show "$1")" -gt $((before + 20)) ]
}

# All that a domain can be left with.
nothing_is_left() {
	counter_is mapped_pages 0 && counter_is shared_pages 0
}

finish() {
	echo "1..$number"
	[ "$failures" -eq 0 ]
	exit
}
