# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="a PV guest makes a filesystem on its disk, and the bytes are in the drive's image"

host_setup() {
	drive disk0 256M
}

dom0() {
	check "xenblkd starts" start_xenblkd
	check "xl creates the guest" guest_create g1 pv "$(disk xvda "file:$(nvme_of disk0)")"
	check "the guest boots" guest_wait g1
	guest_fills g1 xvda disk0
	check "xl block-list shows the disk connected" disk_state g1 51712 4
	check "its kernel complains about nothing" guest_run g1 kernel_is_content
	check "the log says how it connected" daemon_says '1/xvda: connected: x86_64-abi'
	check "data goes by hypercalls" daemon_says 'data goes by grant copy hypercalls'
}

host_after() {
	check "debugfs finds the same bytes in the image on the host" filled_image disk0
}
