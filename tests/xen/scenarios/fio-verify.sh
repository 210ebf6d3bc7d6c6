# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="fio verifies: 512 B to 1 MiB at random places, reads and writes mixed, flushes, depth 32"
GUEST_FIO=1
TIMEOUT=600

host_setup() {
	drive disk0 128M
}

# Requests that overlap in flight have no one right content: serialize_overlap keeps them apart.
verify() {
	wait_for 30 has_disk xvda
	fio --name=verify --filename=/dev/xvda --direct=1 --ioengine=libaio --iodepth=32 \
		--rw="$1" --bsrange=512-1m --blockalign=512 --size=128m --io_size="$2" \
		--serialize_overlap=1 --randseed="$3" \
		--verify=crc32c --verify_fatal=1 --verify_backlog=64 --do_verify=1 \
		--fsync=50 --group_reporting
}

# Finds what is there to be as the job would have written it.
verify_only() {
	fio --name=verify --filename=/dev/xvda --direct=1 --ioengine=libaio --iodepth=4 \
		--rw=write --bs=64k --size=16m --randseed=3 --verify=crc32c --verify_fatal=1 "$@"
}

# On the host, in the drive's image: one byte, 1 MiB and a bit from its start.
change_a_byte() {
	printf 'x' | dd of="$(image disk0)" bs=1 seek=1050000 conv=notrunc 2>/dev/null
}

dom0() {
	check "xenblkd starts" start_xenblkd
	MEMORY=512 check "xl creates the guest" guest_create g1 pv "$(disk xvda "file:$(nvme_of disk0)")"
	check "the guest boots" guest_wait g1
	GUEST_TIMEOUT=300
	check "random writes are what reads find" guest_run g1 verify randwrite 96m 1
	check "so they are with reads in between" guest_run g1 verify randrw 128m 2
	check "what fio wrote fio finds" guest_run g1 verify_only
	host change_a_byte
	check "a byte that changed behind its back it finds too" not guest_run g1 verify_only --verify_only=1
	check "the guest's kernel is content" guest_run g1 kernel_is_content
	sum=$(guest_run g1 checksum xvda)
	check "the guest reads the whole disk" is ${#sum} 64
	host remember disk0 "$sum"
	guest_destroy g1
	check "no request failed" daemon_says 'disconnected after .* [1-9][0-9]* flushes, 0 errors, 0 refused'
}

host_after() {
	check "the image on the host is, to the last byte, what the guest reads" \
		is "$(sha256sum <"$(image disk0)" | cut -d' ' -f1)" "$(cat "$run/disk0.sum")"
}
