#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The configuration file: read at the start, and again while a guest uses its disk.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

top=$(dirname "$0")/../..
conf=$XENSIM_DIR/xenblkd.conf

xenblkd() {
	"$BUILD/src/xenblkd" "$@"
}

poll_us_is() {
	is "$(ctl --json stats | python3 -c 'import json, sys
print(json.load(sys.stdin)["reactors"][0]["poll_us"])')" "$1"
}

transfer_is() {
	is "$(ctl --json show 1/xvda | python3 -c 'import json, sys
print(json.load(sys.stdin)["transfer"])')" "$1"
}

# reload_with LINE... - the file has these, and the daemon has looked at it
reload_with() {
	local before
	before=$(grep -c 'read again\|nothing is changed' "$log")
	printf '%s\n' "$@" >"$conf"
	kill -HUP "$daemon_pid"
	wait_for 10 read_again "$before"
}

read_again() {
	[ "$(grep -c 'read again\|nothing is changed' "$log")" -gt "$1" ]
}

# fails_with STATUS TEXT COMMAND...
fails_with() {
	local wanted=$1 text=$2 said status
	shift 2
	said=$("$@" 2>&1)
	status=$?
	is "$status" "$wanted" && grep -qF -- "$text" <<<"$said" || { echo "$said"; false; }
}

names() {
	xenblkd --help | sed -n 's/^  --\([a-z-]*\)=.*/\1/p' | grep -vx config
}

each_is_in() {
	local name
	for name in $(names); do
		grep -q "${2/NAME/$name}" <(sed 's/\\-/-/g' "$1") || { echo "no $name"; return 1; }
	done
}

check "there are names" [ "$(names | wc -l)" -ge 12 ]
check "each has its place in the file that is installed" each_is_in "$top/packaging/xenblkd.conf" '^#NAME = '
check "and in its manual" each_is_in "$top/doc/xenblkd.conf.5" '^\.BI NAME'
check "and in the daemon's" each_is_in "$top/doc/xenblkd.8" '^\.BI --NAME='
sed 's/^#\([a-z]\)/\1/; s/^user = .*//' "$top/packaging/xenblkd.conf" >"$conf"
chmod 644 "$conf"
check "that file holds as it stands" xenblkd --check-config --config="$conf"
wrong_line() { sed 's/^poll-us = .*/poll-us = soon/' "$top/packaging/xenblkd.conf" | sed 's/^#poll-us.*/poll-us = soon/' >"$conf"; }
wrong_line
check "a wrong line is named, and what to do" fails_with 2 \
	"$conf:$(grep -n '^poll-us' "$conf" | cut -d: -f1): poll-us is \"soon\", expected a number from 0 to 1000000" \
	xenblkd --check-config --config="$conf"
check "with it no daemon starts" fails_with 2 'expected a number' xenblkd --config="$conf" --state-dir="$XENSIM_DIR/no"
check "and nothing was made" [ ! -e "$XENSIM_DIR/no" ]

check "the store starts" start_store
printf 'poll-us = 0\ntransfer = copy\nmetrics-port = 0\n' >"$conf"
export XENBLKD_CONFIG=$conf
check "the daemon starts with a file" start_daemon
check "which it obeys" poll_us_is 0
disk_create 1 51712 null:1G,dma
guest_start 1 51712 --rw=randread --rate=1000 --time=1000
check "a guest uses its disk" wait_for 10 moves copies
check "which copies" transfer_is copy
check "the file changes, and is read again" reload_with 'poll-us = 7' 'transfer = direct' 'log-level = debug'
check "polling has changed" poll_us_is 7
check "so has the transfer of a disk in use" transfer_is direct
check "its data goes direct from then on" wait_for 10 moves maps
check "what takes a restart is said" reload_with 'poll-us = 8' 'class = vbd9'
check "with both values" daemon_says "$conf:2: class takes a restart: it stays \"vbd\", and is to be \"vbd9\""
check "the rest holds" poll_us_is 8
check "a wrong file" reload_with 'poll-us = 9' 'transfer = fast'
check "is named" daemon_says "$conf:2: transfer: the transfer is \"fast\", expected auto.*; nothing is changed"
check "and changes nothing" poll_us_is 8
check "the guest has noticed nothing" kill -0 "$guest_pid"
kill -TERM "$guest_pid"
wait "$guest_pid"
guest_pid=''
check "its disk is taken back" disk_remove 1 51712
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
