#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon serves a guest from null: and file:, in each way that data goes.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

truncate -s 32M "$XENSIM_DIR/disk"

check "the store starts" start_store
check "the daemon starts" start_daemon
check "a disk is made" disk_create 1 51712 null:1G
check "its guest reads" guest 1 51712 --count=20000 --rw=randread
check "reads go by hypercalls" [ "$(xensim show copies)" -ge 20000 ]
check "many in each" [ "$(xensim show hypercalls)" -lt "$(xensim show copies)" ]
check "the disk goes" disk_remove 1 51712
check "one of a file is made" disk_create 1 51728 "file:$XENSIM_DIR/disk"
check "what its guest writes is what it reads" \
	guest 1 51728 --rw=randrw --verify --fill --count=3000 --size=512-44k --flush-every=100
check "so it is after it has connected again" \
	guest 1 51728 --rw=randrw --verify --fill --count=500 --reconnect=2
check "and with random parts of pages" \
	guest 1 51728 --rw=randrw --verify --count=1000 --layout=random --size=512-44k --fill
check "and for a 32-bit guest" guest 1 51728 --rw=randrw --verify --count=500 --abi=x86_32 --fill
check "two guests have theirs at the same time" disk_create 2 51712 null:1G
check "the second one reads" guest 2 51712 --count=5000
disk_remove 1 51728 2>/dev/null
disk_remove 2 51712 2>/dev/null
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left

xensim set fail_map_permille=1000
check "it starts where there are no bus addresses" start_daemon
xensim set fail_map_permille=0
check "and says so" daemon_says 'data goes by the gntdev driver'
disk_create 3 51712 "file:$XENSIM_DIR/disk"
check "data goes by gntdev" guest 3 51712 --rw=randrw --verify --fill --count=2000 --size=512-44k
check "it went so" [ "$(xensim show gntdev_copies)" -gt 2000 ]
disk_remove 3 51712
check "the daemon ends again" stop_daemon
check "nothing is left again" nothing_is_left
finish
