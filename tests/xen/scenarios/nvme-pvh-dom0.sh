# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="our own NVMe driver in a PVH dom0: DMA memory from hugepages, data by copy"
DOM0=pvh
GUEST_FIO=1
TIMEOUT=900

host_setup() {
	drive disk0 128M
	drive disk1 128M
}

verify() {
	wait_for 30 has_disk "$1"
	fio --name=verify --filename="/dev/$1" --direct=1 --ioengine=libaio --iodepth=16 \
		--rw=randwrite --bsrange=512-256k --blockalign=512 --size=64m --io_size=32m \
		--serialize_overlap=1 --verify=crc32c --verify_fatal=1 --verify_backlog=64 \
		--do_verify=1 --fsync=50 --group_reporting
}

# Of 2 MiB, those there are and those that would be made.
hugepages() {
	cat /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
}

# Where the kernel has the first page of the daemon's: its frame, of the entry's 55 low bits.
daemon_frame() {
	local at
	at=$(sed -n 's,-.*/hugepages/memory$,,p' "/proc/$daemon_pid/maps")
	dd if="/proc/$daemon_pid/pagemap" bs=8 skip=$((0x$at / 4096)) count=1 2>/dev/null |
		od -An -tx8 | awk '{ print "0x" substr($1, 4) }'
}

# As mcelog and rasdaemon do with memory that has had too many corrected errors.
soft_offline=/sys/devices/system/memory/soft_offline_page

move_away() {
	echo "$(($1 * 4096))" >$soft_offline
}

dom0() {
	local pv pvh frame
	pv=$(nvme_bdf disk0)
	pvh=$(nvme_bdf disk1)
	check "there are no hugepages before" is "$(hugepages)" 0
	check "xenblkd starts" start_xenblkd
	check "it asked Xen, and says what it got" daemon_says 'data goes by grant copy hypercalls, .* in hugepages; none goes direct'
	check "it made as many hugepages as it needs" is "$(hugepages)" 10
	frame=$(daemon_frame)
	say "the first is frame $frame"
	check "the kernel moves memory if told to" [ -w $soft_offline ]
	check "it cannot move these" not move_away "$frame"
	check "and has not" is "$(daemon_frame)" "$frame"
	MEMORY=512 check "xl creates a PV guest" guest_create g1 pv "$(disk xvda "nvme:$pv/1")"
	MEMORY=512 check "xl creates a PVH guest" guest_create g2 pvh "$(disk xvda "nvme:$pvh/1?transfer=direct")"
	check "the PV guest boots" guest_wait g1 || return
	check "the PVH guest boots" guest_wait g2 || return
	check "one disk goes by copy" daemon_says '1/xvda: connected: .*, transfer copy$'
	check "so does the other" daemon_says '2/xvda: connected: .*, transfer copy$'
	check "which asked for something else, and is told" daemon_says '2/xvda: transfer=direct is not to be had'
	check "the other is not" not daemon_says '1/xvda: transfer=direct'
	GUEST_TIMEOUT=300
	check "the PV guest's random writes are what reads find" guest_run g1 verify xvda
	check "the PVH guest's too" guest_run g2 verify xvda
	guest_fills g1 xvda disk0
	guest_fills g2 xvda disk1
	check "the PV guest's kernel is content" guest_run g1 kernel_is_content
	check "the PVH guest's kernel is content" guest_run g2 kernel_is_content
	guest_destroy g1
	guest_destroy g2
	check "no request failed" is "$(grep -c 'disconnected after .* 0 errors, 0 refused' $daemon_log)" 2
	check "the kernel has a drive again" wait_for 10 nvme_of disk0
	check "and the other" wait_for 10 nvme_of disk1
	mkdir -p /mnt
	check "its driver reads the guest's filesystem" mount -t ext4 -o ro "$(nvme_of disk0)" /mnt
	check "with what the guest wrote" is "$(sha256sum </mnt/random | cut -d' ' -f1)" "$(host remembered disk0)"
	umount /mnt
	check "xenblkd ends" stop_xenblkd
	check "no hugepages are left" is "$(hugepages)" 0
	check "nor a mount" not grep hugetlbfs /proc/mounts
	echo 4 >/proc/sys/vm/nr_hugepages
	check "where some are set aside, xenblkd starts" start_xenblkd
	check "takes them, and has the rest made" is "$(hugepages)" 10
	check "ends" stop_xenblkd
	check "and leaves those that were set aside" is "$(hugepages)" 4
}

host_after() {
	check "debugfs finds the PV guest's bytes in its image" filled_image disk0
	check "and the PVH guest's in the other" filled_image disk1
}
