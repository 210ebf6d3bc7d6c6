# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="a read-only disk can be read, not written; a CD-ROM is changed and ejected under its guest"

host_setup() {
	drive disk0 64M
	head -c 64M /dev/urandom >"$(image disk0)"
	remember disk0 "$(sha256sum <"$(image disk0)" | cut -d' ' -f1)"
	burn one 8M
	burn two 12M
}

# burn DRIVE SIZE - a filesystem with one file in it
burn() {
	mkdir -p "$run/tree"
	dd if=/dev/urandom of="$run/tree/random" bs=64k count=32 2>/dev/null
	remember "$1" "$(sha256sum <"$run/tree/random" | cut -d' ' -f1)"
	drive "$1" "$2"
	mkfs.ext4 -q -F -d "$run/tree" "$(image "$1")" && rm -r "$run/tree"
}

is_read_only() {
	[ "$(cat /sys/block/xvda/ro)" = 1 ]
}

write_to_it() {
	dd if=/dev/zero of=/dev/xvda bs=4k count=1 oflag=direct
}


cd_has() {
	[ "$(cat /sys/block/xvdb/size)" = "$1" ]
}

cd_becomes() {
	wait_for 30 cd_has "$1"
}

cd_has_nothing() {
	[ "$(wc -c </dev/xvdb)" = 0 ]
}

# Mounted, read, and not mounted any more.
cd_reads() {
	mkdir -p /mnt/cd
	mount -t ext4 -o ro,noload /dev/xvdb /mnt/cd
	sha256sum </mnt/cd/random | cut -d' ' -f1
	umount /mnt/cd
}

# in_tray TARGET - as a toolstack does it
in_tray() {
	xenstore-write "/local/domain/0/backend/vbd/$(guest_domid g1)/51728/params" "$1"
}

cdrom_is_changed() {
	local one two
	one=$(host remembered one)
	two=$(host remembered two)
	check "the CD-ROM is 8 MiB" guest_run g1 cd_becomes 16384
	check "it is mounted and read" is "$(guest_run g1 cd_reads)" "$one"
	check "it is ejected" in_tray ""
	check "the guest sees that" guest_run g1 cd_becomes 0
	check "there is nothing to be read" guest_run g1 cd_has_nothing
	check "another is put in" in_tray "file:$(nvme_of two)"
	check "it is 12 MiB" guest_run g1 cd_becomes 24576
	check "mounted and read" is "$(guest_run g1 cd_reads)" "$two"
	check "one that is not there is put in" in_tray file:/dev/three
	check "the tray is empty" guest_run g1 cd_becomes 0
	xenstore-ls /local/domain/0/error >/tmp/errors
	check "why is said" says /tmp/errors "/dev/three cannot be opened"
	check "the first is put in again" xenblkctl insert g1/xvdb "file:$(nvme_of one)"
	check "it is 8 MiB" guest_run g1 cd_becomes 16384
	check "mounted and read" is "$(guest_run g1 cd_reads)" "$one"
	check "it was connected once" is "$(grep -c 'xvdb: connected' $daemon_log)" 1
}

dom0() {
	check "xenblkd starts" start_xenblkd
	check "xl creates the guest" guest_create g1 pv "$(disk xvda "file:$(nvme_of disk0)" ro)" \
		"devtype=cdrom,$(disk xvdb "file:$(nvme_of one)" ro)"
	check "the guest boots" guest_wait g1
	check "its kernel knows" guest_run g1 is_read_only
	check "it reads what is there" is "$(guest_run g1 checksum xvda)" "$(host remembered disk0)"
	check_not "it cannot write" guest_run g1 write_to_it
	check "the device was opened read-only" daemon_says 'opened file:.*read-only'
	cdrom_is_changed
}

host_after() {
	check "the image is unchanged" is "$(sha256sum <"$(image disk0)" | cut -d' ' -f1)" "$(remembered disk0)"
}
