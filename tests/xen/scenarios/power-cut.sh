# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="flush means flush: after a power cut, what was fsynced is there"

# A qcow2 image stands for a drive with a volatile cache: where new clusters lie is in QEMU's memory
# until a flush, so that a write that no flush followed is lost with the power.
host_setup() {
	expect_end=power_cut
	drive raw 64M qcow2
	drive files 128M qcow2
}

pattern() {
	{ yes "$1" || :; } | head -c 1048576
}

# Writes 1 MiB of NAME at so many MiB; with "synced" it returns when fsync has.
put() {
	local flags=notrunc
	[ "${4:-}" != synced ] || flags=notrunc,fsync
	pattern "$2" | dd of="/dev/$1" bs=64k iflag=fullblock oflag=direct seek=$(($3 * 16)) conv=$flags
}

dom0() {
	# Without commit= its journal flushes every 5 s, and might do so between a write and the cut.
	mkfs.ext4 -q "$(nvme_of files)" && mount -t ext4 -o commit=600 "$(nvme_of files)" /mnt
	truncate -s 64M /mnt/vm.img
	sync
	check "xenblkd starts" start_xenblkd
	check "xl creates the guest: a device and a sparse file" guest_create g1 pv \
		"$(disk xvda "file:$(nvme_of raw)")" "$(disk xvdb file:/mnt/vm.img)"
	check "the guest boots" guest_wait g1
	check "the guest has its disks" guest_run g1 wait_for 30 has_disk xvdb
	check "it writes to the device and syncs" guest_run g1 put xvda before 8 synced
	check "it writes to the file and syncs" guest_run g1 put xvdb before 8 synced
	check "it writes to the device and does not sync" guest_run g1 put xvda after 32
	check "it writes to the file and does not sync" guest_run g1 put xvdb after 32
	say "power cut"
	host power_cut
}

# The MiB at @2 of a stream is NAME's pattern.
holds() {
	cmp <(tail -c +$(($2 * 1048576 + 1)) "$1" | head -c 1048576) <(pattern "$3")
}

host_after() {
	local name
	for name in raw files; do
		qemu-img convert -O raw "$(image $name)" "$run/$name.after" || return
	done
	# As a kernel does that mounts it: the journal is played back.
	e2fsck -fy "$run/files.after" >"$run/e2fsck.log" 2>&1
	debugfs -R "dump /vm.img $run/vm.after" "$run/files.after" >/dev/null 2>&1
	check "device: what was fsynced is there" holds "$run/raw.after" 8 before
	check "file: what was fsynced is there" holds "$run/vm.after" 8 before
	check "device: what was not fsynced is lost, so the cut was one" not holds "$run/raw.after" 32 after
	check "file: what was not fsynced is lost, so the cut was one" not holds "$run/vm.after" 32 after
}
