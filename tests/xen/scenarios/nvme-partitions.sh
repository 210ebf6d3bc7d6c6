# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="our own NVMe driver: two guests on two partitions of one drive, each writes all of its own"

host_setup() {
	drive disk0 128M
	# Not at places that are multiples of 4096 bytes, and right beside each other.
	printf 'label: gpt\nstart=2049, size=61443, name=first\nstart=63492, size=40961, name="the second"\n' |
		sfdisk -q "$(image disk0)"
	head -c 1048576 "$(image disk0)" | sha256sum | cut -d' ' -f1 >"$run/table.sum"
}

# All of the disk, by 33 KiB: prints the checksum.
write_all() {
	local bytes
	wait_for 30 has_disk xvda
	bytes=$(($(cat /sys/block/xvda/size) * 512))
	head -c "$bytes" /dev/urandom >/tmp/all
	dd if=/tmp/all of=/dev/xvda bs=33k oflag=direct conv=fsync 2>/dev/null ||
		dd if=/tmp/all of=/dev/xvda bs=512 oflag=direct conv=fsync 2>/dev/null
	sha256sum </tmp/all | cut -d' ' -f1
}

sectors() {
	wait_for 30 has_disk xvda
	cat /sys/block/xvda/size
}

write_past_end() {
	dd if=/dev/zero of=/dev/xvda bs=512 count=1 seek="$(sectors)" oflag=direct
}

# refused TARGET REASON - xl create fails, and its message has the reason
refused() {
	check "xl create fails for \"$1\"" fails_into /tmp/said guest_create g3 pv "$(disk xvda "$1")"
	check "and says: $2" says /tmp/said "$2"
}

dom0() {
	local bdf one two
	bdf=$(nvme_bdf disk0)
	check "xenblkd starts" start_xenblkd
	check "xl creates a guest on a partition by its label" guest_create g1 pv "$(disk xvda "nvme:$bdf/1/first")"
	check "and one on another by its number" guest_create g2 pv "$(disk xvda "nvme:$bdf/1/2?transfer=direct")"
	check "the first boots" guest_wait g1
	check "the second boots" guest_wait g2
	refused "nvme:$bdf/1" "another disk has it, or a part of it, open"
	refused "nvme:$bdf/1/first" "another disk has it, or a part of it, open"
	refused "nvme:$bdf/1/third" "nvme:$bdf/1 has no partition"
	check "the first is as large as its partition" is "$(guest_run g1 sectors)" 61443
	check "so is the second" is "$(guest_run g2 sectors)" 40961
	guest_start g1 write_all
	guest_start g2 write_all
	one=$(guest_join g1)
	check "the first writes all of it" is $? 0
	two=$(guest_join g2)
	check "the second writes all of it" is $? 0
	check_not "the first cannot write past its end" guest_run g1 write_past_end
	check "the first reads what it wrote" is "$(guest_run g1 checksum xvda)" "$one"
	check "the second reads what it wrote" is "$(guest_run g2 checksum xvda)" "$two"
	host remember one "$one"
	host remember two "$two"
	guest_destroy g1
	guest_destroy g2
	check "no request failed" is "$(grep -cE 'disconnected after .* 0 errors, 0 refused' $daemon_log)" 2
	check "the kernel has the drive again" wait_for 10 nvme_of disk0
	check "with its partitions" wait_for 10 [ -b /dev/nvme0n1p2 ]
}

# extent FIRST COUNT - the checksum of these sectors of the image
extent() {
	dd if="$(image disk0)" bs=512 skip="$1" count="$2" 2>/dev/null | sha256sum | cut -d' ' -f1
}

host_after() {
	check "the first partition has the first guest's bytes" is "$(extent 2049 61443)" "$(remembered one)"
	check "the second has the second guest's" is "$(extent 63492 40961)" "$(remembered two)"
	check "what is before them is untouched" is "$(extent 0 2048)" "$(cat "$run/table.sum")"
	check "so is what is behind them" is "$(extent 104453 100000)" \
		"$(head -c $((100000 * 512)) /dev/zero | sha256sum | cut -d' ' -f1)"
}
