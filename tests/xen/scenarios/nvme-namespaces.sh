# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="our own NVMe driver: two namespaces of one drive for two guests; what is in use is refused"

host_setup() {
	qemu-img create -q -f raw "$run/one.img" 128M
	qemu-img create -q -f raw "$run/two.img" 128M
	drives+=(-device nvme,id=ctrl,serial=disk0
		-drive "file=$run/one.img,format=raw,if=none,id=one"
		-device nvme-ns,drive=one,bus=ctrl,nsid=1
		-drive "file=$run/two.img,format=raw,if=none,id=two"
		-device nvme-ns,drive=two,bus=ctrl,nsid=2
		-drive "driver=null-co,size=64M,if=none,id=three"
		-device nvme-ns,drive=three,bus=ctrl,nsid=5,ms=8)
	drive other 64M
}

# Prints the checksum.
write_raw() {
	wait_for 30 has_disk "$1"
	dd if=/dev/urandom of=/tmp/raw bs=64k count=128 2>/dev/null
	dd if=/tmp/raw of="/dev/$1" bs=64k oflag=direct conv=fsync 2>/dev/null
	sha256sum </tmp/raw | cut -d' ' -f1
}

read_raw() {
	dd if="/dev/$1" bs=64k count=128 iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1
}

# refused TARGET REASON - xl create fails, and its message has the reason
refused() {
	check "xl create fails for \"$1\"" fails_into /tmp/said guest_create g3 pv "$(disk xvda "$1")"
	check "and says: $2" says /tmp/said "$2"
}

kernel_has_both() {
	[ -b /dev/nvme0n1 ] && [ -b /dev/nvme0n2 ]
}

dom0() {
	local bdf one two
	bdf=$(nvme_bdf disk0)
	other=$(nvme_bdf other)
	check "xenblkd starts" start_xenblkd

	mkfs.ext4 -q "$(nvme_of disk0)" && mount -t ext4 "$(nvme_of disk0)" /mnt
	refused "nvme:$bdf/2" "nvme:$bdf is in use: /dev/nvme0n1 is mounted on /mnt"
	check "it is still mounted" touch /mnt/here
	umount /mnt
	mkswap /dev/nvme0n2 >/dev/null
	check "dom0 swaps to the other" swapon /dev/nvme0n2
	refused "nvme:$bdf/1" "nvme:$bdf is in use: /dev/nvme0n2 is swap space"
	swapoff /dev/nvme0n2
	modprobe dm-mod
	check "a mapped device stands on it" dmsetup create held --noudevsync --table "0 2048 linear /dev/nvme0n1 0"
	refused "nvme:$bdf/2" "nvme:$bdf is in use: nvme0n1 is part of dm-0 (LVM, md or the like)"
	dmsetup remove --noudevsync held
	refused "nvme:$bdf/3" "the controller has no namespace 3"
	refused "nvme:$bdf/5" "has 8 bytes of metadata a block"
	check "the kernel has it as before" wait_for 10 kernel_has_both
	refused "nvme:0000:00:00.0/1" "is no NVMe controller: its PCI class is 0x060000"
	refused "nvme:0000:00:1e.0/1" "there is no such PCI device here"
	refused "nvme:$bdf" "does not begin with a PCI address and a slash"

	check "xl creates a guest on the first namespace" guest_create g1 pv "$(disk xvda "nvme:$bdf/1")"
	check "and one on the other" guest_create g2 pv "$(disk xvda "nvme:$bdf/2")"
	check "the first boots" guest_wait g1
	check "the second boots" guest_wait g2
	refused "nvme:$bdf/1" "another disk has it, or a part of it, open"
	check "another drive is still the kernel's" [ -b "$(nvme_of other)" ]
	guest_start g1 fill xvda
	guest_start g2 write_raw xvda
	one=$(guest_join g1)
	check "the first fills its disk" is $? 0
	two=$(guest_join g2)
	check "the second fills its disk" is $? 0
	check "the first reads back what it wrote" is "$(guest_run g1 read_back xvda)" "$one"
	check "the second reads back what it wrote" is "$(guest_run g2 read_raw xvda)" "$two"
	check "both kernels are content: the first" guest_run g1 kernel_is_content
	check "both kernels are content: the second" guest_run g2 kernel_is_content
	host remember one "$one"
	host remember two "$two"
	guest_destroy g1
	check_not "the controller is not given back while a disk is left" kernel_has_both
	check "the second reads on" is "$(guest_run g2 read_raw xvda)" "$two"
	guest_destroy g2
	check "the kernel has both again" wait_for 10 kernel_has_both
	check "no request failed" is "$(grep -cE 'disconnected after .* 0 errors, 0 refused' $daemon_log)" 2
}

host_after() {
	check "the first guest's bytes are in the first image" filled_image one
	check "the second guest's bytes are in the second image" \
		is "$(head -c 8M "$(image two)" | sha256sum | cut -d' ' -f1)" "$(remembered two)"
}
