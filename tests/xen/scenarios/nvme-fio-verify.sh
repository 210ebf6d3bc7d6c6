# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="our own NVMe driver: fio verifies two drives, by copy and direct, 512 B to 1 MiB, depth 32"
GUEST_FIO=1
TIMEOUT=900

# Commands of 32 KiB at most on one of them, so that requests are split.
host_setup() {
	drive disk0 128M
	qemu-img create -q -f raw "$run/disk1.img" 128M
	drives+=(-drive "file=$run/disk1.img,format=raw,if=none,id=disk1"
		-device "nvme,drive=disk1,serial=disk1,mdts=3")
}

# Requests that overlap in flight have no one right content: serialize_overlap keeps them apart.
verify() {
	wait_for 30 has_disk "$1"
	fio --name=verify --filename="/dev/$1" --direct=1 --ioengine=libaio --iodepth=32 \
		--rw="$2" --bsrange=512-1m --blockalign=512 --size=128m --io_size="$3" \
		--serialize_overlap=1 --randseed="$4" \
		--verify=crc32c --verify_fatal=1 --verify_backlog=64 --do_verify=1 \
		--fsync=50 --group_reporting
}

# Memory at any multiple of 512: segments then begin and end within pages.
verify_unaligned() {
	fio --name=verify --filename="/dev/$1" --direct=1 --ioengine=libaio --iodepth=8 --iomem_align=512 \
		--rw=randwrite --bsrange=512-64k --blockalign=512 --size=32m --io_size=32m \
		--serialize_overlap=1 --randseed=9 --verify=crc32c --verify_fatal=1 --do_verify=1
}

dom0() {
	local bdf0 bdf1
	bdf0=$(nvme_bdf disk0)
	bdf1=$(nvme_bdf disk1)
	check "xenblkd starts" start_xenblkd
	MEMORY=512 check "xl creates the guest" guest_create g1 pv \
		"$(disk xvda "nvme:$bdf0/1?transfer=copy")" "$(disk xvdb "nvme:$bdf1/1?transfer=direct")"
	check "the guest boots" guest_wait g1
	check "the log says how much a command moves" daemon_says "nvme:$bdf1: .* 32 KiB a command"
	GUEST_TIMEOUT=300
	for d in xvda xvdb; do
		check "$d: random writes are what reads find" guest_run g1 verify $d randwrite 96m 1
		check "$d: so they are with reads in between" guest_run g1 verify $d randrw 96m 2
		check "$d: and from memory at odd places" guest_run g1 verify_unaligned $d
	done
	check "the guest's kernel is content" guest_run g1 kernel_is_content
	for d in 0 1; do
		sum=$(guest_run g1 checksum xvd$([ $d = 0 ] && echo a || echo b))
		check "the guest reads the whole of disk$d" is ${#sum} 64
		host remember disk$d "$sum"
	done
	guest_destroy g1
	check "no request failed" is "$(grep -cE 'disconnected after .* 0 errors, 0 refused' $daemon_log)" 2
}

host_after() {
	local d
	for d in disk0 disk1; do
		check "the image of $d is, to the last byte, what the guest reads" \
			is "$(sha256sum <"$(image $d)" | cut -d' ' -f1)" "$(remembered $d)"
	done
}
