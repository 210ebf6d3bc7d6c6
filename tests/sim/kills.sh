#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon is killed at random with DMA in flight, again and again: its successor lets go of all that
# was mapped, and the controller reaches nothing else meanwhile. KILLS=1000 for a long one.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

bdf=0000:00:05.0
truncate -s 32M "$XENSIM_DIR/disk"

# What a daemon without requests has: the memory of its own.
mapped_is_ours() {
	counter_is mapped_pages "$ours" && counter_is shared_pages "$ours"
}

# kill_once DOMID
kill_once() {
	disk_create "$1" 51712 nvme:$bdf/1 &&
	guest_start "$1" 51712 --time=60 --rw=randrw --size=4k-44k &&
	wait_for 60 moves nvme_commands || return
	sleep "0.0$((RANDOM % 90 + 10))"
	kill_daemon
	start_daemon --transfer=direct || return
	guest_end
	xensim destroy "$1"
	sim 0 xenstore-rm "/local/domain/$1" "/local/domain/0/backend/vbd/$1"
	wait_for 10 mapped_is_ours
}

check "the store starts" start_store
check "a controller is there" start_nvme $bdf "$XENSIM_DIR/disk"
check "the daemon starts" start_daemon --transfer=direct
ours=$(xensim show mapped_pages)
for i in $(seq "${KILLS:-6}"); do
	check "killed: nothing of the guest stays mapped" kill_once $((i % 100 + 1))
	check "nothing was reached that is not for devices" counter_is device_strays 0
done
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
