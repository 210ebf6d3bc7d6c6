#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A CD-ROM whose medium is changed and ejected while its guest is connected.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

back=/local/domain/0/backend/vbd/1/51712
front=/local/domain/1/device/vbd/51712
a=$XENSIM_DIR/a.iso b=$XENSIM_DIR/b.iso c=$XENSIM_DIR/c.iso
cdrom=("$back/mode" r "$back/device-type" cdrom)

sectors_are() {
	is "$(sim 0 xenstore-read "$back/sectors")" "$1"
}

params() {
	sim 0 xenstore-write "$back/params" "$1"
}

node() {
	sim 0 xenstore-read "$back/$1"
}

# has_error TEXT - where toolstacks look
has_error() {
	[[ $(sim 0 xenstore-read "/local/domain/0/error/backend/vbd/1/51712/error") == *"$1"* && $(node xenblkd-error) == *"$1"* ]]
}

has_no_error() {
	not sim 0 xenstore-exists /local/domain/0/error && not sim 0 xenstore-exists $back/xenblkd-error
}

# burnt FILE SEED SIZE - blkload's stamps all over it; FILE.shadow knows them
burnt() {
	truncate -s "$3" "$1"
	disk_create 2 51712 "file:$1" && guest 2 51712 --rw=randwrite --verify --fill --size=4k --count=10 --seed="$2" \
		--shadow="$1.shadow" && disk_remove 2 51712
}

# reads [OPTION]... - a guest, for as long as it takes
reads() {
	guest_start 1 51712 --rw=randread --size=512-44k --span=4m --queues=2 --time=600 "$@"
	wait_for 20 state_is $back 4
}

# guest_is_content - it comes to its end, and has read what is there
guest_is_content() {
	local status
	kill -TERM "$guest_pid"
	wait "$guest_pid"
	status=$?
	guest_pid=''
	cat "$XENSIM_DIR/guest-1"
	is $status 0 && grep -E 'verified [1-9][0-9]* sectors: 0 wrong' "$XENSIM_DIR/guest-1"
}

# Nothing is copied: what is on the ring was taken. Without a medium it would be refused.
stands() {
	local before
	before=$(xensim show copies)
	sleep 0.3
	is "$(xensim show copies)" "$before"
}

check "the store starts" start_store
check "the daemon starts, with two reactors" start_daemon --reactors=2 --max-queues=2
check "an image is made" burnt "$a" 1 8M
check "and another" burnt "$b" 2 12M
check "and one of the first one's size" burnt "$c" 3 8M
check "a CD-ROM is made, with the first" disk_create 1 51712 "file:$a" "${cdrom[@]}"
check "the daemon takes it on" wait_for 20 state_is $back 2
check "before anybody is connected it is changed" params "file:$b"
check "which its properties say" wait_for 20 sectors_are 24576
check "and back" params "file:$a"
check "again" wait_for 20 sectors_are 16384

check "a guest reads" reads --verify --shadow="$a.shadow"
check "requests wait" ctl pause 1/xvda
check "the medium is changed, and changed back, with requests on the rings" params "file:$b"
check "it was" wait_for 20 sectors_are 24576
check "now back" params "file:$a"
check "it is" wait_for 20 sectors_are 16384
check "the guest was not disconnected" state_is $back 4
check "requests are served" ctl resume 1/xvda
check "it goes on" wait_for 20 moves copies
check "it has read what is on the first, and nothing else" guest_is_content

check "requests wait again" ctl pause 1/xvda
check "a guest that expects the third" reads --verify --shadow="$c.shadow"
check "gets it" params "file:$c"
check "under its requests" wait_for 20 daemon_says '1/xvda: opened file:.*/c.iso'
check "which are served" ctl resume 1/xvda
check "it goes on" wait_for 20 moves copies
check "that was no disconnection" is "$(grep -c '1/xvda: connected' "$log")" 2
check "it has read what is on the third, and nothing else" guest_is_content

check "the second is put in" ctl insert 1/xvda "file:$b"
check "a guest" reads --verify --shadow="$b.shadow"
check "goes on" wait_for 20 moves copies
check "and has a rest" wait_for 20 guest_pauses
check "with all that it asked for answered" wait_for 20 stands
check "the tray is emptied" ctl eject 1/xvda
check "the guest sees no sectors" wait_for 20 sectors_are 0
check "params say so" is "$(node params)" ''
check "the image is nobody's now" flock --nonblock --exclusive "$b" true
check "the guest is connected" state_is $back 4
check "what is no target is put in" ctl insert 1/xvda file:/nowhere
check "that is said" wait_for 20 has_error '/nowhere cannot be opened for reading'
check "in the log, too" daemon_says '1/xvda: /nowhere cannot be opened for reading'
check "the guest lives" state_is $back 4
kill_daemon
check "another daemon finds the tray so" start_daemon --reactors=2 --max-queues=2
check "the guest lives" wait_for 20 sectors_are 0
check "the reason is there again" wait_for 20 has_error '/nowhere cannot be opened for reading'
check "connected" state_is $back 4
ln -s "$b" "$XENSIM_DIR/late"
check "put in again" ctl insert 1/xvda "file:$XENSIM_DIR/late"
check "it opens" wait_for 20 sectors_are 24576
check "the reason is gone" wait_for 20 has_no_error
kill -CONT "$guest_pid"
check "the guest goes on" wait_for 20 moves copies
check "and has read what is on the second, and nothing else" guest_is_content
check "a guest" reads
check "has a rest" wait_for 20 guest_pauses
kill_daemon
params "file:$a"
check "another medium, while there is no daemon" start_daemon --reactors=2 --max-queues=2
check "is what the next one opens" wait_for 20 sectors_are 16384
kill -CONT "$guest_pid"
check "the guest goes on" wait_for 20 moves copies
guest_end
check "a guest" reads
check "goes on" wait_for 20 moves copies
check "the tray is emptied under it" ctl eject 1/xvda
check "its requests fail" wait_for 20 grep -q 'was answered with -1' "$XENSIM_DIR/guest-1"
guest_end
check "the disk goes" disk_remove 1 51712

check "an empty tray is taken on" disk_create 1 51712 '' "${cdrom[@]}"
check "with no sectors" wait_for 20 sectors_are 0
check "it is filled" ctl insert 1/xvda "file:$b"
check "a guest reads what is in it" guest 1 51712 --rw=randread --verify --size=44k --shadow="$b.shadow" --count=100
check "the disk goes" disk_remove 1 51712

check "a disk that cannot be ejected" disk_create 1 51712 "file:$a"
check "is taken on" wait_for 20 state_is $back 2
check "xenblkctl cannot eject it" not ctl eject 1/xvda
check "its params are written" params "file:$b"
check "that means nothing, and is said" wait_for 20 daemon_says '1/xvda: its params have changed, and mean nothing'
check "it is the one that it was" sectors_are 16384
check "the disk goes" disk_remove 1 51712
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
