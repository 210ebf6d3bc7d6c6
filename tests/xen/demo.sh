# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
# The demonstration: nvme-direct and a bit of takeover, told in words.
TITLE="an unmodified guest uses an NVMe drive that xenblkd drives, and does not notice that it is killed"

# Slow enough that a guest that works has something in flight.
host_setup() {
	drive disk0 256M raw throttling.iops-total=500
}

# copy DISK - of what fill() wrote, from the disk to the disk, and compared
copy() {
	cp "/mnt/$1/random" "/mnt/$1/copy"
	sync
	echo 3 >/proc/sys/vm/drop_caches
	cmp "/mnt/$1/random" "/mnt/$1/copy"
}

# copies DISK - again and again
copies() {
	mount -t ext4 "/dev/$1" "/mnt/$1"
	until_enough copy "$1"
	umount "/mnt/$1"
	echo "each the same"
}

# of_disk NAME... - what xenblkctl shows of it
of_disk() {
	xenblkctl show g1/xvda | grep -E "^($(IFS='|'; echo "$*")) "
}

dom0() {
	local bdf
	bdf=$(nvme_bdf disk0)
	tell
	tell "1. In dom0: xenblkd starts. The kernel's own backend is not loaded; the drive is the kernel's still."
	check "xenblkd is ready" start_xenblkd
	check "xen-blkback is not loaded" not grep -q xen_blkback /proc/modules
	tell_output grep -E 'ready|data goes' $daemon_log
	tell_output ls -l "/sys/bus/pci/devices/$bdf/driver"
	tell
	tell "2. In dom0: stock xl creates a PV guest, Debian's kernel as it comes, with a disk on the NVMe drive at"
	tell "   $bdf, which QEMU emulates. xenblkd takes it from the kernel, and drives it from user space."
	check "xl create" guest_create g1 pv "$(disk xvda "nvme:$bdf/1?transfer=direct")"
	check "the guest boots" guest_wait g1
	check "no driver of the kernel's has the drive" [ ! -e "/sys/bus/pci/devices/$bdf/driver" ]
	tell_output xl list
	tell
	tell "3. In the guest: mkfs.ext4 on /dev/xvda, mount, 8 MiB of random bytes, unmount; then mount again"
	tell "   and read back."
	guest_fills g1 xvda disk0
	tell_output guest_run g1 grep xvda /proc/partitions
	tell "    sha256 in the guest: $(guest_run g1 read_back xvda)"
	tell
	tell "4. In dom0: what an operator sees. The drive has read and written the guest's own pages: each grant was"
	tell "   mapped for the device, and none was copied."
	tell_output xl block-list g1
	tell_output of_disk bdev transfer protocol queues reads writes flushes errors indirect "grants copied" "grants mapped"
	check "the disk is connected" disk_state g1 51712 4
	check "nothing was copied" is "$(of_disk "grants copied" | awk '{ print $NF }')" 0
	tell
	tell "5. The guest copies the file, again and again, and compares. Meanwhile xenblkd is killed (SIGKILL), with"
	tell "   requests in flight; and another one is started."
	guest_start g1 copies xvda
	check "it is killed" kill_xenblkd_in_flight "$(guest_domid g1)"
	check "another one is ready" start_xenblkd
	check "it has the disk" wait_for 60 daemon_says '1/xvda: connected'
	tell_output grep -E 'again|stopped|connected' $daemon_log
	guest_enough g1
	check "the guest has seen no error, and its copies are right" is "$(guest_join g1 200)" "each the same"
	check "its kernel complains about nothing" guest_run g1 kernel_is_content
	guest_destroy g1
	tell
	tell "6. Afterwards: nothing is left, and the drive is the kernel's again."
	check "the kernel has it" wait_for 30 nvme_of disk0
}

host_after() {
	tell
	tell "7. On this machine, without Xen: debugfs reads the file out of the drive's image."
	check "it is, byte for byte, what the guest wrote" filled_image disk0
	tell "    sha256 on the host:  $(debugfs -R 'cat /random' "$(image disk0)" 2>/dev/null | sha256sum | cut -d' ' -f1)"
	tell
	tell "What ran where:"
	tell "  this machine: QEMU, in software emulation, with one emulated NVMe drive (${run#"$top"/}/disk0.img)"
	tell "  on that:      Xen $(sed -n 's/.*Xen version \([^ ]*\).*/\1/p' "$run/console.log" | head -1) from Debian's packages; dom0 with Debian's kernel and xl; xenblkd"
	tell "  in a domU:    Debian's kernel and its xen-blkfront, unmodified"
}
