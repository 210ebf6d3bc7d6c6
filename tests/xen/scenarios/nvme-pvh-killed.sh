# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="killed in the middle of DMA in a PVH dom0: no page is written late, and hugepages are free again"
DOM0=pvh
TIMEOUT=600

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

hugepages() {
	cat /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
}

# What a process had pinned, the kernel lets go of some time after its end.
has_hugepages() {
	is "$(hugepages)" "$1"
}

limit() {
	cat /sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages
}

# Memory that nobody writes to, in which late DMA would show. Of hugepages too: if the dead daemon's
# were free, these would be the same ones.
canary() {
	head -c 134217728 /dev/zero | tr '\0' d >/dev/shm/canary
	canary_now
}

canary_now() {
	sha256sum </dev/shm/canary
}

dom0() {
	local turn bdf before
	bdf=$(nvme_bdf disk0)
	check "xenblkd starts" start_xenblkd
	for turn in 1 2 3; do
		check "turn $turn: a guest on the drive" guest_create g1 pv "$(disk xvda "nvme:$bdf/1")"
		check "turn $turn: boots" guest_wait g1
		guest_start g1 load
		check "turn $turn: is busy" wait_for 60 moved
		sleep "0.$((RANDOM % 10))"
		kill -9 "$daemon_pid"
		wait "$daemon_pid" 2>/dev/null
		check "turn $turn: the dead daemon's hugepages are nobody else's" is "$(hugepages)" 10
		before=$(canary)
		sleep 1
		: >$daemon_log
		check "turn $turn: another daemon starts" start_xenblkd
		check "turn $turn: stops the controller first" daemon_says "nvme:$bdf: a predecessor was killed; stopped"
		check "turn $turn: and lets go of its hugepages" daemon_says 'let go of 10 hugepages'
		check "turn $turn: has as many of its own" wait_for 10 has_hugepages 10
		check "turn $turn: and left the limit as it was" is "$(limit)" 0
		check "turn $turn: the canary lives" is "$(canary_now)" "$before"
		rm /dev/shm/canary
		check "turn $turn: xl destroys the guest" xl destroy g1
		check "turn $turn: which leaves no zombie" wait_for 20 only_dom0
	done
	check "the drive serves another guest" guest_create g1 pvh "$(disk xvda "nvme:$bdf/1")"
	check "which boots" guest_wait g1
	guest_fills g1 xvda disk0
	guest_destroy g1
	check "the kernel has the drive again" wait_for 10 nvme_of disk0
	check "xenblkd ends" stop_xenblkd
	check "no hugepages are left" wait_for 10 has_hugepages 0
	check "nor a mount" not grep hugetlbfs /proc/mounts
}

host_after() {
	check "debugfs finds the last guest's bytes in the image" filled_image disk0
}
