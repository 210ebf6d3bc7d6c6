# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="the daemon is killed under load: its successor lets go of what it held, and corrupts nothing"

# The first drive is slow, so that requests are in flight when the kill comes.
host_setup() {
	drive disk0 128M raw throttling.iops-total=100
	drive disk1 64M
}

load() {
	wait_for 30 has_disk xvda
	while :; do
		dd if=/dev/zero of=/dev/xvda bs=1M count=64 oflag=direct
	done
}

sectors_written() {
	awk '$3 == "xvda" { print $10 }' /proc/diskstats
}

moved() {
	[ "$(guest_run g1 sectors_written)" -gt "$1" ]
}

dom0() {
	local turn
	check "xenblkd starts" start_xenblkd
	for turn in 1 2; do
		check "turn $turn: a busy guest" guest_create g1 pv "$(disk xvda "file:$(nvme_of disk0)")"
		check "turn $turn: an idle guest" guest_create g2 pv "$(disk xvda "file:$(nvme_of disk1)")"
		check "turn $turn: they boot" guest_wait g1
		check "turn $turn: both" guest_wait g2
		wrote=$(guest_run g2 fill xvda)
		guest_start g1 load
		check "turn $turn: the first is busy" wait_for 60 moved 1000
		check "turn $turn: is killed with requests in flight" kill_xenblkd_in_flight "$(guest_domid g1)"
		check "turn $turn: another daemon starts" start_xenblkd
		check "turn $turn: which finds them" daemon_says 'requests were in flight'
		check "turn $turn: it lets go of the memory" wait_for 30 daemon_says 'let go of [0-9]+ pages of its memory'
		check "turn $turn: the idle guest goes on" is "$(guest_run g2 read_back xvda)" "$wrote"
		check "turn $turn: xl destroys them" xl destroy g1
		check "turn $turn: both" xl destroy g2
		check "turn $turn: no zombie" wait_for 20 only_dom0
	done
}
