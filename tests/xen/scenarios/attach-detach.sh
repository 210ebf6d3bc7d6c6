# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="disks come and go while the guest runs"

host_setup() {
	drive disk0 128M
	drive disk1 128M
}

dom0() {
	local turn
	check "xenblkd starts" start_xenblkd
	check "xl creates the guest" guest_create g1 pv "$(disk xvda "file:$(nvme_of disk0)")"
	check "the guest boots" guest_wait g1
	for turn in 1 2 3; do
		check "turn $turn: a second disk is attached" xl block-attach g1 "$(disk xvdb "file:$(nvme_of disk1)")"
		guest_fills g1 xvdb disk1
		check "turn $turn: it is shown as connected" disk_state g1 51728 4
		check "turn $turn: it is detached" xl block-detach g1 xvdb
		check "turn $turn: the guest has lost it" guest_run g1 wait_for 20 lost_disk xvdb
		check "turn $turn: its nodes are gone" not xenstore-exists /local/domain/0/backend/vbd/1/51728
		check "turn $turn: the device is free again" mkfs.ext4 -q -n -F "$(nvme_of disk1)"
	done
	check "a disk that cannot be opened is not attached" not xl block-attach g1 "$(disk xvdc file:/nowhere)"
	check "the first disk never noticed" guest_run g1 fill xvda
	check "the guest's kernel is content" guest_run g1 kernel_is_content
}

host_after() {
	check "what was written last is in the image" filled_image disk1
}
