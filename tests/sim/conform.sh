#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What the daemon owes every frontend, and what none gets out of it: blkload's checks of the protocol.
. "$(dirname "$0")/lib.sh"

truncate -s 64M "$XENSIM_DIR/disk"

conform() {
	guest 1 51712 --conform "$@"
}

check "the store starts" start_store
check "the daemon starts" start_daemon
check "a disk is made" disk_create 1 51712 "file:$XENSIM_DIR/disk"
check "it keeps to the protocol" conform
check "with a 32-bit guest" conform --abi=x86_32
check "with a big ring and two queues" conform --ring-order=4 --queues=2
check "the disk goes" disk_remove 1 51712
check "one of null: is made" disk_create 1 51712 null:64M
check "it keeps to the protocol too" conform
check "it goes" disk_remove 1 51712
check "the daemon ends" stop_daemon
check "one is started for the other class, which XAPI uses, and xl for backendtype=tap" start_daemon --class=vbd3
check "it serves it" sim 0 "$BUILD/tools/blkload/blkload" --quiet --create=null:64M --class=vbd3 --count=100
check "and not the first" not sim 0 "$BUILD/tools/blkload/blkload" --quiet --create=null:64M --timeout=1 --count=100
check "it ends" stop_daemon
check "nothing is left" nothing_is_left
finish
