# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
# The demonstration: pv-filesystem, told in words.
TITLE="an unmodified guest uses a disk that xenblkd serves"

host_setup() {
	drive disk0 256M
}

dom0() {
	local nvme
	nvme=$(nvme_of disk0)
	tell
	tell "1. In dom0: xenblkd starts. The kernel's own backend is not loaded."
	check "xenblkd is ready" start_xenblkd
	check "xen-blkback is not loaded" not grep -q xen_blkback /proc/modules
	tell_output grep -E 'ready|data goes' $daemon_log
	tell
	tell "2. In dom0: stock xl creates a PV guest, Debian's kernel as it comes, with a disk on $nvme,"
	tell "   an NVMe drive that QEMU emulates."
	check "xl create" guest_create g1 pv "$(disk xvda "file:$nvme")"
	check "the guest boots" guest_wait g1
	tell_output xl list
	tell
	tell "3. In the guest: mkfs.ext4 on /dev/xvda, mount, 8 MiB of random bytes, unmount; then mount again"
	tell "   and read back."
	guest_fills g1 xvda disk0
	tell_output guest_run g1 grep xvda /proc/partitions
	tell "    sha256 in the guest: $(guest_run g1 read_back xvda)"
	tell
	tell "4. In dom0: what an operator sees."
	tell_output xl block-list g1
	check "the disk is connected" disk_state g1 51712 4
	check "the guest's kernel complains about nothing" guest_run g1 kernel_is_content
	guest_destroy g1
	tell_output grep 1/xvda $daemon_log
	tell
	tell "5. Afterwards: nothing is left."
}

host_after() {
	tell
	tell "6. On this machine, without Xen: debugfs reads the file out of the drive's image."
	check "it is, byte for byte, what the guest wrote" filled_image disk0
	tell "    sha256 on the host:  $(debugfs -R 'cat /random' "$(image disk0)" 2>/dev/null | sha256sum | cut -d' ' -f1)"
	tell
	tell "What ran where:"
	tell "  this machine: QEMU, in software emulation, with one emulated NVMe drive ($(image disk0))"
	tell "  on that:      Xen $(sed -n 's/.*Xen version \([^ ]*\).*/\1/p' "$run/console.log" | head -1) from Debian's packages; dom0 with Debian's kernel and xl; xenblkd"
	tell "  in a domU:    Debian's kernel and its xen-blkfront, unmodified"
}
