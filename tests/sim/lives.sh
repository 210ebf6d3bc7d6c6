#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Lives of disks at random: what is under them, what their guests can and want, and what befalls them.
# Whatever it is, nobody reads what was not written, and nothing is left.
#
# LIVES: how many (30); SEED: of them, printed at the start. A life that failed is told again by its own
# seed, also printed, and LIVES=1.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

lives=${LIVES:-30}
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
bdf=0000:00:05.0
truncate -s 4M "$XENSIM_DIR/file" "$XENSIM_DIR/drive"
declare -A told=()

# one_of NAME WORD... - into that variable: the seed of $RANDOM does not hold in a shell of its own
one_of() {
	local name=$1
	shift $((RANDOM % ($# - 1) + 1))
	printf -v "$name" %s "$1"
}

# Daemons differ in what a successor can cope with.
any_daemon() {
	local transfer poll_us
	one_of transfer auto copy direct auto:8192 persistent
	one_of poll_us 0 5 50
	start_daemon --max-queues=4 --buffer-mib=8 --reactors=$((RANDOM % 2 + 1)) \
		--transfer="$transfer" --poll-us="$poll_us"
}

# Of a guest: the load of its disk, always verified.
any_load() {
	local size rw queues abi layout segments batch=$((RANDOM % 4 + 1))
	one_of size 512 4k 4k 512-44k 4k-44k
	one_of rw randrw randwrite rw write
	one_of queues 1 1 2 4
	one_of abi x86_64 x86_64 x86_32 unnamed
	one_of layout pages random
	load=(--rw="$rw" --verify --fill --span=1M --seed=$RANDOM --size="$size"
		--depth=$((batch + RANDOM % 28)) --batch=$batch --queues="$queues"
		--ring-order=$((RANDOM % 3)) --abi="$abi" --layout="$layout")
	case $((RANDOM % 5)) in
	0 | 1)
		one_of segments 32 64 256
		load+=(--segments="$segments" --size=4k-128k)
		;;
	2) load+=(--barrier-every=$((RANDOM % 40 + 10))) ;; # there are no indirect ones
	esac
	[ $((RANDOM % 3)) -ne 0 ] || load+=(--persistent)
	[ $((RANDOM % 3)) -ne 0 ] || load+=(--flush-every=$((RANDOM % 40 + 10)))
}

# Faults that guests must not notice.
any_machine() {
	xensim set "efault_permille=0 store_again_permille=0 delay_event_permille=0 nvme_delay_us=0 nvme_burst=$((RANDOM % 2))"
	[ $((RANDOM % 4)) -ne 0 ] || xensim set efault_permille=$((RANDOM % 20))
	[ $((RANDOM % 4)) -ne 0 ] || xensim set store_again_permille=$((RANDOM % 300))
	[ $((RANDOM % 4)) -ne 0 ] || xensim set "delay_event_permille=$((RANDOM % 100)) delay_event_us=$((RANDOM % 2000))"
	[ $((RANDOM % 4)) -ne 0 ] || xensim set nvme_delay_us=$((RANDOM % 300 + 1))
}

goes_on() {
	moves hypercalls || ! kill -0 "$guest_pid"
}

while_it_runs() {
	wait_for 20 goes_on
	sleep "0.0$((RANDOM % 90 + 10))"
}

guest_ends() {
	local status
	wait "$guest_pid"
	status=$?
	guest_pid=''
	[ $status -eq 0 ] || { cat "$XENSIM_DIR/guest-$domid"; return 1; }
}

# What a guest that died, or was killed, leaves behind is for whoever has it next.
domain_ends() {
	xensim destroy "$domid"
	guest_end
	sim 0 xenstore-rm "/local/domain/$domid" "/local/domain/0/backend/vbd/$domid"
}

# life SEED
life() {
	local target fate load i
	RANDOM=$1
	domid=$((domid % 120 + 1))
	one_of target "file:$XENSIM_DIR/file" "nvme:$bdf/1" "nvme:$bdf/1?transfer=direct" "nvme:$bdf/1?transfer=copy"
	one_of fate ends ends reconnects abandons dies killed killed destroyed
	any_load
	any_machine
	echo "$fate: $target ${load[*]}"
	told[$fate]=1
	disk_create "$domid" 51712 "$target" || return
	case $fate in
	ends) guest_start "$domid" 51712 "${load[@]}" --count=$((RANDOM % 1500 + 100)) && guest_ends ;;
	reconnects) guest_start "$domid" 51712 "${load[@]}" --count=300 --reconnect=2 && guest_ends ;;
	abandons) guest_start "$domid" 51712 "${load[@]}" --count=300 --reconnect=2 --abandon && guest_ends ;;
	dies) guest_start "$domid" 51712 "${load[@]}" --die-after=$((RANDOM % 900 + 1)) && wait "$guest_pid" ;;
	killed)
		guest_start "$domid" 51712 "${load[@]}" --count=4000 || return
		for i in 1 2 3; do
			while_it_runs
			kill_daemon
			any_daemon || return
		done
		guest_ends
		;;
	destroyed) guest_start "$domid" 51712 "${load[@]}" --time=60 && while_it_runs ;;
	esac
	case $fate-$? in
	dies-* | destroyed-0) domain_ends ;;
	*-0) disk_remove "$domid" 51712 && xensim destroy "$domid" ;;
	*) return 1 ;;
	esac
	wait_for 20 nothing_is_mapped
} 2>/dev/null

# But the memory of the daemon's own.
nothing_is_mapped() {
	[ "$(xensim show mapped_pages)" = "$(xensim show shared_pages)" ] &&
		[ "$(xensim show shared_pages)" -le 6144 ] && [ "$(xensim show device_strays)" -eq 0 ]
}

check "the store starts" start_store
check "a controller is there" start_nvme $bdf "$XENSIM_DIR/drive"
check "the daemon starts" any_daemon
domid=0
echo "# seed $seed"
for ((n = 0; n < lives && failures == 0; n++)); do
	check "life $n, of seed $((seed + n))" life $((seed + n))
done
echo "# fates: ${!told[*]}"
xensim set "efault_permille=0 store_again_permille=0"
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
