#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest's pages stay mapped, if it was asked for and the guest does so too: bounded, and given back.
. "$(dirname "$0")/lib.sh"

truncate -s 32M "$XENSIM_DIR/disk"

# load OPTION... - random sizes in random parts of pages, verified
load() {
	guest 1 51712 --rw=randrw --align=512 --layout=random --verify --fill "$@"
}

# grew COUNTER COMMAND... - how much it has, while the command runs; or nothing
grew() {
	local counter=$1 before
	before=$(xensim show "$1")
	shift
	"$@" >>"$out" 2>&1 || return
	echo $(($(xensim show "$counter") - before))
}

# The rest are the ring, and the daemon's own.
kept() {
	echo $(($(xensim show mapped_pages) - idle_pages))
}

bounded() {
	[ "$most" -le 1024 ] && [ "$most" -gt 1000 ] || { echo "$most pages were mapped"; false; }
}

check "the store starts" start_store
check "the daemon starts" start_daemon
check "a disk is made" disk_create 1 51712 "file:$XENSIM_DIR/disk?transfer=persistent"
check "the daemon takes it on" wait_for 20 state_is /local/domain/0/backend/vbd/1/51712 2
check "it is offered" is "$(sim 0 xenstore-read /local/domain/0/backend/vbd/1/51712/feature-persistent)" 1
check "a guest that does not want it is served by copies" is "$(grew gntdev_maps load --count=500 --size=4k)" 1
check "one that does is verified" load --persistent --count=500 --size=512-44k --layout=random
copies=$(grew copies load --persistent --depth=1 --count=2000 --size=4k --rw=randrw)
maps=$(grew gntdev_maps load --persistent --depth=1 --count=2000 --size=4k)
check "its pages are copied once, and mapped once: $copies copies, $maps maps for 2000 requests" \
	[ "${copies:-9999}" -lt 50 -a "${maps:-9999}" -lt 50 ]
check "with indirect requests on two queues" load --persistent --count=300 --size=512-1m --segments=256 --queues=2
check "for a 32-bit guest" load --persistent --abi=x86_32 --count=300 --size=512-44k
check "by reconnections, and without closing" load --persistent --count=100 --size=44k --reconnect=10 --abandon
check "the daemon says what stayed" daemon_says 'connected: .* transfer persistent'
check "and how much went so" daemon_says '[1-9][0-9]{3,} segments went through pages that stayed mapped'
xensim set fail_gntdev_map_permille=300
check "where maps fail, by copies" load --persistent --count=500 --size=512-44k --timeout=60
xensim set fail_gntdev_map_permille=0

idle_pages=$(xensim show mapped_pages)
guest_start 1 51712 --persistent --rw=randrw --depth=32 --ring-order=4 --segments=256 --size=1m --time=100 --verify
# Its ring is there too.
idle_pages=$((idle_pages + 16))
wait_for 20 eval '[ "$(kept)" -gt 1000 ]'
most=$(kept)
check "what stays is bounded: $most pages" bounded
check "the guest pauses" wait_for 20 guest_pauses
check "and given back when it is not used" wait_for 30 eval '[ "$(kept)" -eq 0 ]'
kill -CONT $guest_pid
check "used again, it is mapped again" wait_for 30 eval '[ "$(kept)" -gt 1000 ]'
kill_daemon
check "one that is killed leaves none of it" [ "$(xensim show mapped_pages)" -le "$idle_pages" ]
check "its successor starts" start_daemon
check "and goes on with the guest" wait_for 20 daemon_says 'connected: .* transfer persistent'
kill -TERM $guest_pid
wait $guest_pid
check "which finds what it wrote" is $? 0
guest_pid=
check "the disk goes" disk_remove 1 51712
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
