# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="guests are destroyed in the middle of their I/O, and nothing of them stays"

host_setup() {
	drive disk0 128M
	drive disk1 128M
}

# Until the end of the guest, on both disks, reading and writing.
load() {
	wait_for 30 has_disk xvda
	wait_for 30 has_disk xvdb
	for disk in xvda xvdb; do
		(while :; do dd if=/dev/zero of=/dev/$disk bs=1M count=64 oflag=direct; done) &
		(while :; do dd if=/dev/$disk of=/dev/null bs=64k iflag=direct; done) &
	done
	wait
}

# The guest has moved so much by now.
moved() {
	[ "$(guest_run g1 sectors_written)" -gt "$1" ]
}

sectors_written() {
	awk '$3 == "xvda" { print $10 }' /proc/diskstats
}

dom0() {
	local turn
	check "xenblkd starts" start_xenblkd
	for turn in 1 2 3; do
		check "turn $turn: xl creates the guest" guest_create g1 pv \
			"$(disk xvda "file:$(nvme_of disk0)")" "$(disk xvdb "file:$(nvme_of disk1)")"
		check "turn $turn: the guest boots" guest_wait g1
		guest_start g1 load
		check "turn $turn: it is busy" wait_for 60 moved $((8192 * turn))
		check "turn $turn: xl destroys it" xl destroy g1
		# A page that is still mapped would keep it as one.
		check "turn $turn: no zombie, so no page of it is mapped" wait_for 20 only_dom0
		check "turn $turn: no port is bound" not ports_to_guests
	done
	check "the daemon goes on" kill -0 "$daemon_pid"
}
