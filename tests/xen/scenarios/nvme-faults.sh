# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="our own NVMe driver: media errors, a command that does not end, a drive that is pulled out"
TIMEOUT=600

host_setup() {
	bad_drive bad
	named_drive slow throttling.iops-total=100000
	named_drive pulled
	make_monitor
}

# 32 requests at once, and more, all of which have to succeed.
read_many() {
	local i
	for i in 1 2 3 4; do
		dd if="/dev/$1" of=/dev/null bs=1M count=8 skip=$((i * 8)) iflag=direct 2>/dev/null &
	done
	wait
	dd if="/dev/$1" of=/dev/null bs=1M count=8 iflag=direct 2>/dev/null
}

dom0() {
	local bad slow pulled
	bad=$(nvme_bdf bad)
	slow=$(nvme_bdf slow)
	pulled=$(nvme_bdf pulled)
	check "xenblkd starts" start_xenblkd
	check "xl creates the guest" guest_create g1 pv "$(disk xvda "nvme:$bad/1")" \
		"$(disk xvdb "nvme:$slow/1")" "$(disk xvdc "nvme:$pulled/1?transfer=direct")"
	check "the guest boots" guest_wait g1

	check_not "reads of a bad block fail" guest_run g1 read_at xvda 2560
	check "the log says where and what" daemon_says "nvme:$bad/1: read of 8 blocks from 20480: unrecovered read error"
	check "the block before can be read" guest_run g1 read_at xvda 2559
	check "the block after too" guest_run g1 read_at xvda 2561

	host monitor block_set_io_throttle slow 1000 0 0 0 0 0
	guest_start g1 read_many xvdb
	check "a command that does not end is aborted" wait_for 100 daemon_says "nvme:$slow: command .* has not ended in 30 s"
	check "that being of no use, the controller is reset" wait_for 30 daemon_says "nvme:$slow is back"
	host monitor block_set_io_throttle slow 0 0 0 0 0 0
	check "all succeeds in the end" guest_join g1 200
	grep "nvme:$slow" $daemon_log >/tmp/slow.log
	say_file /tmp/slow.log 20

	host monitor qom-set /machine/peripheral/slowctrl smart_critical_warning 4
	check "the drive's health becomes bad: that is logged" wait_for 20 daemon_says "nvme:$slow reports its reliability is degraded"

	guest_start g1 write_on xvdc
	sleep 2
	host monitor device_del pulledctrl
	check "a drive that is pulled out: the guest sees errors" guest_join g1 60
	check "the log says it" daemon_says "nvme:$pulled is not there any more"
	check "the other disks go on" guest_run g1 read_at xvda 1
	check "so does the slow one" guest_run g1 read_at xvdb 1
	check "the guest can be destroyed" guest_destroy g1
}
