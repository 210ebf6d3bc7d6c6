#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What the daemon has given up once it serves; and what it does not open, whoever asks.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

bdf=0000:00:05.0
truncate -s 8M "$XENSIM_DIR/disk" "$XENSIM_DIR/drive"

# threads_have FIELD VALUE - each thread of the daemon
threads_have() {
	is "$(sed -n "s/^$1:[[:space:]]*//p" "/proc/$daemon_pid/task/"*/status | sort -u)" "$2"
}

nr_threads_is_not() {
	not is "$(ls "/proc/$daemon_pid/task" | wc -l)" "$1"
}

# another_daemon OPTION... - beside the first, with disks of its own
another_daemon() {
	mkdir -p "$XENSIM_DIR/other"
	LD_PRELOAD=$preload "$BUILD/src/xenblkd" --state-dir="$XENSIM_DIR/other" --class=vbd3 \
		--confine=kill "$@" 2>"$XENSIM_DIR/other.log" &
	other_pid=$!
	nvme_pids+=" $other_pid" # ends with the story
	wait_for 20 grep -q ' ready: ' "$XENSIM_DIR/other.log"
}

# refused DEVICE TARGET REASON - a disk of guest 9 is not opened
refused() {
	disk_create 9 "$1" "$2" &&
	wait_for 10 sim 0 xenstore-exists "/local/domain/0/backend/vbd/9/$1/xenblkd-error" &&
	sim 0 xenstore-read "/local/domain/0/backend/vbd/9/$1/xenblkd-error" | tee /dev/stderr | grep -Eq "$3"
}

end_the_other() {
	nvme_pids=${nvme_pids% $other_pid}
	kill "$other_pid"
	wait "$other_pid"
}

# refused_by_the_other TARGET REASON
refused_by_the_other() {
	local back=/local/domain/0/backend/vbd3/8/51712 front=/local/domain/8/device/vbd3/51712
	xensim create 8
	sim 0 xenstore-write "$front/backend" "$back" "$front/state" 1 "$back/frontend" "$front" \
		"$back/frontend-id" 8 "$back/params" "$1" "$back/mode" w "$back/online" 1 "$back/state" 1 &&
	wait_for 10 sim 0 xenstore-exists "$back/xenblkd-error" &&
	sim 0 xenstore-read "$back/xenblkd-error" | tee /dev/stderr | grep -q "$2"
	local status=$?
	sim 0 xenstore-rm "$back"
	return $status
}

# start_daemon_as_the_unit OPTION... - with its capabilities and no others
start_daemon_as_the_unit() {
	local unit caps
	: >"$log"
	unit=$(dirname "$0")/../../packaging/xenblkd.service.in
	caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" | sed 's/CAP_/+/g; s/ /,/g' | tr '[:upper:]' '[:lower:]')
	setpriv --no-new-privs --inh-caps=-all --bounding-set="-all,${caps:?}" env LD_PRELOAD="$preload" \
		"$BUILD/src/xenblkd" --state-dir="$XENSIM_DIR/run" --confine=kill "$@" 2>"$log" &
	daemon_pid=$!
	wait_for 20 daemon_ready
}

# What the daemon tells systemd, which asks for it in the environment.
start_systemd() {
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    print(s.recv(4096).decode(), flush=True)' "$XENSIM_DIR/notify" >"$XENSIM_DIR/told" &
	nvme_pids+=" $!"
	wait_for 10 [ -S "$XENSIM_DIR/notify" ]
}

# refuses_to_start TEXT OPTION... - a daemon beside the one that runs, if one does
refuses_to_start() {
	local text=$1
	shift
	! LD_PRELOAD=$preload timeout 20 "$BUILD/src/xenblkd" --confine=kill "$@" 2>"$XENSIM_DIR/other.log" &&
	tee /dev/stderr <"$XENSIM_DIR/other.log" | grep -q "$text"
}

check "the store starts" start_store
check "the daemon starts" start_daemon
check "it has several threads" nr_threads_is_not 1
check "all are under the filter" threads_have Seccomp 2
check "none gets privileges by exec" threads_have NoNewPrivs 1
if [ "$(id -u)" = 0 ]; then
	check "it keeps two capabilities of root's" threads_have CapEff 0000000000200002
	check "and can get no other" threads_have CapBnd 0000000000200002
fi
check "a guest is served so" disk_create 1 51712 "file:$XENSIM_DIR/disk"
check "it reads and writes" guest 1 51712 --rw=randrw --verify --fill --count=500
guest_start 1 51712 --time=600 --rw=randread
check "and goes on" wait_for 20 moves copies

ln -s disk "$XENSIM_DIR/link"
mkfifo "$XENSIM_DIR/fifo"
check "what a disk has open for writing is refused to another" refused 51712 "file:$XENSIM_DIR/disk" 'is locked'
check "by another name as well" refused 51728 "file:$XENSIM_DIR/link" 'is locked'
check "and so it is by another daemon's disk" another_daemon
check "for the lock is the kernel's" refused_by_the_other "file:$XENSIM_DIR/disk" 'is locked'
end_the_other
check "a FIFO is refused, and nobody waits for it" refused 51744 "file:$XENSIM_DIR/fifo" 'is a FIFO'
check "a directory is" refused 51760 "file:$XENSIM_DIR/run" 'is a directory'
check "a relative path is" refused 51776 file:disk 'is a relative path'
check "a device that is none is" refused 51792 file:/dev/null 'is a character device'
check "and one that is not there" refused 51808 "file:$XENSIM_DIR/none" 'No such file'
check "the first guest has noticed nothing" wait_for 20 moves copies
guest_end

check "a controller is there" start_nvme $bdf "$XENSIM_DIR/drive"
disk_create 3 51712 nvme:$bdf/1
guest_start 3 51712 --time=600 --rw=randrw --verify --fill
check "its guest is under load" wait_for 20 moves copies
check "a namespace that a disk is on is refused to another" refused 51824 nvme:$bdf/1 'another disk has it'
check "another daemon starts" another_daemon
check "it is refused it too" refused_by_the_other nvme:$bdf/1 'another process drives it'
end_the_other
check "as it does the directory" refuses_to_start 'another xenblkd is running' --state-dir="$XENSIM_DIR/run"
check "the guest has noticed nothing" wait_for 20 moves copies
kill -TERM "$guest_pid"
check "nor read anything else than it wrote" wait "$guest_pid"
guest_pid=''
check "its disk goes" disk_remove 3 51712
check "the daemon ends" stop_daemon

mkdir "$XENSIM_DIR/open"
chmod 777 "$XENSIM_DIR/open"
ln -s run "$XENSIM_DIR/to-run"
check "a state directory that others write to is refused" \
	refuses_to_start 'others may write to' --state-dir="$XENSIM_DIR/open"
check "one that is a symbolic link too" \
	refuses_to_start 'cannot open .*/to-run' --state-dir="$XENSIM_DIR/to-run"

check "without hypercalls" xensim set fail_map_permille=1000
check "it starts as well" start_daemon
xensim set fail_map_permille=0
if [ "$(id -u)" = 0 ]; then
	check "and keeps one capability" threads_have CapEff 0000000000000002
fi
check "and ends" stop_daemon
if [ "$(id -u)" = 0 ]; then
	check "there is a systemd" start_systemd
	export NOTIFY_SOCKET=$XENSIM_DIR/notify
	check "the capabilities that its unit has are enough to start with" start_daemon_as_the_unit
	unset NOTIFY_SOCKET
	check "systemd is told" wait_for 10 grep -q READY=1 "$XENSIM_DIR/told"
	check "of which it keeps two" threads_have CapEff 0000000000200002
	check "and it ends" stop_daemon
fi
check "it can be told to keep all" start_daemon --confine=no
check "then there is no filter" threads_have Seccomp 0
check "and it ends" stop_daemon

if [ "$(id -u)" = 0 ] && id nobody >/dev/null; then
	xensim destroy 1
	sim 0 xenstore-rm /local/domain/0/backend/vbd
	chmod -R a+rwX "$XENSIM_DIR"
	chmod 700 "$XENSIM_DIR/run"
	# A process that has changed its user is not to be looked into, by the leak checker either.
	ASAN_OPTIONS=detect_leaks=0
	check "it starts as another user" start_daemon_as_the_unit --user=nobody
	check "all of it is that user" threads_have Uid "$(printf '%s\t%s\t%s\t%s' $(for i in 1 2 3 4; do id -u nobody; done))"
	check "without any capability" threads_have CapEff 0000000000000000
	check "under the filter" threads_have Seccomp 2
	check "it says how data goes" daemon_says 'data goes by the gntdev driver.*with --user'
	check "a disk that it may open is served" disk_create 2 51712 "file:$XENSIM_DIR/disk"
	check "its guest reads and writes" guest 2 51712 --rw=randrw --verify --fill --count=500 --segments=64
	truncate -s 8M "$XENSIM_DIR/of-root"
	check "one that it may not is refused" refused 51712 "file:$XENSIM_DIR/of-root" 'Permission denied'
	check "an NVMe drive is too" refused 51728 nvme:$bdf/1 'needs memory for DMA: with --user'
	check "killed, it is followed by another" kill_daemon
	check "of the same kind" start_daemon --user=nobody
	check "which serves the guest on" guest 2 51712 --rw=randrw --verify --fill --count=500
	check "it ends" stop_daemon
	check "nothing is left" nothing_is_left
	check "no state either" is "$(ls "$XENSIM_DIR/run")" lock
fi
finish
