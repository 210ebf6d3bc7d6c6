# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="frontends of others' making: grub loads a kernel from a disk of ours, which boots; and grub as a 32-bit guest"
TIMEOUT=600

# As Debian has it: compressed, for pv-grub reads 4 KiB at a time.
host_setup() {
	drive disk0 64M
	mkdir -p "$run/tree/boot/grub"
	cp "$cache"/root/boot/vmlinuz-* "$run/tree/boot/vmlinuz"
	mkfs.ext4 -q -F -d "$run/tree" "$(image disk0)" && rm -r "$run/tree"
	drive disk1 16M
	mkfs.ext4 -q -F "$(image disk1)"
}

# Where pv-grub looks for what to boot.
add_initrd() {
	mount -t ext4 "$1" /mnt && cp /boot/guest.img /mnt/boot/ || return
	cat >/mnt/boot/grub/grub.cfg <<-END
		linux /boot/vmlinuz console=hvc0 quiet panic=1
		initrd /boot/guest.img
		boot
	END
	dd if=/dev/urandom of=/mnt/random bs=64k count=128 2>/dev/null
	sha256sum </mnt/random | cut -d' ' -f1 >/tmp/sum
	umount /mnt
}

# Grub keeps its variables in a file of 1024 bytes, and writes to it in place.
add_script() {
	mount -t ext4 "$1" /mnt && mkdir -p /mnt/boot/grub || return
	{ echo "# GRUB Environment Block"; head -c 999 /dev/zero | tr '\0' '#'; } >/mnt/grubenv
	cat >/mnt/boot/grub/grub.cfg <<-'END'
		sha512sum /random
		load_env -f /grubenv
		set said=$grub_cpu-$grub_platform
		save_env -f /grubenv said
		sha256sum /grubenv
		echo "it has ended"
	END
	dd if=/dev/urandom of=/mnt/random bs=64k count=64 2>/dev/null
	sha512sum </mnt/random | cut -d' ' -f1 >/tmp/sum32
	umount /mnt
}

# Without what it tells a terminal; and a line has room for a checksum of 64 digits, not of 128.
grub_says() {
	tr -d '\n' </lab/g2.console | sed 's/\x1b\[[0-9;]*[a-zA-Z]//g' | grep -qF -- "$1"
}

connections() {
	is "$(grep -c '/xvda: connected' $daemon_log)" "$1"
}

# Not at the beginning of a line: pv-grub ends in the middle of one.
agent_is_ready() {
	grep -q @ready /lab/g1.console
}

dom0() {
	check "a kernel is on the disk, and an initramfs" add_initrd "$(nvme_of disk0)"
	check "xenblkd starts" start_xenblkd --max-queues=2
	VCPUS=2 MEMORY=384 guest_config g1 pv "$(disk xvda "file:$(nvme_of disk0)")"
	sed -i -e 's|^kernel = .*|kernel = "/boot/pv-grub"|' -e '/^ramdisk/d' -e '/^extra/d' /etc/xen/g1.cfg
	check "xl creates a guest with pv-grub for a kernel" xl create /etc/xen/g1.cfg
	guest_attach g1
	check "which has loaded the kernel, and this has booted" wait_for 240 agent_is_ready
	check "pv-grub was connected, and then Linux" wait_for 20 connections 2
	check "pv-grub had one queue of one page" daemon_says 'xvda: connected: .*, 1 queue of 32 slots'
	check "it read the kernel, and nothing failed" \
		daemon_says 'disconnected after [0-9]{3,} reads, 0 writes, .* 0 errors, 0 refused; 0 were indirect'
	check "Linux has two queues" daemon_says 'xvda: connected: .*, 2 queues'
	check "Linux finds what was written in dom0" is "$(guest_run g1 read_back xvda)" "$(cat /tmp/sum)"
	check "the guest's kernel is content" guest_run g1 kernel_is_content
	guest_destroy g1

	check "a script is on another disk" add_script "$(nvme_of disk1)"
	MEMORY=128 guest_config g2 pvh "$(disk xvda "file:$(nvme_of disk1)")"
	sed -i -e 's|^kernel = .*|kernel = "/boot/grub-32"|' -e '/^ramdisk/d' -e '/^extra/d' /etc/xen/g2.cfg
	check "xl creates a guest with a grub of 32 bits" xl create /etc/xen/g2.cfg
	guest_attach g2
	check "which has run it" wait_for 240 grub_says "it has ended"
	check "its rings are those of 32 bits" daemon_says '2/xvda: connected: x86_32-abi, 1 queue of 32 slots'
	check "it read what was written in dom0" grub_says "$(cat /tmp/sum32)  /random"
	guest_destroy g2
	check "nothing failed" daemon_says '2/xvda: disconnected after [0-9]{3,} reads, [1-9] writes, .* 0 errors, 0 refused'
	mount -t ext4 -o ro "$(nvme_of disk1)" /mnt
	check "it wrote that it is of 32 bits" says /mnt/grubenv "said=i386-xen_pvh"
	check "and read that back" grub_says "$(sha256sum </mnt/grubenv | cut -d' ' -f1)  /grubenv"
	umount /mnt
}
