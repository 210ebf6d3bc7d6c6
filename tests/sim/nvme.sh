#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The NVMe driver and its controller: DMA straight from and to a guest's pages, and faults.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

bdf=0000:00:05.0
other_bdf=0000:00:06.0
truncate -s 32M "$XENSIM_DIR/disk1" "$XENSIM_DIR/disk3"
truncate -s 16M "$XENSIM_DIR/disk2"

# pieces_take DOMAIN LEAST MOST - commands for 200 requests of eleven pieces of pages each
pieces_take() {
	local before nr
	before=$(xensim show nvme_commands)
	guest "$1" 51712 --rw=randread --count=200 --layout=random --size=16k || return
	nr=$(($(xensim show nvme_commands) - before))
	[ $nr -ge "$2" ] && [ $nr -le "$3" ] || { echo "took $nr commands"; return 1; }
}

all_in_flight() {
	ctl --json show 1/51712 | grep '"in_flight": 32,'
}

check "the store starts" start_store
check "a controller is there" start_nvme $bdf "$XENSIM_DIR/disk1" "$XENSIM_DIR/disk2"
check "the daemon starts" start_daemon --transfer=direct
disk_create 1 51712 nvme:$bdf/1
check "it takes the controller" wait_for 10 daemon_says '1/xvda: opened nvme'
check "from the kernel" wait_for 5 not has_driver $bdf
check "what its guest writes is what it reads" \
	guest 1 51712 --rw=randrw --verify --fill --count=3000 --size=512-44k --flush-every=100
check "and it is what stands in the namespace" not cmp -s -n 65536 "$XENSIM_DIR/disk1" /dev/zero
check "data went straight" [ "$(xensim show copies)" = 0 ]
check "by maps that were undone" [ "$(xensim show unmaps)" -gt 3000 ]
xensim set nvme_delay_us=100
check "so it is while commands end as others come" guest 1 51712 --rw=randrw --verify --fill --count=5000 --size=4k-16k
check "maps and unmaps went in one hypercall" [ "$(xensim show multicalls)" -gt 10 ]
check "random parts of pages are bytes in place" \
	guest 1 51712 --rw=randrw --verify --fill --count=1000 --layout=random --size=512-44k
xensim set no_multicall=1
check "and where multicalls are refused" guest 1 51712 --rw=randrw --verify --fill --count=3000 --size=4k-16k
xensim set 'no_multicall=0 nvme_delay_us=0'
sgls=$(xensim show nvme_sgls)
check "and one command each" pieces_take 1 200 200
check "which were SGLs" [ "$(xensim show nvme_sgls)" -ge $((sgls + 150)) ]
sgls=$(xensim show nvme_sgls)
check "whole pages are PRPs" guest 1 51712 --rw=randread --count=200 --size=44k
check "and no SGL" counter_is nvme_sgls "$sgls"
check "a controller without SGLs is there" start_nvme -p $other_bdf "$XENSIM_DIR/disk3"
disk_create 3 51712 nvme:$other_bdf/1
check "it takes several commands for them" pieces_take 3 400 2200
check "and they are bytes in place too" \
	guest 3 51712 --rw=randrw --verify --fill --count=1000 --layout=random --size=512-44k
check "no SGL was sent there" counter_is nvme_sgls "$sgls"
disk_create 2 51712 "nvme:$bdf/2?transfer=copy"
check "another guest has the other namespace, by copies" \
	guest 2 51712 --rw=randrw --verify --fill --count=1000 --size=4k-44k
check "they were copies" [ "$(xensim show copies)" -gt 1000 ]
check "the controller reached nothing that is not for devices" counter_is device_strays 0

# Unrecovered read error, 4.6.1.2.3; then with the bit that says not to try again.
xensim set 'nvme_fail=200 nvme_status=641'
check "a command that fails is tried again" guest 1 51712 --rw=randread --count=1000
check "it did fail" counter_is nvme_fail 0
xensim set 'nvme_fail=200 nvme_status=17025'
check "one that fails for good fails its request" not guest 1 51712 --rw=randread --count=1000
check "and no other" guest 1 51712 --rw=randrw --fill --verify --count=500
xensim set nvme_delay_us=2000
check "a slow drive is no broken one" guest 1 51712 --rw=randrw --count=300 --span=1M --fill --verify
xensim set nvme_delay_us=0

guest_start 1 51712 --time=1 --rw=randrw --fill --verify
check "it is under load" wait_for 10 moves nvme_commands
resets=$(xensim show nvme_resets)
xensim set nvme_fatal=1
was_reset() {
	[ "$(xensim show nvme_resets)" -gt "$resets" ]
}
check "one that reports a fatal status is reset" wait_for 10 was_reset
check "and its guest sees nothing of it" wait "$guest_pid"
guest_pid=''

guest_start 1 51712 --time=60 --rw=randrw
check "it is under load once more" wait_for 10 moves nvme_commands
xensim set nvme_hold=1
check "until nothing of it comes back" wait_for 10 all_in_flight
xensim destroy 1
guest_end
sim 0 xenstore-rm /local/domain/1 /local/domain/0/backend/vbd/1
disk_create 4 51712 nvme:$bdf/1
guest_start 4 51712 --rw=randrw --fill --verify --count=300
check "a disk waits for one that was removed, and has requests in flight" \
	wait_for 10 daemon_says '4/xvda: waits a moment: nvme:.* is in use'
# Longer than for anybody else.
sleep 1.5
xensim set nvme_hold=0
check "it has the drive when they are over" wait "$guest_pid"
guest_pid=''
check "and is given back" disk_remove 4 51712
disk_create 1 51712 nvme:$bdf/1

guest_start 1 51712 --time=20 --rw=randrw
check "it is again" wait_for 10 moves nvme_commands
# Slow enough that commands are carried out at any time while a successor starts.
xensim set nvme_delay_us=200000
sleep 0.5
kill_daemon
check "after a kill a successor starts" start_daemon --transfer=direct
xensim set nvme_delay_us=0
check "that stops the controller" daemon_says 'a predecessor was killed; stopped'
check "and unmaps what the guest had given" daemon_says 'unmapped [0-9]+ pages of guests'
check "again nothing was reached that is not for devices" counter_is device_strays 0
guest_end
xensim destroy 1
sim 0 xenstore-rm /local/domain/1 /local/domain/0/backend/vbd/1
check "the guest is gone" wait_for 10 not sim 0 xenstore-exists /local/domain/1

# A daemon that begins is at state 2 for a moment, also where the frontend has closed.
check "the other one's disk is closed" wait_for 10 state_is /local/domain/0/backend/vbd/2/51712 6
guest_start 2 51712 --time=20 --rw=randread
check "the other one goes on" wait_for 10 moves nvme_commands
xensim set nvme_gone=1
check "a drive that is pulled out is noticed" wait_for 20 daemon_says 'nvme:.*not there any more'
guest_end
for domid in 2 3; do
	xensim destroy $domid
	sim 0 xenstore-rm /local/domain/$domid /local/domain/0/backend/vbd/$domid
done
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
