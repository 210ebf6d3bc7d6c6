#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# 512-byte disks on a drive with blocks of 4096 bytes: what is merged, and what goes straight.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

bdf=0000:00:05.0
truncate -s 32M "$XENSIM_DIR/disk1"
truncate -s 32M "$XENSIM_DIR/disk2"

# load DOMID OPTION... - random sizes in random parts of pages, verified; requests that overlap in
# flight the load keeps apart, and those that share a block and no sector it does not
load() {
	local domid=$1
	shift
	guest "$domid" 51712 --rw=randrw --align=512 --verify "$@"
}

# shellcheck disable=SC2086
end_nvme() {
	kill $nvme_pids
	wait $nvme_pids
	nvme_pids=''
}

# Under sanitizers all is slower.
many=2000
[ -z "$asan" ] || many=300

check "the store starts" start_store
check "a controller with blocks of 4096 bytes is there" start_nvme -4 $bdf "$XENSIM_DIR/disk1" "$XENSIM_DIR/disk2"
check "the daemon starts" start_daemon
check "a disk is made, to be direct" disk_create 1 51712 "nvme:$bdf/1?transfer=direct"
check "sectors of 512 bytes in a few blocks" load 1 --size=512 --span=64k --depth=32 --fill --count=$many
check "on four queues" load 1 --size=512-8k --span=128k --queues=4 --depth=16 --fill --count=$many
check "all sizes, in random parts of pages" load 1 --size=512-44k --layout=random --depth=32 --count=$many
check "indirect, of up to 1 MiB" load 1 --size=512-1m --segments=256 --depth=16 --count=$((many / 4))
check "with barriers, discards and flushes" load 1 --size=512-44k --barrier-every=7 \
	--discard-every=11 --flush-every=13 --count=$many
check "of which the drive deallocated whole blocks" [ "$(xensim show nvme_deallocated_bytes)" -gt 4095 ]
check "it is direct each time that it is connected" not daemon_says '1/xvda: connected: .*, copy below'
copies=$(xensim show copies) maps=$(xensim show maps)
check "whole blocks" guest 1 51712 --rw=randrw --verify --fill --size=32k --align=4k --count=$many
check "are not copied" counter_is copies "$copies"
check "but mapped" [ "$(xensim show maps)" -gt "$maps" ]
check "another disk is made" disk_create 2 51712 "nvme:$bdf/2?transfer=copy"
check "which copies: sectors" load 2 --size=512-8k --span=128k --queues=2 --depth=32 --fill --count=$many
check "which copies: all sizes" load 2 --size=512-44k --layout=random --count=$many
check "the controller reached nothing that is not for devices" counter_is device_strays 0
check "the first disk goes" disk_remove 1 51712
check "the second too" disk_remove 2 51712

check "the controller goes" end_nvme
check "another is there, which deallocates by write zeroes" start_nvme -4z $bdf "$XENSIM_DIR/disk1"
before=$(xensim show nvme_deallocated_bytes)
check "a disk on it is made" disk_create 3 51712 "nvme:$bdf/1"
check "barriers, discards and flushes there" load 3 --size=512-44k --barrier-every=7 \
	--discard-every=11 --flush-every=13 --count=$((many / 2))
check "it deallocated" [ "$(xensim show nvme_deallocated_bytes)" -gt "$before" ]
check "it goes" disk_remove 3 51712
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
