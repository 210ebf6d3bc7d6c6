#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Counters for xentop: what libxenstat reads from xenstore and asks QEMU is there for guests without a QEMU, for
# as long as "xenblkctl xentop" runs. Here something else asks as libxenstat does; xentop itself is in the lab.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

socket=$XENSIM_DIR/run/rpc.sock
qmp=$XENSIM_DIR/xen
qdisk=/local/domain/0/backend/qdisk
xentop_pid=''
mkdir "$qmp"

start_xentop() {
	XENSIM_DOMID=0 LD_PRELOAD=$preload "$BUILD/tools/xenblkctl/xenblkctl" --socket="$socket" xentop "$qmp" \
		>"$XENSIM_DIR/xentop.log" 2>&1 &
	xentop_pid=$!
}

# end_xentop SIGNAL STATUS - signal 0: it ends by itself
end_xentop() {
	local status
	kill "-$1" "$xentop_pid"
	wait "$xentop_pid" 2>/dev/null
	status=$?
	cat "$XENSIM_DIR/xentop.log"
	is "$status" "$2"
}

# asks DOMID PYTHON - libxenstat's questions, an answer each being what comes within 50 ms; of them this holds
asks() {
	python3 -c '
import json, select, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
def ask(command):
    s.sendall(command.encode())
    got = b""
    while select.select([s], [], [], 0.05 if got else 10)[0]:
        data = s.recv(1024)
        if not data:
            break
        got += data
    print(got.decode())
    return [json.loads(line) for line in got.decode().splitlines()]
hello = ask("{ \"execute\": \"qmp_capabilities\" }")
stats = ask("{ \"execute\": \"query-blockstats\" }")[-1]["return"]
block = ask("{ \"execute\": \"query-block\" }")[-1]["return"]
files = {d["device"]: d["inserted"]["file"] for d in block}
stats = {files[d["device"]]: d["stats"] for d in stats}
assert eval(sys.argv[2]), sys.argv[2]' "$qmp/qmp-libxenstat-$1" "$2"
}

params_are() {
	is "$(sim 0 xenstore-read "$qdisk/$1/$2/params")" "$3"
}

is_there() {
	sim 0 xenstore-exists "$qdisk/$1" && [ -S "$qmp/qmp-libxenstat-$1" ]
}

is_gone() {
	not sim 0 xenstore-exists "$qdisk/$1" && [ ! -e "$qmp/qmp-libxenstat-$1" ]
}

# a_qemu DOMID - answers there, and so do we not
a_qemu() {
	python3 -c '
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1] + ".new")
s.listen()
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)' "$qmp/qmp-libxenstat-$1" &
	nvme_pids+=" $!"
	wait_for 10 [ -S "$qmp/qmp-libxenstat-$1" ]
}

start_store
start_daemon
disk_create 1 51712 null:1G
disk_create 1 51728 null:1G
check "a guest reads" guest 1 51712 --count=100
check "another one has a QEMU that answers" a_qemu 2
disk_create 2 51712 null:1G

start_xentop
check "the first one is answered for" wait_for 10 is_there 1
check "its disks are found by their numbers" params_are 1 51712 /51712
check "each of them" params_are 1 51728 /51728
check "what it has read is said" asks 1 \
	"stats['/51712']['rd_operations'] == 100 and stats['/51712']['rd_bytes'] == 409600 and stats['/51728']['rd_operations'] == 0"
check "there is a greeting" asks 1 "'QMP' in hello[0]"
check "it reads more" guest 1 51712 --count=50
check "which is said as well" wait_for 10 asks 1 "stats['/51712']['rd_operations'] == 150"
check "nothing is written for one with a QEMU" not sim 0 xenstore-exists "$qdisk/2"

check "a disk is taken back" disk_remove 1 51728
check "its number goes" wait_for 10 not sim 0 xenstore-exists "$qdisk/1/51728"
check "a QEMU comes to the first guest" a_qemu 1
check "it is left to that" wait_for 10 not sim 0 xenstore-exists "$qdisk/1"
check "whose socket stays" [ -S "$qmp/qmp-libxenstat-1" ]
rm -f "$qmp/qmp-libxenstat-1"

disk_create 3 51712 null:1G
check "a third guest is answered for" wait_for 10 is_there 3
check "who ends takes it all back" end_xentop TERM 0
check "that is so" is_gone 3

start_xentop
check "it is there again" wait_for 10 is_there 3
check "it is killed" end_xentop KILL 137
xensim destroy 3
sim 0 xenstore-rm /local/domain/0/backend/vbd/3
check "a toolstack's own disk is in xenstore" sim 0 xenstore-write "$qdisk/4/51712/frontend" /somewhere
start_xentop
check "what was left goes at the next start" wait_for 10 not sim 0 xenstore-exists "$qdisk/3"
check "what is not ours stays" sim 0 xenstore-exists "$qdisk/4/51712/frontend"
check "the daemon ends" stop_daemon
check "and so does it, with status 3" end_xentop 0 3
finish
