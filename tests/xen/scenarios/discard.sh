# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="discard: a guest trims, and images shrink: a file, a block device, our own NVMe driver; secure discard"

host_setup() {
	drive block 128M raw discard=unmap
	drive nvme 128M raw discard=unmap
	qemu-img create -q -f raw "$run/large.img" 64M
	drives+=(-device nvme,id=ctrl-large,serial=large
		-drive "file=$run/large.img,format=raw,if=none,id=large,discard=unmap"
		-device nvme-ns,drive=large,bus=ctrl-large,nsid=1,logical_block_size=4096,physical_block_size=4096)
}

kib_used() {
	du -k "$1" | cut -f1
}

# On the host.
image_kib() {
	kib_used "$(image "$1")"
}

# A file system with 32 MiB of noise on it.
fill_much() {
	wait_for 30 has_disk "$1"
	mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "/dev/$1"
	mkdir -p "/mnt/$1"
	mount -t ext4 "/dev/$1" "/mnt/$1"
	dd if=/dev/urandom of="/mnt/$1/keep" bs=64k count=64 2>/dev/null
	dd if=/dev/urandom of="/mnt/$1/drop" bs=64k count=512 2>/dev/null
	sync
	sha256sum <"/mnt/$1/keep" | cut -d' ' -f1
}

drop_and_trim() {
	rm "/mnt/$1/drop"
	sync
	fstrim "/mnt/$1"
	echo 3 >/proc/sys/vm/drop_caches
	sha256sum <"/mnt/$1/keep" | cut -d' ' -f1
	umount "/mnt/$1"
}

discard_all() {
	blkdiscard "/dev/$1"
}

reads_as_zeroes() {
	[ -z "$(tr -d '\0' <"/dev/$1" | head -c 1)" ]
}

discard_max() {
	wait_for 30 has_disk "$1"
	cat "/sys/block/$1/queue/discard_max_bytes"
}

granularity() {
	cat "/sys/block/$1/queue/discard_granularity"
}

# trims GUEST DISK HOW-TO-LOOK... - what is trimmed is given back, and nothing else
trims() {
	local guest=$1 disk=$2 sum full after
	shift 2
	sum=$(guest_run "$guest" fill_much "$disk")
	check "$disk: the guest fills it" is $? 0
	full=$("$@")
	check "$disk: that takes room" [ "$full" -gt 36000 ]
	check "$disk: after a trim the rest is as it was" is "$(guest_run "$guest" drop_and_trim "$disk")" "$sum"
	after=$("$@")
	check "$disk: and there is room again: $full KiB, then $after" [ "$after" -lt $((full - 30000)) ]
}

erase_all() {
	wait_for 30 has_disk "$1"
	blkdiscard -s "/dev/$1"
}

# dom0_gets VDEV TARGET - a disk of ours, as its own guest
dom0_gets() {
	xl block-attach 0 "$(disk "$1" "$2")" && wait_for 30 test -b "/dev/$1"
}

# dom0_gives_back VDEV NUMBER
dom0_gives_back() {
	xl block-detach 0 "$2" && wait_for 30 not test -b "/dev/$1"
}

discards_of() {
	xenblkctl --json show "$1" | grep -o '"discards": *[0-9]*' | grep -o '[0-9]*' | head -1
}

# Dom0's kernel has a disk of ours, and we serve that to a guest: what it asks for comes back to us.
erases_securely() {
	modprobe xen-blkfront
	check "dom0 gets a disk that can discard securely" dom0_gets xvdy null:64M,secure
	check "and one that cannot" dom0_gets xvdz null:64M
	check "xl creates a guest" guest_create g2 pv "$(disk xvda file:/dev/xvdy)" "$(disk xvdb file:/dev/xvdz)" \
		"$(disk xvdc file:/run/vm.img)"
	check "it boots" guest_wait g2
	check "it discards the first securely" guest_run g2 erase_all xvda
	check "which came through dom0's kernel" [ "$(discards_of 0/xvdy)" -ge 1 ]
	check_not "not the second" guest_run g2 erase_all xvdb
	check "of which nothing came" is "$(discards_of 0/xvdz)" 0
	check "that it discards as others" guest_run g2 discard_all xvdb
	check "and that comes" [ "$(discards_of 0/xvdz)" -ge 1 ]
	check_not "a file is not discarded securely" guest_run g2 erase_all xvdc
	check "the guest's kernel is content" guest_run g2 kernel_is_content
	guest_destroy g2
	check "dom0 gives the disks back" dom0_gives_back xvdy 268441600
	check "both" dom0_gives_back xvdz 268441856
}

dom0() {
	local bdf large
	bdf=$(nvme_bdf nvme)
	large=$(nvme_bdf large)
	truncate -s 128M /run/vm.img
	truncate -s 64M /run/ro.img
	check "xenblkd starts" start_xenblkd
	check "xl creates the guest" guest_create g1 pv \
		"$(disk xvda file:/run/vm.img)" "$(disk xvdb "file:$(nvme_of block)")" \
		"$(disk xvdc "nvme:$bdf/1")" "$(disk xvdd "nvme:$large/1")" \
		"no-discard,$(disk xvde null:1G)" "$(disk xvdf file:/run/ro.img ro)"
	check "the guest boots" guest_wait g1
	trims g1 xvda kib_used /run/vm.img
	trims g1 xvdb host image_kib block
	trims g1 xvdc host image_kib nvme
	trims g1 xvdd host image_kib large
	check "blocks of 4096 bytes are discarded by so many" is "$(guest_run g1 granularity xvdd)" 4096
	check "the guest discards the whole file" guest_run g1 discard_all xvda
	check "nothing is left of it" is "$(kib_used /run/vm.img)" 0
	check "its size is as before" is "$(stat -c %s /run/vm.img)" $((128 << 20))
	check "it reads as zeroes" guest_run g1 reads_as_zeroes xvda
	check "the guest discards the whole drive" guest_run g1 discard_all xvdc
	check "its image is empty" [ "$(host image_kib nvme)" -lt 100 ]
	check "what the toolstack does not want is not offered" is "$(guest_run g1 discard_max xvde)" 0
	check_not "and not done" guest_run g1 discard_all xvde
	check "a read-only disk offers none" is "$(guest_run g1 discard_max xvdf)" 0
	check "the guest's kernel is content" guest_run g1 kernel_is_content
	guest_destroy g1
	check "discards were counted, none failed" is "$(grep -cE 'disconnected after .* [1-9][0-9]* discards, .* 0 errors, 0 refused' $daemon_log)" 4
	erases_securely
	rm /run/vm.img /run/ro.img
}
