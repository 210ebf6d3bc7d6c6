# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="killed in the middle of DMA: no page is written late, and all that was mapped is unmapped"
TIMEOUT=600
KILLS=4

# Two queues, and requests of 1 MiB.
busy_guest() {
	local EXTRA="xen_blkfront.max_indirect_segments=256"
	VCPUS=2 guest_create g1 pv "$(disk xvda "nvme:$1/1?transfer=direct")"
}

# Slow enough that there is always something in flight.
host_setup() {
	drive disk0 128M raw throttling.iops-total=200
}

load() {
	wait_for 30 has_disk xvda
	while :; do dd if=/dev/xvda of=/dev/null bs=1M count=32 iflag=direct; done &
	while :; do dd if=/dev/zero of=/dev/xvda bs=1M count=32 oflag=direct; done
}

sectors_read() {
	awk '$3 == "xvda" { print $6 }' /proc/diskstats
}

moved() {
	[ "$(guest_run g1 sectors_read)" -gt 500 ]
}

# Memory that nobody writes to; that of a guest that was destroyed may be given out for it.
canary() {
	head -c "$1" /dev/zero | tr '\0' "$2" >/dev/shm/canary
	sha256sum </dev/shm/canary
}

canary_now() {
	sha256sum </dev/shm/canary
}

dom0() {
	local turn bdf mine theirs unmapped=0
	bdf=$(nvme_bdf disk0)
	check "xenblkd starts" start_xenblkd --max-queues=2
	check "a guest that only holds a canary" guest_create g2 pv "$(disk xvda null:1G)"
	check "boots" guest_wait g2
	theirs=$(guest_run g2 canary 67108864 g)
	mine=$(canary 134217728 d)
	for turn in $(seq $KILLS); do
		check "turn $turn: a guest on the drive, direct" busy_guest "$bdf"
		check "turn $turn: boots" guest_wait g1
		check "turn $turn: with two queues" daemon_says "connected: .* 2 queues of 32 slots"
		guest_start g1 load
		check "turn $turn: is busy" wait_for 60 moved
		if [ $((turn % 2)) -eq 1 ]; then
			check "turn $turn: the daemon is killed with requests in flight" kill_xenblkd_in_flight "$(guest_domid g1)"
		else
			sleep "0.$((RANDOM % 10))"
			check "turn $turn: the daemon is killed at any moment" kill_xenblkd
		fi
		check "turn $turn: another daemon starts" start_xenblkd --max-queues=2
		check "turn $turn: stops the controller first" daemon_says "nvme:$bdf: a predecessor was killed; stopped"
		! daemon_says 'unmapped [1-9][0-9]* pages of guests' || unmapped=$((unmapped + 1))
		check "turn $turn: and its own" wait_for 30 daemon_says 'let go of [0-9]+ pages of its memory'
		check "turn $turn: xl destroys the guest" xl destroy g1
		check "turn $turn: which leaves no zombie" wait_for 20 one_guest
		check "turn $turn: dom0's canary lives" is "$(canary_now)" "$mine"
		check "turn $turn: the guest's canary lives" is "$(guest_run g2 canary_now)" "$theirs"
	done
	# A kill may come after the unmap and before the answer; not each time.
	check "pages of the guest's had been mapped when kills came, and were unmapped" [ "$unmapped" -gt 0 ]
	rm /dev/shm/canary
}

one_guest() {
	xl list
	[ "$(xl list | wc -l)" -eq 3 ]
}
