# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="DMA straight from and to the guest's pages: PV and PVH guests on one NVMe drive each"

host_setup() {
	drive disk0 256M
	drive disk1 256M
}

dom0() {
	local pv pvh
	pv=$(nvme_bdf disk0)
	pvh=$(nvme_bdf disk1)
	check "xenblkd starts" start_xenblkd --transfer=direct
	check "xl creates a PV guest" guest_create g1 pv "$(disk xvda "nvme:$pv/1")"
	check "xl creates a PVH guest" guest_create g2 pvh "$(disk xvda "nvme:$pvh/1?transfer=auto")"
	check "the PV guest boots" guest_wait g1
	check "the PVH guest boots" guest_wait g2
	check "the first disk is direct" daemon_says '1/xvda: connected: .*, transfer direct$'
	check "the second is direct for large requests" daemon_says '2/xvda: connected: .*, transfer direct from 65536 bytes, copy below'
	guest_fills g1 xvda disk0
	guest_fills g2 xvda disk1
	check "the PV guest's kernel is content" guest_run g1 kernel_is_content
	check "the PVH guest's kernel is content" guest_run g2 kernel_is_content
	guest_destroy g1
	guest_destroy g2
	check "no request failed" is "$(grep -c 'disconnected after .* 0 errors, 0 refused' $daemon_log)" 2
	check "the kernel has the drives again" wait_for 10 nvme_of disk1
}

host_after() {
	check "debugfs finds the PV guest's bytes in its image" filled_image disk0
	check "and the PVH guest's in the other" filled_image disk1
}
