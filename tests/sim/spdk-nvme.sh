#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# SPDK's NVMe driver on our env: DMA straight from and to a guest's pages, kills, faults, and drives that go.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

if ! "$BUILD/src/xenblkd" --version | grep -q SPDK; then
	echo "ok $((number += 1)) - SPDK's NVMe driver # SKIP this build has no SPDK"
	finish
	exit
fi

rpc=$XENSIM_DIR/spdk.sock
bdf=0000:00:05.0
other_bdf=0000:00:06.0
truncate -s 32M "$XENSIM_DIR/disk1" "$XENSIM_DIR/disk2"
many=2000
[ -z "$asan" ] || many=300

rpc() {
	"$BUILD/tools/xenblkctl/xenblkctl" --socket="$rpc" call "$@"
}

attach() {
	echo "{ \"method\": \"bdev_nvme_attach_controller\", \"params\": { \"name\": \"$1\", \"trtype\": \"PCIe\", \"traddr\": \"$2\" } }"
}

cat >"$XENSIM_DIR/spdk.json" <<EOF
{ "subsystems": [ { "subsystem": "bdev", "config": [ $(attach A $bdf), $(attach B $other_bdf) ] } ] }
EOF

start_spdk_daemon() {
	start_daemon --spdk-config="$XENSIM_DIR/spdk.json" --spdk-rpc="$rpc" "$@"
}

load() {
	local domid=$1
	shift
	guest "$domid" 51712 --rw=randrw --verify --depth=32 --fill --count=$many --size=512-44k --align=512 "$@"
}

check "the store starts" start_store
check "a controller is there" start_nvme $bdf "$XENSIM_DIR/disk1"
check "and one without SGLs" start_nvme -p $other_bdf "$XENSIM_DIR/disk2"
check "the daemon starts, and SPDK's driver takes both" start_spdk_daemon --max-queues=1
check "from the kernel" not has_driver $bdf
disk_create 1 51712 "spdk:An1?transfer=direct"
check "all sizes, in random parts of pages, verified" load 1 --layout=random --flush-every=50
check "data went straight" counter_is copies 0
disk_create 2 51712 "spdk:Bn1?transfer=direct"
check "so they are where there are only PRPs" load 2 --layout=random
check "the controllers reached nothing that is not for devices" counter_is device_strays 0

# flushes_arrive - fifty writes with a flush after each of them
flushes_arrive() {
	local before
	before=$(xensim show nvme_commands)
	guest 1 51712 --rw=write --size=4k --depth=1 --count=100 --flush-every=1 && [ $(($(xensim show nvme_commands) - before)) -ge 100 ]
}
check "flushes reach the drive" flushes_arrive

# Unrecovered read error, with the bit that says not to try again.
xensim set 'nvme_fail=200 nvme_status=17025'
check "a command that fails for good fails its request" not guest 1 51712 --rw=randread --count=1000
check "one" wait_for 5 daemon_says ' 1 errors,'
check "and no other" load 1
check "nor is the controller reset for it" not daemon_says 'resetting controller'

# Killed in the middle of DMA, and begun again, under a guest.
disk_remove 2 51712
guest_start 1 51712 --rw=randrw --verify --fill --size=512-44k --align=512 --layout=random --span=8m --time=60
for _ in 1 2 3 4; do
	check "a guest works on it" wait_for 20 moves nvme_commands
	kill_daemon
	check "the daemon is killed, and starts again" start_spdk_daemon --max-queues=1
	check "it stops the controllers first" daemon_says "nvme:$bdf: a predecessor was killed; stopped"
	check "what was in flight, or nothing, begins again" wait_for 20 daemon_says '1/xvda: connected'
done
check "the guest goes on" wait_for 20 moves nvme_commands
check "and has read what it wrote" guest_stops 1
check "nothing was reached that is not for devices" counter_is device_strays 0
disk_remove 1 51712
check "the daemon ends" stop_daemon
check "the kernel has the controllers" has_driver $bdf

# A queue that goes from one reactor to another has no channel in between.
check "two reactors are started" start_spdk_daemon --reactors=2 --max-queues=1 --transfer=copy
disk_create 3 51712 spdk:An1
disk_create 4 51712 null:16M
disk_create 5 51712 spdk:Bn1
guest_start 3 51712 --rw=randread --depth=32 --time=60
one_pid=$guest_pid
check "a disk" wait_for 20 daemon_says '3/xvda: connected'
guest_start 4 51712 --rw=randread --depth=1 --rate=10 --time=60
other_pid=$guest_pid
check "another, on the other reactor" wait_for 20 daemon_says '4/xvda: connected'
guest_start 5 51712 --rw=randrw --verify --fill --depth=32 --time=60
third_pid=$guest_pid
guest_pid="$one_pid $other_pid $third_pid"
check "and a third on that of the first" wait_for 20 daemon_says '5/xvda: connected'
xensim set cost_copy_ns=20000
check "one of the two moves" wait_for 30 daemon_says 'queue 0 goes from reactor 0 to reactor 1'
xensim set cost_copy_ns=0
check "it goes on" wait_for 20 moves nvme_commands
kill -TERM "$one_pid" "$other_pid" "$third_pid"
check "the first has ended well" wait "$one_pid"
check "and the third has read what it wrote" wait "$third_pid"
wait "$other_pid"
guest_pid=''
check "all go" eval 'disk_remove 3 51712; disk_remove 4 51712; disk_remove 5 51712'

# Drives that are pulled out: one that is a disk, and one with a volume.
check "a store for volumes is made" rpc bdev_lvol_create_lvstore \
	'{"bdev_name": "Bn1", "lvs_name": "lvs", "cluster_sz": 1048576}'
check "and a volume in it" rpc bdev_lvol_create '{"lvs_name": "lvs", "lvol_name": "vm", "size_in_mib": 16}'
disk_create 6 51712 "spdk:An1?transfer=direct"
disk_create 7 51712 spdk:lvs/vm
disk_create 8 51712 null:16M
guest_start 6 51712 --rw=randrw --size=4k-44k --time=60
one_pid=$guest_pid
guest_start 7 51712 --rw=randrw --size=4k-44k --time=60
guest_pid+=" $one_pid"
check "guests work on them" wait_for 20 daemon_says '7/xvda: connected'
check "and go on" wait_for 20 moves nvme_commands
xensim set nvme_gone=1
for bdev in An1 lvs/vm; do
	check "$bdev is gone, and the log says so" wait_for 20 daemon_says "spdk:$bdev: SPDK wants it back"
	check "SPDK has it" wait_for 20 daemon_says "spdk:$bdev: given back to SPDK"
done
for domid in 6 7; do
	check "its guest has errors" wait_for 10 grep -q 'answered with -1' "$XENSIM_DIR/guest-$domid"
	xensim destroy $domid
	sim 0 xenstore-rm /local/domain/$domid /local/domain/0/backend/vbd/$domid
done
wait $guest_pid 2>/dev/null # they have ended with their domains
guest_pid=''
check "another disk is served" guest 8 51712 --rw=randread --count=100
disk_remove 8 51712
# SPDK does not let go of the drive with volumes: ten seconds are what it is waited for.
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
