#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What fails below the daemon fails there and nowhere else; costs show what batches are worth.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

truncate -s 8M "$XENSIM_DIR/disk"

# fails_as TEXT COMMAND... - it fails, and says this
fails_as() {
	local text=$1
	shift
	! "$@" >"$XENSIM_DIR/said" 2>&1 && cat "$XENSIM_DIR/said" && grep -Eq "$text" "$XENSIM_DIR/said"
}

errors() {
	is "$(sed -n 's/.* \([0-9]*\) errors,.*/\1/p' "$log" | tail -1)" "$1"
}

check "the store starts" start_store
check "the daemon starts" start_daemon
disk_create 1 51712 "file:$XENSIM_DIR/disk"
check "the disk is filled" guest 1 51712 --fill --verify --count=1

xensim set fail_copy=100
check "a copy that fails fails a request" fails_as "." guest 1 51712 --rw=randread --count=1000
check "one" wait_for 5 errors 1
xensim set efault=100
check "a hypercall that stops in the middle is taken up again" \
	guest 1 51712 --rw=randrw --fill --verify --count=1000
check "and fails nothing" wait_for 5 errors 0
xensim set 'delay_event_permille=200 delay_event_us=3000'
check "events may be late" guest 1 51712 --rw=randrw --fill --verify --count=1000
xensim set delay_event_permille=0

disk_remove 1 51712

# A disk that has not said anything yet: its lines have a bound.
disk_create 5 51712 "file:$XENSIM_DIR/disk"
xensim set fail_gntdev_map=1
check "a ring that cannot be mapped is a disk that is not served" \
	fails_as "did not connect" guest 5 51712 --rw=randread --count=10
check "and the daemon says why" wait_for 5 daemon_says '5/xvda: cannot map'
disk_remove 5 51712

disk_create 6 51712 "file:$XENSIM_DIR/disk"
xensim set interrupt_map=1
check "a ring whose mapping is interrupted is mapped" guest 6 51712 --rw=randread --count=10
check "it was interrupted" counter_is interrupt_map 0
disk_remove 6 51712

xensim set store_again=5
disk_create 2 51712 null:1G
check "the store may say EAGAIN" guest 2 51712 --count=1000

guest_start 2 51712 --time=20
check "a guest is under load" wait_for 10 moves copies
check "it dies" xensim destroy 2
guest_end
sim 0 xenstore-rm /local/domain/2 /local/domain/0/backend/vbd/2
check "its disk goes" wait_for 10 daemon_says '2/xvda: gone'

pages_are_ours_alone() {
	is "$(xensim show mapped_pages)" "$(xensim show shared_pages)"
}
check "nothing of it stays mapped" wait_for 5 pages_are_ours_alone

disk_create 3 51712 "file:$XENSIM_DIR/disk"
guest_start 3 51712 --time=20
check "another one is" wait_for 10 moves copies
kill_daemon
check "when the daemon is killed its pages stay pinned" not counter_is mapped_pages 0
pinned=$(xensim show mapped_pages)
check "its successor starts" start_daemon
check "and lets go of them" wait_for 10 daemon_says "a predecessor was killed: let go of $pinned pages"
guest_end
xensim destroy 3
sim 0 xenstore-rm /local/domain/3 /local/domain/0/backend/vbd/3
check "it ends" stop_daemon
check "nothing is left" nothing_is_left

copies_per_call() {
	local copies calls
	copies=$(($(xensim show copies) - copies_before))
	calls=$(($(xensim show hypercalls) - calls_before))
	echo "$copies copies in $calls hypercalls"
	[ "$copies" -ge $((calls * $1)) ]
}
check "the daemon starts for the last time" start_daemon
disk_create 4 51712 null:1G
copies_before=$(xensim show copies) calls_before=$(xensim show hypercalls)
xensim set cost_hypercall_ns=200000
check "hypercalls have a price" guest 4 51712 --count=5000 --depth=32
check "which makes batches large" copies_per_call 4
check "it ends well" stop_daemon
finish
