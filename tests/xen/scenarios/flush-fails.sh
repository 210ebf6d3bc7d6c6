# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="a drive that cannot flush: the guest's fsync fails, and so does what it writes after that"

host_setup() {
	qemu-img create -q -f raw "$run/disk0.img" 64M
	# Each flush fails: dom0's kernel tries a failed one again, several times.
	drives+=(-drive "if=none,id=disk0,format=raw,file.driver=blkdebug,file.image.filename=$run/disk0.img,file.inject-error.0.event=flush_to_disk,file.inject-error.0.errno=5,file.inject-error.0.iotype=flush,file.inject-error.0.once=off"
		-device nvme,drive=disk0,serial=disk0)
}

write_once() {
	wait_for 30 has_disk xvda
	dd if=/dev/zero of=/dev/xvda bs=4k count=1 oflag=direct "$@"
}

read_once() {
	dd if=/dev/xvda of=/dev/null bs=4k count=1 iflag=direct
}

dom0() {
	check "xenblkd starts" start_xenblkd
	check "xl creates the guest" guest_create g1 pv "$(disk xvda "file:$(nvme_of disk0)")"
	check "the guest boots" guest_wait g1
	check "it writes" guest_run g1 write_once
	check_not "its fsync fails" guest_run g1 write_once conv=fsync
	check "the log says which disk" daemon_says '1/xvda: a flush failed'
	check_not "no write seems to succeed after that" guest_run g1 write_once
	check "reads do" guest_run g1 read_once
	check "the guest's kernel saw an I/O error" not guest_run g1 kernel_is_content
}
