# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="a disk of 3 TiB: what is written beyond 2 TiB is there and nowhere else"

# put SECTOR, get SECTOR - 64 KiB
put() {
	wait_for 30 has_disk xvda
	dd if=/dev/urandom of=/tmp/data bs=64k count=1 2>/dev/null
	dd if=/tmp/data of=/dev/xvda bs=64k count=1 seek="$1" oflag=direct 2>/dev/null
	sha256sum </tmp/data | cut -d' ' -f1
}

get() {
	dd if=/dev/xvda bs=64k count=1 skip="$1" iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1
}

sectors() {
	wait_for 30 has_disk xvda
	cat /sys/block/xvda/size
}

in_file() {
	dd if=/run/large.img bs=64k count=1 skip="$1" 2>/dev/null | sha256sum | cut -d' ' -f1
}

dom0() {
	local at low high zeroes
	truncate -s 3298534883840 /run/large.img # and 512 bytes: not a multiple of 4096
	check "xenblkd starts" start_xenblkd
	check "xl creates the guest" guest_create g1 pv "$(disk xvda file:/run/large.img)"
	check "the guest boots" guest_wait g1
	check "it sees all of it" is "$(guest_run g1 sectors)" 6442450945
	# In units of 64 KiB: 2 TiB and a bit, and where that would be with 32 bits of sector number.
	at=$((33554432 + 7777))
	low=$(guest_run g1 put 7777)
	check "it writes at the beginning" is $? 0
	high=$(guest_run g1 put $at)
	check "and beyond 2 TiB" is $? 0
	check "it reads back what is beyond" is "$(guest_run g1 get $at)" "$high"
	check "and what is at the beginning" is "$(guest_run g1 get 7777)" "$low"
	check "the file has it there" is "$(in_file $at)" "$high"
	zeroes=$(head -c 65536 /dev/zero | sha256sum | cut -d' ' -f1)
	check "and beside it nothing" is "$(in_file $((at + 1)))" "$zeroes"
	check "the guest's kernel is content" guest_run g1 kernel_is_content
	guest_destroy g1
	rm /run/large.img
}
