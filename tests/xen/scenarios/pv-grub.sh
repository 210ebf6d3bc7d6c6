# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="a frontend of others' making: pv-grub loads a kernel from a disk of ours, which boots from it"
TIMEOUT=600

# As Debian has it: compressed, for pv-grub reads 4 KiB at a time.
host_setup() {
	drive disk0 64M
	mkdir -p "$run/tree/boot/grub"
	cp "$cache"/root/boot/vmlinuz-* "$run/tree/boot/vmlinuz"
	mkfs.ext4 -q -F -d "$run/tree" "$(image disk0)" && rm -r "$run/tree"
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
}
