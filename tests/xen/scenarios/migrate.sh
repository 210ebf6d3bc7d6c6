# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="guests are saved, restored and migrated to the same host under verified load"
GUEST_FIO=1
TIMEOUT=900

host_setup() {
	drive disk0 64M
	drive disk1 64M
	drive store 1G
}

# verify DISK - of all sizes, indirect requests too; each block that is read is checked
verify() {
	fio --name="$1" --filename="/dev/$1" --direct=1 --ioengine=libaio --iodepth=8 --rw=randrw \
		--bssplit=4k/50:44k/30:256k/20 --blockalign=4k --size=24m --io_size=24m --randseed=$RANDOM \
		--serialize_overlap=1 --fsync=32 --verify=crc32c --verify_fatal=1 --do_verify=1 \
		>"/tmp/fio.$1" 2>&1 || { tail -20 "/tmp/fio.$1"; return 1; }
}

verify_both() {
	verify xvda &
	verify xvdb
	wait $!
}

verify_all() {
	wait_for 30 has_disk xvda
	wait_for 30 has_disk xvdb
	until_enough verify_both
	echo verified
}

has_load() {
	[ "$(in_flight "$(guest_domid "$1")")" -ge 1 ]
}

# goes_on GUEST - it is another domain with another console; what runs in it runs on
goes_on() {
	local number
	number=$(cat "/lab/$1.number")
	guest_attach "$1" && echo "$number" >"/lab/$1.number"
}

connected() {
	is "$(grep -c " $(guest_domid "$1")/xvd[ab]: connected" $daemon_log)" 2
}

# Its disk is still made, and unmade, in the domain that it leaves: the name alone is not enough.
save_restore() {
	xl save "$1" /mnt/saved && wait_for 20 guest_is_gone "$1" &&
		xl restore /mnt/saved && goes_on "$1" && rm /mnt/saved
}

migrate() {
	xl migrate -s "" "$1" "xl migrate-receive" && goes_on "$1"
}

# story GUEST HOW...
story() {
	local guest=$1 how
	shift
	check "$guest boots" guest_wait "$guest"
	guest_start "$guest" verify_all
	for how in "$@"; do
		check "$guest: there is load" wait_for 60 has_load "$guest"
		check "$guest: $how" "$how" "$guest"
		check "$guest: both disks are connected anew" wait_for 60 connected "$guest"
	done
	check "$guest: there is load still" wait_for 60 has_load "$guest"
	guest_enough "$guest"
	check "$guest: it read what it wrote, all the time" is "$(guest_join "$guest" 300)" verified
	check "$guest: its kernel is content" guest_run "$guest" kernel_is_content
	guest_destroy "$guest"
}

dom0() {
	local bdf disks
	bdf=$(nvme_bdf disk0)
	disks=("$(disk xvda "nvme:$bdf/1")" "$(disk xvdb "file:$(nvme_of disk1)")")
	mkfs.ext4 -q -F "$(nvme_of store)"
	mount -t ext4 "$(nvme_of store)" /mnt
	check "xenblkd starts" start_xenblkd
	MEMORY=320 check "a PV guest" guest_create g1 pv "${disks[@]}"
	# Not live: Debian's Xen cannot log what a PV guest writes to.
	story g1 save_restore save_restore
	MEMORY=320 check "a PVH guest" guest_create g2 pvh "${disks[@]}"
	story g2 save_restore migrate migrate
	check "a disk was shared for a time" daemon_says 'opened .*, which its machine has in another domain'
	check "no request failed" is "$(grep 'disconnected after' $daemon_log | grep -vc ' 0 errors, 0 refused')" 0
	umount /mnt
}
