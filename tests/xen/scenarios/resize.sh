# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="disks grow and shrink under a guest, whose kernel sees it and uses what is new"

host_setup() {
	drive disk0 64M
}

sectors_are() {
	[ "$(cat "/sys/block/$1/size")" = "$2" ] || { cat "/sys/block/$1/size"; return 1; }
}

sees() {
	wait_for 30 sectors_are "$1" "$2"
}

write_all() {
	dd if=/dev/urandom of="/dev/$1" bs=64k oflag=direct 2>/dev/null || true
	sha256sum <"/dev/$1" | cut -d' ' -f1
}

# It is mounted while it grows.
mount_one() {
	wait_for 30 has_disk "$1"
	mkfs.ext4 -q -F "/dev/$1"
	mkdir -p "/mnt/$1"
	mount -t ext4 "/dev/$1" "/mnt/$1"
	dd if=/dev/urandom of="/mnt/$1/random" bs=64k count=64 2>/dev/null
	sha256sum <"/mnt/$1/random" | cut -d' ' -f1
}

read_one() {
	echo 3 >/proc/sys/vm/drop_caches
	sha256sum <"/mnt/$1/random" | cut -d' ' -f1
}

grown() {
	dmsetup suspend --noflush "$1" && dmsetup reload "$1" --table "0 $2 linear $(nvme_of disk0) 0" &&
		dmsetup resume --noudevsync "$1" && kill -HUP "$daemon_pid"
}

truncated() {
	truncate -s "$2" "$1" && kill -HUP "$daemon_pid"
}

dom0() {
	local sum sum_a
	truncate -s 16M /run/vm.img
	modprobe dm-mod
	check "a mapped device is made" dmsetup create grows --noudevsync --table "0 32768 linear $(nvme_of disk0) 0"
	check "xenblkd starts" start_xenblkd
	check "a guest" guest_create g1 pv "$(disk xvda file:/run/vm.img)" "$(disk xvdb file:/dev/dm-0)"
	check "boots" guest_wait g1
	check "xvda: 16 MiB" guest_run g1 sees xvda 32768
	check "xvdb: 16 MiB" guest_run g1 sees xvdb 32768
	sum=$(guest_run g1 mount_one xvdb)
	check "xvdb: is mounted" is $? 0

	check "the file grows" truncated /run/vm.img 40M
	check "xvda: the guest sees 40 MiB" guest_run g1 sees xvda 81920
	sum_a=$(guest_run g1 write_all xvda)
	check "xvda: it is written to the end, and is what is in the file" is "$(sha256sum </run/vm.img | cut -d' ' -f1)" "$sum_a"
	check "the mapped device grows" grown grows 98304
	check "xvdb: the guest sees 48 MiB" guest_run g1 sees xvdb 98304
	check "xvdb: the file in it is as it was" is "$(guest_run g1 read_one xvdb)" "$sum"
	check "the file becomes smaller" truncated /run/vm.img 8M
	check "xvda: the guest sees 8 MiB" guest_run g1 sees xvda 16384
	sum_a=$(guest_run g1 write_all xvda)
	check "xvda: it is written to its end, and is what is in the file" is "$(sha256sum </run/vm.img | cut -d' ' -f1)" "$sum_a"
	check "which has not grown" is "$(stat -c %s /run/vm.img)" $((8 << 20))
	check "the daemon is stopped" stop_xenblkd
	truncate -s 12M /run/vm.img
	check "the file grows, and then another starts" start_xenblkd
	check "xvda: the guest sees 12 MiB" guest_run g1 sees xvda 24576
	check "xvdb: the file in it is still as it was" is "$(guest_run g1 read_one xvdb)" "$sum"
	check "the guest's kernel is content" guest_run g1 kernel_is_content
	guest_destroy g1
	check "no request failed" is "$(grep -cE 'disconnected after .* 0 errors, 0 refused' $daemon_log)" 4
	check "the daemon ends" stop_xenblkd
	dmsetup remove --noudevsync grows
	rm /run/vm.img
}
