# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="a guest that knows barriers alone: fsync is one, a journal's commits are; the drive flushes"

# QEMU notes each command that a drive gets.
host_setup() {
	drive disk0 128M
	drive disk1 128M
	drives+=(-trace pci_nvme_io_cmd)
}

# commands OPCODE - how many of them there were
commands() {
	grep -c "pci_nvme_io_cmd.*opc 0x$1 " "$run/qemu.log"
}

features() {
	wait_for 30 has_disk "$1"
	cat "/sys/block/$1/queue/write_cache" "/sys/block/$1/queue/fua" | xargs
}

sync_one() {
	dd if=/dev/zero of="/dev/$1" bs=4k count=1 oflag=direct conv=fsync
}

# As a toolstack would have it that wants barriers: the guest reads this when it runs.
without_flush() {
	local path
	for path in $(xenstore-list "/local/domain/0/backend/vbd/$1"); do
		xenstore-write "/local/domain/0/backend/vbd/$1/$path/feature-flush-cache" 0
	done
}

published() {
	is "$(xenstore-read "/local/domain/0/backend/vbd/$1/51712/feature-barrier")" 1
}

dom0() {
	local bdf domid before
	bdf=$(nvme_bdf disk1)
	check "xenblkd starts" start_xenblkd
	VCPUS=2 guest_config g1 pv "$(disk xvda "file:$(nvme_of disk0)")" "$(disk xvdb "nvme:$bdf/1?transfer=direct")"
	check "xl creates the guest, paused" xl create -p /etc/xen/g1.cfg
	domid=$(guest_domid g1)
	check "barriers are offered" published "$domid"
	without_flush "$domid"
	xl unpause g1
	guest_attach g1
	check "the guest boots" guest_wait g1
	check "its disk has barriers" is "$(guest_run g1 features xvda)" "write back 1"
	before=$(host commands 0)
	check "it writes and syncs: xvda" guest_run g1 sync_one xvda
	check "which the drive is told" [ "$(host commands 0)" -gt "$before" ]
	before=$(host commands 0)
	check "it writes and syncs: xvdb" guest_run g1 sync_one xvdb
	check "which the other drive is told" [ "$(host commands 0)" -gt "$before" ]
	guest_fills g1 xvda disk0
	guest_fills g1 xvdb disk1
	check "the guest's kernel is content" guest_run g1 kernel_is_content
	guest_destroy g1
	check "these were barriers, and none failed" is \
		"$(grep -cE 'disconnected after .* [1-9][0-9]* barriers, 0 flushes, 0 errors, 0 refused' $daemon_log)" 2
}

host_after() {
	check "debugfs finds the guest's bytes in the first image" filled_image disk0
	check "and in the second" filled_image disk1
}
