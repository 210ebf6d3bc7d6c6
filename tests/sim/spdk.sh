#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# spdk: disks, in a build with SPDK; and what is said without it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

rpc=$XENSIM_DIR/spdk.sock

# rpc METHOD [PARAMS] - one request to SPDK's socket, as its rpc.py makes it; the result, or it fails
rpc() {
	"$BUILD/tools/xenblkctl/xenblkctl" --socket="$rpc" call "$@"
}

# A daemon that does not start.
start_in_front() {
	sim 0 "$BUILD/src/xenblkd" --state-dir="$XENSIM_DIR/run" "$@" 2>"$log"
}

if ! "$BUILD/src/xenblkd" --version | grep -q SPDK; then
	check "the store starts" start_store
	check "the daemon starts" start_daemon
	check "a disk is made of a device of SPDK's" disk_create 1 51712 spdk:Malloc0
	check "it is refused: there is no SPDK" wait_for 10 \
		daemon_says '1/xvda: spdk:Malloc0 cannot be opened: this xenblkd was built without SPDK'
	check "which its toolstack is told" [ -n "$(sim 0 xenstore-read error/backend/vbd/1/51712/error)" ]
	check "it goes" disk_remove 1 51712
	check "the daemon ends" stop_daemon
	check "one that is to start SPDK does not start" not start_in_front "--spdk-rpc=$rpc"
	check "and says why" daemon_says 'spdk-rpc: this xenblkd was built without SPDK'
	check "nothing is left" nothing_is_left
	echo "ok $((number += 1)) - disks of SPDK's # SKIP this build has no SPDK"
	finish
	exit
fi

# Under sanitizers all is slower.
many=2000
[ -z "$asan" ] || many=300

# load DOMID OPTION... - random sizes in random parts of pages, verified
load() {
	local domid=$1
	shift
	guest "$domid" 51712 --rw=randrw --verify --depth=32 --fill --count=$many "$@"
}

start_spdk_daemon() {
	start_daemon --spdk-config="$XENSIM_DIR/spdk.json" --spdk-rpc="$rpc" "$@"
}

truncate -s 64M "$XENSIM_DIR/aio" "$XENSIM_DIR/uring" "$XENSIM_DIR/lvs"
cat >"$XENSIM_DIR/spdk.json" <<EOF
{ "subsystems": [ { "subsystem": "bdev", "config": [
  { "method": "bdev_malloc_create", "params": { "name": "Malloc0", "num_blocks": 65536, "block_size": 512 } },
  { "method": "bdev_malloc_create", "params": { "name": "Malloc4k", "num_blocks": 8192, "block_size": 4096 } },
  { "method": "bdev_null_create", "params": { "name": "Null0", "num_blocks": 2097152, "block_size": 512 } },
  { "method": "bdev_passthru_create", "params": { "name": "Pass0", "base_bdev_name": "Malloc4k" } },
  { "method": "bdev_aio_create", "params": { "name": "Aio0", "filename": "$XENSIM_DIR/aio", "block_size": 512 } },
  { "method": "bdev_uring_create", "params": { "name": "Uring0", "filename": "$XENSIM_DIR/uring", "block_size": 512 } },
$(for i in 1 2 3 4 5 6 7; do
	echo "  { \"method\": \"bdev_malloc_create\", \"params\": { \"name\": \"M$i\", \"num_blocks\": 32768, \"block_size\": 512 } },"
done)
  { "method": "bdev_raid_create", "params": { "name": "Raid1", "raid_level": "raid1", "base_bdevs": [ "M1", "M2" ] } },
  { "method": "bdev_raid_create", "params": { "name": "Concat", "raid_level": "concat", "strip_size_kb": 64, "base_bdevs": [ "M3", "M4" ] } },
  { "method": "bdev_delay_create", "params": { "name": "Delay", "base_bdev_name": "M5", "avg_read_latency": 200, "p99_read_latency": 900, "avg_write_latency": 200, "p99_write_latency": 900 } },
  { "method": "bdev_split_create", "params": { "base_bdev": "M6", "split_count": 2 } },
  { "method": "bdev_error_create", "params": { "base_name": "M7" } }
] } ] }
EOF

check "the store starts" start_store
check "the daemon starts, and SPDK with it" start_spdk_daemon --reactors=2 --max-queues=2
check "SPDK's socket is root's alone" is "$(stat -c %a "$rpc")" 600
check "SPDK has what its configuration says" is "$(rpc bdev_get_bdevs '{"name": "Malloc0"}' | grep -c '"Malloc0"')" 1

check "a disk is made in memory" disk_create 1 51712 spdk:Malloc0
check "all sizes, verified" load 1 --size=512-44k --layout=random --align=512 --span=16m
check "with flushes and discards" load 1 --size=512-44k --align=512 --span=16m --flush-every=13 --discard-every=11
check "it goes" disk_remove 1 51712
domid=10
for bdev in Pass0 Aio0 Uring0 Raid1 Concat Delay M6p1 EE_M7; do
	check "a disk is made of $bdev" disk_create $domid 51712 spdk:$bdev
	check "all sizes, verified, on $bdev" load $domid --size=512-44k --align=512 --span=8m
	check "it goes" disk_remove $domid 51712
	domid=$((domid + 1))
done
check "a disk is made of what can be told to fail" disk_create 20 51712 spdk:EE_M7
check "it is told to" rpc bdev_error_inject_error '{"name": "EE_M7", "io_type": "read", "error_type": "failure", "num": 1}'
check "a request fails" not guest 20 51712 --rw=randread --size=4k --count=100
check "and no other" guest 20 51712 --rw=randread --size=4k --count=100
check "it goes" disk_remove 20 51712
check "a disk is made that keeps nothing" disk_create 5 51712 spdk:Null0
check "it is read" guest 5 51712 --rw=randread --size=4k --depth=32 --count=$many
check "it goes" disk_remove 5 51712

# Logical volumes: made, grown and snapshotted while the daemon runs and guests write.
sectors_are() {
	is "$(sim 0 xenstore-read "/local/domain/0/backend/vbd/$1/51712/sectors")" "$2"
}

aio=$XENSIM_DIR/lvs
check "a disk is made of a volume that is not there" disk_create 6 51712 spdk:lvs/thin
check "it waits" wait_for 10 daemon_says '6/xvda: spdk:lvs/thin: SPDK has no bdev of that name'
check "a store for volumes is made" rpc bdev_aio_create "{\"name\": \"Aio1\", \"filename\": \"$aio\", \"block_size\": 4096}"
check "and formatted" rpc bdev_lvol_create_lvstore '{"bdev_name": "Aio1", "lvs_name": "lvs", "cluster_sz": 1048576}'
check "a thin volume is made in it" rpc bdev_lvol_create '{"lvs_name": "lvs", "lvol_name": "thin", "size_in_mib": 32, "thin_provision": true}'
check "and the disk that waited is there" wait_for 10 state_is /local/domain/0/backend/vbd/6/51712 2
check "of its size" wait_for 10 sectors_are 6 65536
guest_start 6 51712 --rw=randrw --verify --size=512-44k --align=512 --span=8m --queues=2 --time=60 --discard-every=50
check "a guest works on it" wait_for 20 state_is /local/domain/0/backend/vbd/6/51712 4
check "a snapshot is taken meanwhile" rpc bdev_lvol_snapshot '{"lvol_name": "lvs/thin", "snapshot_name": "snap"}'
check "it grows meanwhile" rpc bdev_lvol_resize '{"name": "lvs/thin", "size_in_mib": 40}'
check "and the guest is told" wait_for 10 sectors_are 6 81920
check "it goes on" wait_for 20 moves copies
check "and has read what it wrote" guest_stops 6
check "the snapshot is a disk, too" disk_create 7 51712 spdk:lvs/snap "mode" r
check "which is read" guest 7 51712 --rw=read --size=44k --count=300
check "both go" eval 'disk_remove 6 51712; disk_remove 7 51712'

# A device that goes away under its guest.
check "another disk is made in memory" disk_create 8 51712 spdk:Malloc0
guest_start 8 51712 --rw=randread --size=4k --time=60
check "a guest works on it" wait_for 20 state_is /local/domain/0/backend/vbd/8/51712 4
check "its device is taken away" rpc bdev_malloc_delete '{"name": "Malloc0"}'
check "which the daemon says" daemon_says 'spdk:Malloc0: SPDK wants it back'
check "the guest has errors" wait_for 10 grep -q 'answered with -1' "$XENSIM_DIR/guest-8"
guest_end
xensim destroy 8
check "the disk goes" disk_remove 8 51712

# Killed, and begun again, under a guest: what is in flight is carried out again.
check "a disk is made of a file" disk_create 9 51712 spdk:Aio0
guest_start 9 51712 --rw=randrw --verify --size=512-44k --align=512 --span=8m --time=60
for _ in 1 2 3; do
	check "a guest works on it" wait_for 20 moves copies
	kill_daemon
	check "the daemon is killed, and starts again" start_spdk_daemon --reactors=2
done
check "the guest goes on" wait_for 20 moves copies
check "and has read what it wrote" guest_stops 9
check "the disk goes" disk_remove 9 51712
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
