# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="512-byte disks on drives with 4096-byte blocks: file systems, fio verifies, direct, copy, file"
GUEST_FIO=1
TIMEOUT=900

# drive_4096 NAME SIZE
drive_4096() {
	qemu-img create -q -f raw "$run/$1.img" "$2" || return
	drives+=(-device "nvme,id=ctrl-$1,serial=$1"
		-drive "file=$run/$1.img,format=raw,if=none,id=$1"
		-device "nvme-ns,drive=$1,bus=ctrl-$1,nsid=1,logical_block_size=4096,physical_block_size=4096")
}

host_setup() {
	drive_4096 direct 64M
	drive_4096 copy 64M
	drive_4096 file 64M
}

# Requests that overlap in flight have no one right content; those that share a block and no sector
# do, and with 512-byte requests at depth 32 in 1 MiB there are many.
verify() {
	local dev=$1 rw=$2 sizes=$3 bytes=$4
	shift 4
	fio --name=verify --filename="/dev/$dev" --direct=1 --ioengine=libaio --iodepth=32 \
		--rw="$rw" --bsrange="$sizes" --blockalign=512 --size="$bytes" --io_size="$bytes" "$@" \
		--serialize_overlap=1 --randseed=5 \
		--verify=crc32c --verify_fatal=1 --verify_backlog=64 --do_verify=1 --fsync=50
}

# What is one behind the other, in blocks and memory that do not fit together.
verify_all() {
	wait_for 30 has_disk "$1"
	verify "$1" randwrite 512-512 1m
	verify "$1" write 512-512 1m
	verify "$1" randrw 512-64k 16m
	verify "$1" randrw 4k-256k 32m
	verify "$1" randwrite 512-64k 8m --iomem_align=512
}

sizes() {
	wait_for 30 has_disk "$1"
	cat "/sys/block/$1/queue/logical_block_size" "/sys/block/$1/queue/physical_block_size" | xargs
}

write_sector() {
	dd if=/dev/urandom of="/dev/$1" bs=512 count=1 seek="$2" oflag=direct
}

dom0() {
	local d direct copy file
	direct=$(nvme_bdf direct)
	copy=$(nvme_bdf copy)
	file=$(nvme_of file)
	check "the kernel sees blocks of 4096 bytes" is "$(cat "/sys/block/${file#/dev/}/queue/logical_block_size")" 4096
	check "xenblkd starts" start_xenblkd
	MEMORY=512 VCPUS=2 check "xl creates the guest" guest_create g1 pv \
		"$(disk xvda "nvme:$direct/1?transfer=direct")" "$(disk xvdb "nvme:$copy/1?transfer=copy")" \
		"$(disk xvdc "file:$file")"
	check "the guest boots" guest_wait g1
	check_not "the page cache of dom0 is not in between" daemon_says "buffered I/O"
	GUEST_TIMEOUT=300
	for d in xvda xvdb xvdc; do
		check "$d: sectors of 512 bytes, blocks of 4096 preferred" is "$(guest_run g1 sizes $d)" "512 4096"
		check "$d: what fio writes fio reads" guest_run g1 verify_all $d
		check "$d: a single sector can be written" guest_run g1 write_sector $d 12345
	done
	guest_fills g1 xvda direct
	guest_fills g1 xvdb copy
	guest_fills g1 xvdc file
	check "the guest's kernel is content" guest_run g1 kernel_is_content
	for d in a b c; do
		host remember "all-$d" "$(guest_run g1 checksum "xvd$d")"
	done
	guest_destroy g1
	check "no request failed" is "$(grep -cE 'disconnected after .* 0 errors, 0 refused' $daemon_log)" 3
}

host_after() {
	local d
	for d in direct copy file; do
		check "debugfs finds the guest's bytes in the image of $d" filled_image $d
	done
	check "the image is what the guest read: direct" is "$(sha256sum <"$(image direct)" | cut -d' ' -f1)" "$(remembered all-a)"
	check "the image is what the guest read: copy" is "$(sha256sum <"$(image copy)" | cut -d' ' -f1)" "$(remembered all-b)"
	check "the image is what the guest read: file" is "$(sha256sum <"$(image file)" | cut -d' ' -f1)" "$(remembered all-c)"
}
