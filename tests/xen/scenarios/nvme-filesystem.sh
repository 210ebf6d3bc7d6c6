# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="our own NVMe driver: a PV guest makes a filesystem, and the kernel gets the drive back"

host_setup() {
	drive disk0 256M
}

dom0() {
	local bdf
	bdf=$(nvme_bdf disk0)
	check "xenblkd starts" start_xenblkd
	check "xl creates the guest" guest_create g1 pv "$(disk xvda "nvme:$bdf/1?transfer=copy")"
	check "the kernel's driver has let go of the drive" not nvme_of disk0
	check "the log says what drive it is" daemon_says "nvme:$bdf: QEMU NVMe Ctrl, serial disk0"
	check "the guest boots" guest_wait g1
	guest_fills g1 xvda disk0
	check "its kernel complains about nothing" guest_run g1 kernel_is_content
	check "the guest goes" guest_destroy g1
	check "no request failed" daemon_says 'disconnected after .* 0 errors, 0 refused'
	check "the kernel has the drive again" wait_for 10 nvme_of disk0
	mkdir -p /mnt
	check "and reads the guest's filesystem" mount -t ext4 -o ro "$(nvme_of disk0)" /mnt
	check "with what the guest wrote" is "$(sha256sum </mnt/random | cut -d' ' -f1)" "$(host remembered disk0)"
	umount /mnt
}

host_after() {
	check "debugfs finds the same bytes in the image on the host" filled_image disk0
}
