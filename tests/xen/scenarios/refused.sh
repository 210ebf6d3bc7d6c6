# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="targets that cannot be: xl fails at once, and says why in our words"

host_setup() {
	drive disk0 64M
}

# refused TARGET REASON - xl create fails, and its message has the reason
refused() {
	check "xl create fails for \"$1\"" fails_into /tmp/said guest_create g1 pv "$(disk xvda "$1")"
	check "and says: $2" says /tmp/said "$2"
	check_not "and not that it waited in vain" says /tmp/said "unable to add device"
	check "the log says it too" says $daemon_log "$2"
	check "no guest is left" wait_for 20 only_dom0
	check "no node is left" wait_for 10 no_backends
}

dom0() {
	check "xenblkd starts" start_xenblkd
	refused file:/srv/missing.img "/srv/missing.img cannot be opened for reading and writing: No such file or directory"
	refused nonsense:1 '"nonsense:1" names no block device; expected file:, null:, nvme:, spdk:, or an absolute path'
	refused file:relative.img "is a relative path; expected an absolute path"
	refused null:12x "null:12x is not a size"
	mkfs.ext4 -q "$(nvme_of disk0)" && mount -t ext4 "$(nvme_of disk0)" /mnt
	refused "file:$(nvme_of disk0)" "is in use (mounted, or part of LVM, md or swap)"
	umount /mnt
	check "without a daemon xl fails too" stop_xenblkd
	check_not "xl create fails" guest_create g1 pv "$(disk xvda null:1G)"
}
