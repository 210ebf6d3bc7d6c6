#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A disk is traced: every request that it answers, none that was not asked for, and nobody waits for it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# It is not to wait for ever where it is not to be.
ctl() {
	timeout 60 "$BUILD/tools/xenblkctl/xenblkctl" --socket="$XENSIM_DIR/run/rpc.sock" "$@"
}

# trace ARG... - beside the story, until its count is full or the guest has gone
trace() {
	: >"$XENSIM_DIR/trace"
	"$BUILD/tools/xenblkctl/xenblkctl" --socket="$XENSIM_DIR/run/rpc.sock" trace 1/xvda "$@" \
		>"$XENSIM_DIR/trace" 2>"$XENSIM_DIR/trace.err" &
	trace_pid=$!
	wait_for 10 trace_runs
}

# It has its heading when the daemon has agreed.
trace_runs() {
	[ -s "$XENSIM_DIR/trace" ] || ! kill -0 $trace_pid 2>/dev/null
}

requests() {
	tail -n +2 "$XENSIM_DIR/trace"
}

fails_with() {
	local text=$1 said
	shift
	said=$("$@" 2>&1) && return 1
	echo "$said"
	[[ $said == *$text* ]]
}

# answered - how many requests, since the disk was made
answered() {
	ctl show 1/xvda | awk '/^(reads|writes|flushes) / { n += $2 } END { print n + 0 }'
}

has_answered() {
	[ "$(answered)" -ge "$1" ]
}

truncate -s 16M "$XENSIM_DIR/disk"
check "the store starts" start_store
check "the daemon starts" start_daemon
disk_create 1 51712 "file:$XENSIM_DIR/disk"
check "a disk without a guest is not traced" fails_with '1/xvda is not connected; expected a disk that its guest uses' ctl trace 1/xvda
guest_start 1 51712 --rw=randrw --queues=2 --time=1000 --rate=2000 --flush-every=10
check "a guest has load on it" wait_for 10 has_answered 100
ctl trace 1/xvda --count=500 >"$XENSIM_DIR/trace"
check "as many as were asked for" is "$(requests | wc -l)" 500
check "of both queues" is "$(requests | awk '{ print $2 }' | sort -u | tr '\n' ' ')" "0 1 "
check "of all kinds" is "$(requests | awk '{ print $3 }' | sort -u | tr '\n' ' ')" "flush read write "
check "each within the disk, and well" is "$(requests | awk '$4 + $5 > 16777216 || $9 != "ok"')" ""
check "with times" is "$(requests | awk '!($7 >= 0 && $8 >= 0)')" ""
ctl trace 1/xvda op=flush --count=20 >"$XENSIM_DIR/trace"
check "flushes alone" is "$(requests | awk '{ print $3 }' | sort | uniq -c | tr -s ' ')" " 20 flush"
check "as JSON" is "$(ctl --json trace 1/xvda op=read --count=3 | python3 -c '
import json, sys
print(*[json.loads(line)["bytes"] for line in sys.stdin])')" "4096 4096 4096"
check "a word that is none is refused" fails_with 'expected op=read, write' ctl trace 1/xvda slow
check "and an operation that is none" fails_with 'op is "trim", expected read, write' ctl trace 1/xvda op=trim

check "it is traced without end" trace
check "who comes later has it" ctl trace 1/xvda --count=1
wait $trace_pid
check "the other one ends" is "$?" 1
check "and says so" grep -q 'somebody else traces it' "$XENSIM_DIR/trace.err"
check "errors are traced alone" trace errors --count=1
xensim set fail_copy=50
wait $trace_pid
check "and no others" is "$(requests | awk '{ print $3, $9, $10 }' | sed 's/^[a-z]*//')" " Bad address"
check "who has gone traces no more" ctl trace 1/xvda --count=1
kill -TERM "$guest_pid"
wait "$guest_pid"
guest_pid=''

# Slow enough that none is lost on any machine; every one is to be there.
before=$(answered)
guest_start 1 51712 --rw=randrw --queues=2 --time=1000 --rate=1000
check "a guest begins anew" wait_for 10 has_answered $((before + 1))
trace --json min-us=0
before=$(answered)
check "it goes on" wait_for 20 has_answered $((before + 1000))
kill -STOP "$trace_pid"
check "nor does it wait for one that does not look" wait_for 30 has_answered $((before + 1200))
kill -CONT "$trace_pid"
kill -TERM "$guest_pid"
wait "$guest_pid"
guest_pid=''
wait $trace_pid
check "the trace ends with the guest" is "$?" 1
check "and says so" grep -q 'its guest has let go of it' "$XENSIM_DIR/trace.err"
check "the disk is taken back" disk_remove 1 51712
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
