#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What an operator sees and does while the daemon runs: its socket, and xenblkctl on it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

socket=$XENSIM_DIR/run/rpc.sock

ctl() {
	"$BUILD/tools/xenblkctl/xenblkctl" --socket="$socket" "$@"
}

# ctl_fails STATUS TEXT ARG... - it ends with that status, and says that
ctl_fails() {
	local wanted=$1 text=$2 said status
	shift 2
	said=$(ctl "$@" 2>&1)
	status=$?
	echo "$said"
	is "$status" "$wanted" && [[ $said == *$text* ]]
}

# rpc - sends standard input as it is; what comes back until the other side has no more to say
rpc() {
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.settimeout(10)
try:
    s.sendall(sys.stdin.buffer.read())
    s.shutdown(socket.SHUT_WR)
except BrokenPipeError:
    pass
while True:
    try:
        data = s.recv(65536)
    except ConnectionResetError:
        break
    if not data:
        break
    sys.stdout.buffer.write(data)' "$socket"
}

# answers REQUEST TEXT
answers() {
	local answer
	answer=$(printf '%s\n' "$1" | rpc)
	echo "$answer"
	[[ $answer == *"$2"* ]]
}

# value JSON-PATH COMMAND... - of what it prints
value() {
	local path=$1
	shift
	"$@" | python3 -c "import json, sys; print(json.load(sys.stdin)$path)"
}

# stat DISK NAME - one of its counters
stat_of() {
	value "[\"stats\"][\"$2\"]" ctl --json show "$1"
}

# within_limit DISK COUNTER RATE BURST SECONDS - no more of it than RATE allows, and some of it in the end
within_limit() {
	wait_for 20 below_limit "$@"
}

below_limit() {
	local before after seconds=$5
	before=$(ctl --json stats)
	sleep "$seconds"
	after=$(ctl --json stats)
	python3 -c '
import json, sys
def look(text):
    all = json.loads(text)
    return all["time_ns"] / 1e9, next(d for d in all["disks"] if d["disk"] == sys.argv[3])["stats"][sys.argv[4]]
(t0, n0), (t1, n1) = look(sys.argv[1]), look(sys.argv[2])
rate, burst = float(sys.argv[5]), float(sys.argv[6])
print(n1 - n0, "in", t1 - t0, "s")
sys.exit(2 if n1 - n0 > rate * (t1 - t0) + burst else n1 == n0)' "$before" "$after" "$1" "$2" "$3" "$4"
	case $? in
	2) touch "$XENSIM_DIR/above" ;;
	1) return 1 ;;
	esac
	[ ! -e "$XENSIM_DIR/above" ]
}

is_limit() {
	is "$(value "[\"limits\"][\"$2\"]" ctl --json show "$1")" "$3"
}

is_paused() {
	is "$(value '["paused"]' ctl --json show "$1")" True
}

turns() {
	value '["reactors"][0]["turns"]' ctl --json stats
}

check "the store starts" start_store
check "the daemon starts" start_daemon
check "its socket is for root alone" is "$(stat -c %a "$socket")" 600
check "no disk is in the list yet" is "$(ctl --interval=0.01 list | wc -l)" 1
disk_create 1 51712 null:1G
check "a guest reads 3000 blocks" guest 1 51712 --rw=randread --count=3000 --size=4k
check "as many are counted" is "$(value '["stats"]["reads"]' ctl --json show 1/xvda)" 3000
check "so are their bytes" is "$(value '["stats"]["bytes_read"]' ctl --json show 1/51712)" $((3000 * 4096))
check "and times, in buckets" is "$(value '["stats"]["times"]["device_read"]["buckets"].__len__()' ctl --json show 1/xvda)" 28
check "each in one of them" is "$(ctl --json stats | python3 -c '
import json, sys
times = json.load(sys.stdin)["disks"][0]["stats"]["times"]
print(sum(times["queued"]["buckets"]), sum(times["device_read"]["buckets"]))')" "3000 3000"
check "a disk is a line" [ "$(ctl --interval=0.01 list | grep -c '^1/xvda .* null:1G')" -eq 1 ]
check "the log says more when it is told to" ctl log debug
check_log() { disk_create 2 51712 null:1G; wait_for 5 daemon_says debug; }
check "as it does then" check_log
check "a bdev that is open is a line" [ "$(ctl bdevs | grep -c '^null:1G .*2/xvda .*1024')" -eq 1 ]

check "a disk that is not there is named" ctl_fails 1 'there is no disk 9/xvda; "xenblkctl list"' show 9/xvda
check "so is what is no disk" ctl_fails 1 'expected DOMAIN/VDEV' show xvda
check "a level that is none is refused" ctl_fails 1 'expected error, warning, info or debug' log loud
check "a command that is none too" ctl_fails 2 'there is no command "lost"' lost
check "an option that is none too" ctl_fails 2 'there is no option "--lost"' list --lost
check "arguments that are missing too" ctl_fails 2 'usage: xenblkctl show DISK' show
check "without a daemon it says so" ctl_fails 3 'is xenblkd running?' --socket="$XENSIM_DIR/none" list

check "what is no JSON is answered" answers '{"jsonrpc": "2.0", "id": 1,' '"code":-32700'
check "and what is more than JSON" answers '{} {}' '"code":-32700'
check "bytes that are no text" answers $'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}' '"code":-32700'
check "what is too deep" answers "$(printf '[%.0s' {1..100})" '"code":-32700'
check "what is no request" answers '{"jsonrpc": "1.0", "id": 1, "method": "disk.list"}' '"code":-32600'
check "a method that is none" answers '{"jsonrpc": "2.0", "id": "x", "method": "disk.eat"}' '"id":"x","error":{"code":-32601'
check "a parameter that is none" answers '{"jsonrpc": "2.0", "id": 1, "method": "disk.get", "params": {"dis": "1/xvda"}}' '"code":-32602'
check "parameters without names" answers '{"jsonrpc": "2.0", "id": 1, "method": "disk.get", "params": ["1/xvda"]}' '"code":-32602'
check "a batch is answered as one" answers '[{"jsonrpc": "2.0", "id": 1, "method": "daemon.info"}, 7]' '[{"jsonrpc":"2.0","id":1,"result":{'
check "a notice is not answered" is "$(echo '{"jsonrpc": "2.0", "method": "daemon.info"}' | rpc)" ""
check "nor is an empty line" is "$(printf '\n  \r\n' | rpc)" ""
check "lines one behind the other all are" is "$(for _ in {1..500}; do echo '{"jsonrpc":"2.0","id":1,"method":"disk.list"}'; done | rpc | wc -l)" 500
check "a line without end is cut off" is "$(head -c 1000000 /dev/zero | tr '\0' x | rpc | grep -c 'more than 65535 bytes')" 1
hold_clients() {
	python3 -c '
import socket, sys
clients = [socket.socket(socket.AF_UNIX) for _ in range(40)]
for c in clients:
    c.connect(sys.argv[1])
    c.settimeout(10)
clients[0].sendall(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.info\"}\n")
assert b"result" in clients[0].recv(65536)
assert b"clients are connected already" in clients[39].recv(65536)
assert clients[39].recv(1) == b""' "$socket"
}
check "of 40 clients 32 are served, the others told" hold_clients
deaf_client() {
	python3 -c '
import socket, sys
deaf, other = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
deaf.connect(sys.argv[1])
deaf.settimeout(1)
try:
    while True:
        deaf.sendall(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"disk.list\"}\n" * 100)
except TimeoutError:
    pass
other.connect(sys.argv[1])
other.settimeout(10)
other.sendall(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.info\"}\n")
assert b"result" in other.recv(65536)' "$socket"
}
check "one that does not listen does not keep others waiting" deaf_client

disk_remove 1 51712
disk_remove 2 51712

# Limits. Two queues, so that they share; one request more than the burst may be on its way when the
# counters are read.
truncate -s 32M "$XENSIM_DIR/disk"
check "no time is polled away" ctl set daemon poll-us=0
disk_create 3 51712 "file:$XENSIM_DIR/disk"
check "a limit is set" ctl set 3/xvda read-iops=1000 burst-ms=20
check "it stands in xenstore" is "$(sim 0 xenstore-read /local/domain/0/backend/vbd/3/51712/xenblkd/read-iops)" 1000
guest_start 3 51712 --rw=randrw --queues=2 --depth=32 --time=100
check "a guest has load" wait_for 10 moves copies
check "reads stay within their limit" within_limit 3/xvda reads 1000 84 0.3
check "those that wait are counted" [ "$(stat_of 3/xvda limited)" -gt 0 ]
check "the limit changes under load" ctl set 3/xvda read-iops=200 write-iops=100
check "reads stay within that" within_limit 3/xvda reads 200 68 0.3
check "so do writes" within_limit 3/xvda writes 100 66 0.3
before=$(turns) requests=$(($(stat_of 3/xvda reads) + $(stat_of 3/xvda writes)))
sleep 0.3
requests=$(($(stat_of 3/xvda reads) + $(stat_of 3/xvda writes) - requests))
check "the reactor sleeps meanwhile" [ $(($(turns) - before)) -lt $((20 * requests + 100)) ]
check "bytes are limited too" ctl set 3/xvda read-iops=0 write-iops=0 read-bps=1M write-bps=2M
check "bytes read stay within that" within_limit 3/xvda bytes_read 1000000 300000 0.3
check "bytes written too" within_limit 3/xvda bytes_written 2000000 320000 0.3
sim 0 xenstore-write /local/domain/0/backend/vbd/3/51712/xenblkd/read-iops 50
check "a toolstack sets limits in xenstore" wait_for 5 is_limit 3/xvda read-iops 50
check "a word that is none is refused" ctl_fails 1 'expected a number from 0 to' set 3/xvda read-iops=quick
check "and a setting that is none" ctl_fails 1 'there is no setting "speed"; there are read-iops' set 3/xvda speed=9
check "and nothing was changed by that" is_limit 3/xvda read-iops 50
check "under a limit the guest ends soon" timeout 5 kill -TERM "$guest_pid"
wait "$guest_pid"
guest_pid=''

check "limits are gone with the disk" disk_remove 3 51712
disk_create 3 51728 "file:$XENSIM_DIR/disk"
check "another one has none" is_limit 3/51728 read-iops 0

# What is paused is lost by nobody.
XENSIM_DOMID=3 LD_PRELOAD=$preload "$BUILD/tools/blkload/blkload" --quiet --timeout=100 --device=/local/domain/3/device/vbd/51728 \
	--rw=randrw --verify --fill --queues=2 --flush-every=50 --barrier-every=70 --time=1000 >"$XENSIM_DIR/load" 2>&1 &
guest_pid=$!
check "a guest has load and verifies" wait_for 10 moves copies
check "its disk is paused" ctl pause 3/xvda
paused_copies=$(xensim show copies)
check "and shown so" [ "$(ctl --interval=0.1 list | grep -c '^3/xvda .* paused ')" -eq 1 ]
check "nothing moves" counter_is copies "$paused_copies"
check "it is resumed" ctl resume 3/xvda
check "it goes on" wait_for 10 moves copies
check "limited, with much that waits" ctl set 3/xvda write-iops=20 read-iops=20
sleep 0.2
check "it is paused without waiting for that" ctl pause 3/xvda
check "a daemon that is started anew" stop_daemon
check "is there again" start_daemon
check "and has it paused" wait_for 10 is_paused 3/xvda
check "and limited" is_limit 3/xvda write-iops 20
check "without limits" ctl set 3/xvda write-iops= read-iops=
check "it is resumed again" ctl resume 3/xvda
check "it goes on again" wait_for 10 moves copies
load_ends_well() { kill -TERM "$guest_pid"; wait "$guest_pid" || { cat "$XENSIM_DIR/load"; return 1; }; }
check "what the guest reads is what it wrote" load_ends_well
guest_pid=''
disk_remove 3 51728

# A guest that no toolstack gives a disk.
xensim create 5
front=/local/domain/5/device/vbd/51728
wait_for 5 sim 0 xenstore-exists /local/domain/5/domid
truncate -s 8M "$XENSIM_DIR/grows"
check "a domain that is none is named" ctl_fails 1 'there is no domain "77"' attach 77 xvdb null:1G
check "and a device that is none" ctl_fails 1 'expected xvda to xvdzz' attach 5 hda1 null:1G
ctl attach 5 xvdb "file:$XENSIM_DIR/grows" read-iops=5000 >"$XENSIM_DIR/attached" 2>&1 &
attach_pid=$!
check "a disk is attached" wait_for 10 sim 0 xenstore-exists $front/state
guest_start 5 51728 --rate=100 --time=1000
check "its guest connects, and that is said" wait $attach_pid
check "with its settings" is_limit 5/xvdb read-iops 5000
truncate -s 16M "$XENSIM_DIR/grows"
check "it has grown" ctl resize 5/xvdb
check "as its guest is told" is "$(sim 0 xenstore-read /local/domain/0/backend/vbd/5/51728/sectors)" 32768
check "top shows it" [ "$(ctl --interval=0.1 --count=2 top | grep -c '^5/xvdb ')" -eq 2 ]
check "a second of that name is refused" ctl_fails 1 'has a device xvdb' attach 5 xvdb null:1G
kill -TERM "$guest_pid"
wait "$guest_pid"
guest_pid=''
check "it is detached" ctl detach 5/xvdb
check "and its nodes are gone" wait_for 10 not sim 0 xenstore-exists /local/domain/0/backend/vbd/5/51728
check "also those of the guest" not sim 0 xenstore-exists $front

check "the daemon ends" stop_daemon
check "its socket is gone" [ ! -e "$socket" ]
check "nothing is left" nothing_is_left
finish
