# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="the daemon is stopped and started again under a guest, which only waits"

host_setup() {
	drive disk0 128M
}

# Writes, reads back and compares, so many times; each pass with other data.
passes() {
	wait_for 30 has_disk xvda
	for pass in $(seq "$1"); do
		dd if=/dev/urandom of=/tmp/data bs=64k count=32 2>/dev/null
		dd if=/tmp/data of=/dev/xvda bs=64k seek=$((pass % 8 * 32)) oflag=direct conv=fsync,notrunc 2>/dev/null
		dd if=/dev/xvda bs=64k count=32 skip=$((pass % 8 * 32)) iflag=direct 2>/dev/null | cmp - /tmp/data
	done
	echo "$1 passes"
}

connections() {
	[ "$(grep -c '1/xvda: connected' $daemon_log)" -eq "$1" ]
}

dom0() {
	local turn bdf
	bdf=$(nvme_bdf disk0)
	check "xenblkd starts" start_xenblkd
	check "xl creates the guest" guest_create g1 pv "$(disk xvda "file:$(nvme_of disk0)")"
	check "the guest boots" guest_wait g1
	guest_start g1 passes 100
	for turn in 1 2 3; do
		sleep 1
		check "turn $turn: the daemon ends" stop_xenblkd
		check "turn $turn: it left no grant mapped" not grants_in_use
		check "turn $turn: it left no port bound" not ports_to_guests
		check "turn $turn: it starts" start_xenblkd
		check "turn $turn: the guest is connected again" wait_for 20 connections $((turn + 1))
	done
	check "the daemon ends" stop_xenblkd
	echo "$bdf" >/sys/bus/pci/drivers/nvme/unbind
	check "without the device, it starts" start_xenblkd
	check "and says what is missing" wait_for 20 daemon_says '1/xvda: /dev/nvme0n1 .*: No such file'
	echo "$bdf" >/sys/bus/pci/drivers/nvme/bind
	check "once the device is back, the guest is connected again" wait_for 20 connections 5
	check "the guest saw all it wrote, and no error" is "$(guest_join g1 300)" "100 passes"
	check "its kernel is content" guest_run g1 kernel_is_content
}
