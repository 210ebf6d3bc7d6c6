# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="a read-only disk can be read, not written"

host_setup() {
	drive disk0 64M
	head -c 64M /dev/urandom >"$(image disk0)"
	remember disk0 "$(sha256sum <"$(image disk0)" | cut -d' ' -f1)"
}

is_read_only() {
	[ "$(cat /sys/block/xvda/ro)" = 1 ]
}

write_to_it() {
	dd if=/dev/zero of=/dev/xvda bs=4k count=1 oflag=direct
}

expected_sum() {
	cat "$run/disk0.sum"
}

dom0() {
	check "xenblkd starts" start_xenblkd
	check "xl creates the guest" guest_create g1 pv "$(disk xvda "file:$(nvme_of disk0)" ro)"
	check "the guest boots" guest_wait g1
	check "its kernel knows" guest_run g1 is_read_only
	check "it reads what is there" is "$(guest_run g1 checksum xvda)" "$(host expected_sum)"
	check_not "it cannot write" guest_run g1 write_to_it
	check "the device was opened read-only" daemon_says 'opened file:.*read-only'
}

host_after() {
	check "the image is unchanged" is "$(sha256sum <"$(image disk0)" | cut -d' ' -f1)" "$(expected_sum)"
}
