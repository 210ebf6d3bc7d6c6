#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What XAPI is told by the datapath plugin, by the rules of its interface; a disk made as it says; and the
# statistics that xcp-rrdd-iostat looks for. XAPI itself is not here.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

xapi=$(cd "$(dirname "$0")/../../packaging/xapi" && pwd)
plugin=$xapi/datapath/xenblkd
shm=$XENSIM_DIR/shm
uri=xenblkd://$XENSIM_DIR/disk

# call NAME ARGUMENTS - as xapi-storage-script does it
call() {
	echo "$2" | "$plugin/$1" --json
}

# says NAME ARGUMENTS PYTHON - what it answers is JSON, of which this holds
says() {
	local answer
	answer=$(call "$1" "$2") || { echo "$answer"; return 1; }
	holds "$answer" "$3"
}

holds() {
	echo "$1"
	python3 -c 'import json, sys; r = json.loads(sys.argv[1]); assert eval(sys.argv[2]), sys.argv[2]' "$1" "$2"
}

# refuses NAME ARGUMENTS PYTHON - with status 1, and an error of the form that there is for it
refuses() {
	local answer status
	answer=$(call "$1" "$2")
	status=$?
	is "$status" 1 && holds "$answer" "set(r) == {'code', 'params', 'backtrace'} \
		and set(r['backtrace']) == {'error', 'files', 'lines'} and all(type(p) == str for p in r['params']) and ($3)"
}

args() {
	echo "{\"dbg\": \"t\", \"uri\": \"$1\", \"domain\": \"d\"}"
}

opening() {
	echo "{\"dbg\": \"t\", \"uri\": \"$1\", \"persistent\": $2}"
}

truncate -s 8M "$XENSIM_DIR/disk"
check "it says what it is" says Plugin.Query '{"dbg": "t"}' "r['plugin'] == 'xenblkd' and r['required_api_version'] == '5.0' \
	and set(r) == {'plugin', 'name', 'description', 'vendor', 'copyright', 'version', 'required_api_version', \
	'features', 'configuration', 'required_cluster_stack'}"
check "a volume is opened" says Datapath.open "$(opening "$uri" true)" "r is None"
check "and attached" says Datapath.attach "$(args "$uri")" "r == {'implementations': \
	[['XenDisk', {'params': 'file:$XENSIM_DIR/disk', 'extra': {}, 'backend_type': 'vbd3'}], \
	['File', {'path': '$XENSIM_DIR/disk'}]]}"
check "and again, with the same answer" says Datapath.attach "$(args "$uri")" "r['implementations'][0][0] == 'XenDisk'"
for name in activate activate deactivate deactivate detach detach; do
	check "$name has nothing to say" says "Datapath.$name" "$(args "$uri")" "r is None"
done
check "it is closed" says Datapath.close "{\"dbg\": \"t\", \"uri\": \"$uri\"}" "r is None"
check "a drive has its URI" says Datapath.attach "$(args 'xenblkd://nvme/0000:05:00.0/1/PARTLABEL=vm%201?transfer=copy')" \
	"r == {'implementations': [['XenDisk', {'params': 'nvme:0000:05:00.0/1/PARTLABEL=vm 1?transfer=copy', \
	'extra': {}, 'backend_type': 'vbd3'}]]}"
check "what is not there is refused" refuses Datapath.attach "$(args 'xenblkd:///nowhere')" "'No such file or directory' in r['params']"
check "and a URI of another kind" refuses Datapath.attach "$(args 'vhd:///srv/x')" "'expected xenblkd:///PATH' in r['params'][2]"
check "and a relative path" refuses Datapath.attach "$(args 'xenblkd://srv/x')" "'three slashes' in r['params'][2]"
check "and writes that are to be thrown away" refuses Datapath.open "$(opening "$uri" false)" "r['code'] == 'Unimplemented'"
check "and an argument that is missing" refuses Datapath.attach '{"dbg": "t"}' "r['code'] == 'TypeError'"
check "and what is no JSON" refuses Datapath.attach 'x' "r['code'] == 'UnmarshalException'"
check "detach never fails" says Datapath.detach "$(args 'xenblkd:///nowhere')" "r is None"

# As xenopsd makes it of the answer.
disk_of_class_vbd3() {
	local front=/local/domain/1/device/vbd/51712 back=/local/domain/0/backend/vbd3/1/51712
	xensim create 1
	wait_for 5 sim 0 xenstore-exists /local/domain/1/domid &&
	sim 0 xenstore-write "$front/backend" "$back" "$front/backend-id" 0 "$front/state" 1 \
		"$front/virtual-device" 51712 "$front/device-type" disk &&
	sim 0 xenstore-chmod -r "$front" n1 r0 &&
	sim 0 xenstore-write "$back/frontend" "$front" "$back/frontend-id" 1 "$back/params" "$1" "$back/mode" w \
		"$back/online" 1 "$back/dev" xvda "$back/state" 1 &&
	sim 0 xenstore-chmod -r "$back" n0 r1
}

# rrdd FIELDS - those of the file that it would map
rrdd() {
	python3 -c '
import glob, struct, sys
path, = glob.glob(sys.argv[1] + "/td3-*/vbd-1-51712")
fields = struct.unpack_from("<II11Q", open(path, "rb").read())
print(*(fields[int(i)] for i in sys.argv[2:]))' "$shm" "$@"
}

stat() {
	"$BUILD/tools/xenblkctl/xenblkctl" --socket="$XENSIM_DIR/run/rpc.sock" --json show 1/xvda |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["stats"][sys.argv[1]])' "$1"
}

# Version 1; reads completed and their sectors; writes; errors.
rrdd_is_right() {
	is "$(rrdd 0 4 5 8 9 11)" "1 $(stat reads) $(($(stat bytes_read) / 512)) $(stat writes) $(($(stat bytes_written) / 512)) 0"
}

check "the store starts" start_store
check "the daemon serves class vbd3" start_daemon --class=vbd3
check "a disk is made of the answer" disk_of_class_vbd3 \
	"$(call Datapath.attach "$(args "$uri")" | python3 -c 'import json, sys; print(json.load(sys.stdin)["implementations"][0][1]["params"])')"
mkdir "$shm"
LD_PRELOAD=$preload ASAN_OPTIONS=detect_leaks=0 python3 "$xapi/xenblkd-rrdd" --socket="$XENSIM_DIR/run/rpc.sock" \
	--shm="$shm" --interval=0.05 2>"$XENSIM_DIR/rrdd.err" &
rrdd_pid=$!
nvme_pids+=" $rrdd_pid" # ends with the story
guest_start 1 51712 --rw=randrw --rate=1000 --time=1000
check "a guest uses it" wait_for 10 moves copies
check "statistics are announced" wait_for 10 [ -d "$shm/vbd3-1-51712" ]
check "whose is known by a node" is "$(sim 0 xenstore-read /local/domain/0/backend/vbd3/1/51712/kthread-pid)" "$rrdd_pid"
kill -STOP "$guest_pid"
check "they are the disk's" wait_for 10 rrdd_is_right
kill -CONT "$guest_pid"
kill -TERM "$guest_pid"
wait "$guest_pid"
guest_pid=''
check "they go with the guest" wait_for 10 [ ! -e "$shm/vbd3-1-51712" ]
nvme_pids=${nvme_pids% $rrdd_pid}
kill "$rrdd_pid"
wait "$rrdd_pid"
check "nothing is left there" is "$(ls "$shm")" ""
check "nor was anything wrong" is "$(cat "$XENSIM_DIR/rrdd.err")" ""
check "the daemon ends" stop_daemon
finish
