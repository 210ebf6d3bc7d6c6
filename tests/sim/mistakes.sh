#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What operators do wrong, and what they are told: each message says what to do, and stands in
# doc/troubleshooting.md.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

top=$(dirname "$0")/../..
doc=$top/doc/troubleshooting.md
bdf=0000:00:05.0 other=0000:00:07.0
device=51712
port=$((20000 + $$ % 20000))

# told TEXT WORDS COMMAND... - what the command prints has these words, and so has the manual
told() {
	local text=$1 words=$2 said
	shift 2
	check "$text" says_and_stands "$words" "$@"
}

says_and_stands() {
	local words=$1 said
	shift
	said=$("$@" 2>&1)
	echo "$said"
	grep -qF -- "$words" <<<"$said" || { echo "expected: $words"; return 1; }
	grep -qF -- "$words" "$doc" || { echo "not in the manual: $words"; return 1; }
}

# another_xenblkd OPTION... - it is not to start; on this machine of ours
another_xenblkd() {
	LD_PRELOAD=$preload timeout 20 "$BUILD/src/xenblkd" --state-dir="$XENSIM_DIR/other" "$@"
}

# with_file LINE... - with these in its configuration
with_file() {
	printf '%s\n' "$@" >"$XENSIM_DIR/conf"
	another_xenblkd --config="$XENSIM_DIR/conf"
}

# disk TARGET - a guest is to have it; why it has not, as xl says it, by the hotplug script
disk() {
	device=$((device + 16))
	disk_create 1 $device "$1"
	wait_for 10 state_is "/local/domain/0/backend/vbd/1/$device" 2
	XENBUS_PATH=backend/vbd/1/$device sim 0 sh "$top/tools/block-xenblkd" add
}

# logs COMMAND... - what the daemon logs meanwhile, one line at least
logs() {
	local before
	before=$(wc -l <"$log")
	"$@" >/dev/null 2>&1
	wait_for 10 log_is_longer_than "$before"
	tail -n +"$((before + 1))" "$log"
}

log_is_longer_than() {
	[ "$(wc -l <"$log")" -gt "$1" ]
}

check "the store starts" start_store

# xl waits a while for a daemon that does not run; so does this, beside the others, and in shorter steps.
mkdir "$XENSIM_DIR/bin"
printf '#!/bin/sh\nexec /bin/sleep 0.01\n' >"$XENSIM_DIR/bin/sleep"
chmod +x "$XENSIM_DIR/bin/sleep"
xensim create 9
wait_for 5 sim 0 xenstore-exists /local/domain/9/domid
sim 0 xenstore-write /local/domain/0/backend/vbd/9/51712/frontend /local/domain/9/device/vbd/51712
XENBUS_PATH=/local/domain/0/backend/vbd/9/51712 PATH=$XENSIM_DIR/bin:$PATH \
	sim 0 sh "$top/tools/block-xenblkd" add >"$XENSIM_DIR/no-daemon" 2>&1 &
script_pid=$!

told "a word that is no option" 'see --help' another_xenblkd --pol-us=5
told "a value that is none" 'poll-us is "soon", expected a number from 0 to 1000000' with_file 'poll-us = soon'
told "a setting that is none" '"xenblkd --help" shows which there are' with_file 'poll = 5'
told "a line that is none" 'expected NAME = VALUE' with_file '[xenblkd]'
told "reactors and CPUs that do not fit" 'expected one for each of 3 reactors' with_file 'reactors = 3' 'cpu = 1,2'
chmod 666 "$XENSIM_DIR/conf"
told "a file that others may write to" 'others may write to it; expected 0644 (chmod go-w)' with_file ''
told "a user that is none" 'there is no such user' another_xenblkd --user=xen-blkd
told "a CPU that is none" 'expected CPUs that there are' another_xenblkd --cpu=4000
chmod 777 "$XENSIM_DIR/other"
told "a state directory that others may write to" 'others may write to it; expected 0700' another_xenblkd
chmod 700 "$XENSIM_DIR/other"
told "no Xen" 'is this a Xen host, and xenstored running?' env XENSTORED_PATH="$XENSIM_DIR/none" \
	LD_PRELOAD="$preload" "$BUILD/src/xenblkd" --state-dir="$XENSIM_DIR/other"

mkdir -p "$XENSIM_DIR/sys/bus/xen-backend/drivers/vbd"
python3 -c '
import socket, sys, time
s = socket.socket()
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
time.sleep(300)' $port &
nvme_pids+=" $!" # ends with the story
wait_for 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
check "the daemon starts" start_daemon --metrics-port=$port
told "the kernel's backend is there too" 'xen-blkback is loaded, and answers for the same disks: unload it' cat "$log"
told "a port that somebody else has" 'choose another metrics-port' cat "$log"
check "it answers all the same" ctl list
told "a second daemon" 'a second one takes a class and a state-dir of its own' another_xenblkd --state-dir="$XENSIM_DIR/run"

truncate -s 8M "$XENSIM_DIR/disk" "$XENSIM_DIR/qcow2" "$XENSIM_DIR/drive"
printf 'QFI\xfb' | dd of="$XENSIM_DIR/qcow2" conv=notrunc status=none
: >"$XENSIM_DIR/empty"
told "an image that is not there" 'expected a disk that was made before' disk "file:$XENSIM_DIR/vm.img"
told "a directory" 'is a directory; expected a regular file or a block device' disk "file:$XENSIM_DIR"
told "a path that is relative" 'is a relative path; expected an absolute path' disk file:vm.img
told "an empty file" 'has 0 bytes; expected 512 at least' disk "file:$XENSIM_DIR/empty"
told "a target that is none" 'names no block device; expected' disk "qcow2:$XENSIM_DIR/qcow2"
told "a way of data that is none" 'expected auto, auto:BYTES, direct, copy or persistent' disk "file:$XENSIM_DIR/disk?transfer=fast"
told "an image that is not raw" 'begins as a qcow2 image does' logs disk "file:$XENSIM_DIR/qcow2"
disk "file:$XENSIM_DIR/disk" >/dev/null
told "a disk that somebody has" 'is locked: another disk or program has it open' disk "file:$XENSIM_DIR/disk"
check "a drive is there" start_nvme $bdf "$XENSIM_DIR/drive"
mkdir -p "$XENSIM_DIR/sys/bus/pci/devices/$other"
echo 0x020000 >"$XENSIM_DIR/sys/bus/pci/devices/$other/class"
told "a drive that is not there" 'there is no such PCI device here; "lspci -D" shows those there are' disk nvme:0000:00:09.0/1
told "a device that is no drive" 'is no NVMe controller' disk nvme:$other/1
told "a drive without a namespace" 'expected DOMAIN:BUS:DEVICE.FUNCTION/NAMESPACE' disk nvme:$bdf
told "a namespace that is not there" 'has no namespace 9; expected 1 to' disk nvme:$bdf/9
told "a partition of a drive that has none" 'so it is not partitioned; expected a' disk nvme:$bdf/1/PARTLABEL=vm1
disk nvme:$bdf/1 >/dev/null
told "a namespace that another disk has" 'is in use: another disk has it' disk nvme:$bdf/1
told "to resize a drive" 'another size of such a device is seen when it is opened anew' ctl resize 1/$device

told "a disk that is not there" '"xenblkctl list" shows those there are' ctl show 9/xvda
told "a command that is none" 'see xenblkctl --help' ctl lsit
told "a limit that is none" 'such as 5000 or 200M; 0 is no limit' ctl set 1/$device read-iops=fast
told "a setting that is none" 'there are read-iops, write-iops' ctl set 1/$device iops=100
told "the same by xenstore" 'read-iops is "fast", expected a number' \
	logs sim 0 xenstore-write "/local/domain/0/backend/vbd/1/$device/xenblkd/read-iops" fast
told "a guest that is not there" '"xl list" shows those there are' ctl attach 77 xvdb null:1G
told "a device that is none" 'is no virtual device, expected xvda to xvdzz, or a number' ctl attach 1 hdz null:1G
told "to detach a disk that xl made" 'was made by a toolstack, which has to take it back: xl block-detach' ctl detach 1/$device
wait $script_pid
told "xl without a daemon" 'is it running? (systemctl status xenblkd)' cat "$XENSIM_DIR/no-daemon"
check "the daemon is told to end" stop_daemon
told "xenblkctl without a daemon" 'is xenblkd running? (systemctl status xenblkd)' ctl list
finish
