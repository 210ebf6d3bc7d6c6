# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="two guests with two disks each, all filled at once: block devices and files"

host_setup() {
	drive disk0 128M
	drive disk1 128M
	drive files 512M
}

# In a guest: both disks at the same time.
fill_both() {
	fill xvda >/tmp/a.sum &
	fill xvdb >/tmp/b.sum
	wait $!
	echo "$(cat /tmp/a.sum) $(cat /tmp/b.sum)"
}

read_both() {
	echo "$(read_back xvda) $(read_back xvdb)"
}

dom0() {
	local one two
	mkfs.ext4 -q "$(nvme_of files)" && mount -t ext4 "$(nvme_of files)" /mnt
	truncate -s 128M /mnt/one.img /mnt/two.img
	check "xenblkd starts" start_xenblkd
	check "xl creates the first" guest_create g1 pv \
		"$(disk xvda "file:$(nvme_of disk0)")" "$(disk xvdb file:/mnt/one.img)"
	check "xl creates the second" guest_create g2 pv \
		"$(disk xvda /mnt/two.img)" "$(disk xvdb "$(nvme_of disk1)")"
	check "the first boots" guest_wait g1
	check "the second boots" guest_wait g2
	guest_start g1 fill_both
	guest_start g2 fill_both
	one=$(guest_join g1)
	check "the first filled its disks" is $? 0
	two=$(guest_join g2)
	check "the second filled its disks" is $? 0
	check "the first reads back what it wrote" is "$(guest_run g1 read_both)" "$one"
	check "the second reads back what it wrote" is "$(guest_run g2 read_both)" "$two"
	check "all four are different" is "$(echo "$one $two" | tr ' ' '\n' | sort -u | wc -l)" 4
	host remember disk0 "${one% *}"
	host remember disk1 "${two#* }"
	check "both kernels are content: the first" guest_run g1 kernel_is_content
	check "both kernels are content: the second" guest_run g2 kernel_is_content
	check "a file in use is refused to a third" fails_into /tmp/said guest_create g3 pv "$(disk xvda file:/mnt/one.img)"
	check "with the reason" says /tmp/said "another disk or program has it open"
	guest_destroy g1
	guest_destroy g2
	check "the files can be unmounted: nobody has them open" umount /mnt
}

host_after() {
	check "the first guest's bytes are in the first drive's image" filled_image disk0
	check "the second guest's bytes are in the second drive's image" filled_image disk1
}
