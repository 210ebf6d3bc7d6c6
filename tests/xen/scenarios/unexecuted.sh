# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="the control: a daemon that does not carry out again what was in flight is found by its guest"
GUEST_FIO=1
TIMEOUT=900
# How often one dies; fewer if the guest has found it.
KILLS=10

# What a killed daemon had in flight is answered and not carried out, by a build for tests alone.
why_skipped() {
	! grep -aqF 'die:any:%ld' "$xenblkd_build/src/xenblkd" || return
	echo "it wants a build with -Dpoints=true (XENBLKD_BUILD)"
}

# Slow, so that there is always something in flight.
host_setup() {
	drive disk0 64M raw throttling.iops-total=300
	drive disk1 64M raw throttling.iops-total=300
}

# Each pass writes all, then reads all back: as in takeover, where it has to find nothing.
verify() {
	fio --name=verify --filename="/dev/$1" --direct=1 --ioengine=libaio --iodepth=16 --rw=randwrite \
		--bs=16k --randseed=$RANDOM --size=8m --serialize_overlap=1 \
		--verify=crc32c --verify_fatal=1 --do_verify=1 >"/tmp/fio.$1" 2>&1 ||
		{ grep -i 'verify' "/tmp/fio.$1" | tail -5; return 1; }
}

# verify_until_enough DISK - Return: 0; what it found is its last word
verify_until_enough() {
	wait_for 30 has_disk "$1"
	rm -f /tmp/enough
	until [ -e /tmp/enough ]; do
		verify "$1" >/tmp/found || { cat /tmp/found; echo found; return 0; }
	done
	echo "found nothing"
}

fio_guest() {
	MEMORY=384 guest_create "$1" pv "$(disk xvda "$2")"
}

# The number of the place where a request was put into the device's queue, and the device not told.
place_submitted() {
	XENBLKD_POINTS=list xenblkd --version | awk '$2 ~ /^submit_one:/ { print $1; exit }'
}

has_died() {
	! kill -0 "$daemon_pid" 2>/dev/null
}

# A daemon dies with a request that it has taken and that the device never sees.
dies_unseen() {
	kill_xenblkd
	XENBLKD_POINTS="die:$(place_submitted):$((RANDOM % 100 + 200))" start_xenblkd
	wait_for 60 has_died && daemon_says 'died at .* submit_one:'
}

# found_by NAME TARGET - daemons die under load of a guest on it, until that has ended
found_by() {
	local i
	check "$1: a guest on $2" fio_guest "$1" "$2"
	check "$1: boots" guest_wait "$1"
	guest_start "$1" verify_until_enough xvda
	sleep 2
	for ((i = 0; i < KILLS; i++)); do
		dies_unseen || { start_xenblkd; break; }
		: >$daemon_log
		XENBLKD_POINTS=unexecuted start_xenblkd
		wait_for 60 daemon_says "$(guest_domid "$1")/xvda: connected" || break
		sleep 1
	done
	say "$1: $i daemons died with a request that its device had not seen"
	guest_enough "$1"
	guest_join "$1" 300 >"/tmp/found.$1"
	check "$1: its fio finds what was not carried out again" is "$(tail -1 "/tmp/found.$1")" found
	check "$1: by its verification" grep -qi 'verify' "/tmp/found.$1"
	check "$1: is gone" xl destroy "$1"
}

dom0() {
	local bdf
	bdf=$(nvme_bdf disk0)
	check "xenblkd starts" start_xenblkd
	found_by g1 "nvme:$bdf/1?transfer=direct"
	found_by g2 "file:$(nvme_of disk1)?transfer=copy"
}
