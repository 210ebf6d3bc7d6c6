# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="SPDK in a PV dom0: its NVMe driver on our env, by copy and direct; a volume and its snapshot"
GUEST_FIO=1
TIMEOUT=900

why_skipped() {
	without_spdk
}

# With a namespace of its own: of one that is made with the controller QEMU does not say how much it copies at a time.
host_setup() {
	qemu-img create -q -f raw "$(image disk0)" 128M
	drives+=(-drive "file=$(image disk0),format=raw,if=none,id=disk0" -device nvme,id=ctrl,serial=disk0
		-device nvme-ns,drive=disk0,bus=ctrl,nsid=1)
}

same_as_remembered() {
	is "$(sha256sum <"$(image "$1")" | cut -d' ' -f1)" "$(remembered "$1")"
}

# Requests that overlap in flight have no one right content: serialize_overlap keeps them apart.
verify() {
	wait_for 30 has_disk "$1"
	fio --name=verify --filename="/dev/$1" --direct=1 --ioengine=libaio --iodepth=32 \
		--rw=randrw --bsrange=512-1m --blockalign=512 --size=48m --io_size="$2" \
		--serialize_overlap=1 --randseed="$3" \
		--verify=crc32c --verify_fatal=1 --verify_backlog=64 --do_verify=1 \
		--fsync=50 --group_reporting
}

# A volume is filled, and 16 MiB of it are then written again by other data, from front to back, one block of 4 KiB after
# the other: what is seen of that at one moment is a beginning of it, and behind that what was there before.
size=16777216
data() {
	seq 1000000 $((1000000 + size / 8 - 1)) >/tmp/first
	tr 0-9 A-J </tmp/first >/tmp/second
}

first() {
	wait_for 30 has_disk "$1"
	data
	dd if=/tmp/first of="/dev/$1" bs=1M oflag=direct conv=fsync 2>/dev/null
}

second() {
	dd if=/tmp/second of="/dev/$1" bs=4k oflag=direct conv=fsync 2>/dev/null
	echo written
}

is_second() {
	head -c $size "/dev/$1" | cmp - /tmp/second
}

# is_moment DISK - how many bytes are of the second writing; fails if they are all or none, or what follows is not of the first
is_moment() {
	local n
	wait_for 30 has_disk "$1"
	data
	head -c $size "/dev/$1" >/tmp/moment
	cmp /tmp/moment /tmp/second >/tmp/cmp && return 1
	n=$(($(sed 's/.*\(byte\|char\) \([0-9]*\).*/\2/' /tmp/cmp) - 1))
	echo "$n bytes of $size"
	[ "$n" -ge 4096 ]
	[ $((n % 4096)) -eq 0 ]
	[ "$(tail -c +$((n + 1)) /tmp/moment | sha256sum)" = "$(tail -c +$((n + 1)) /tmp/first | sha256sum)" ]
}

# writes_are N - so many have been asked of the volume, or more
writes_are() {
	[ "$(spdk_rpc bdev_get_iostat '{"name": "lvs/vm"}' | sed -n 's/.*"num_write_ops": *\([0-9]*\).*/\1/p')" -ge "$1" ]
}

dom0() {
	local bdf0 sum moment
	bdf0=$(nvme_bdf disk0)
	mkdir -p /var/tmp
	cat >/lab/spdk.json <<-EOF
		{ "subsystems": [ { "subsystem": "bdev", "config": [
		  { "method": "bdev_malloc_create", "params": { "name": "Malloc0", "num_blocks": 98304, "block_size": 512 } }
		] } ] }
	EOF
	check "xenblkd starts, and SPDK with it" start_xenblkd --spdk-config=/lab/spdk.json --spdk-rpc=/run/spdk.sock
	check "SPDK's driver takes a controller" spdk_attaches Nvme0 "$bdf0"
	MEMORY=512 check "xl creates a guest" guest_create g1 pv "$(disk xvda spdk:Malloc0)" \
		"$(disk xvdb "spdk:Nvme0n1?transfer=copy")"
	check "it boots" guest_wait g1
	GUEST_TIMEOUT=300
	check "memory is what fio wrote" guest_run g1 verify xvda 32m 1
	check "so is NVMe, by copy" guest_run g1 verify xvdb 48m 3
	guest_destroy g1
	MEMORY=512 check "xl creates another, direct" guest_create g1 pv "$(disk xvda "spdk:Nvme0n1?transfer=direct")"
	check "it boots" guest_wait g1
	check "it is direct" daemon_says 'connected: .*transfer direct$'
	check "NVMe is what fio wrote, direct" guest_run g1 verify xvda 64m 4
	sum=$(guest_run g1 checksum xvda)
	check "the guest reads the whole disk" is ${#sum} 64
	host remember disk0 "$sum"
	check "its kernel is content" guest_run g1 kernel_is_content
	guest_destroy g1
	check "what the drive has is what the guest read" host same_as_remembered disk0

	check "a store for volumes is made on the drive" spdk_rpc bdev_lvol_create_lvstore \
		'{"bdev_name": "Nvme0n1", "lvs_name": "lvs", "cluster_sz": 1048576}'
	check "and a thin volume" spdk_rpc bdev_lvol_create \
		'{"lvs_name": "lvs", "lvol_name": "vm", "size_in_mib": 64, "thin_provision": true}'
	MEMORY=512 check "xl creates a guest on it" guest_create g1 pv "$(disk xvda spdk:lvs/vm)"
	check "it boots" guest_wait g1
	check "it fills it" guest_run g1 first xvda
	guest_start g1 second xvda
	check "and writes again" wait_for 30 writes_are 500
	check "a snapshot is taken while it writes" spdk_rpc bdev_lvol_snapshot '{"lvol_name": "lvs/vm", "snapshot_name": "one"}'
	check "the guest has written all" is "$(guest_join g1 300 | tail -1)" written
	check "and reads it" guest_run g1 is_second xvda
	check "the volume is what fio wrote, beside its snapshot" guest_run g1 verify xvda 16m 5
	check "its kernel is content" guest_run g1 kernel_is_content
	guest_destroy g1
	MEMORY=512 check "xl creates a guest on the snapshot" guest_create g1 pv "$(disk xvda spdk:lvs/one ro)"
	check "it boots" guest_wait g1
	moment=$(guest_run g1 is_moment xvda)
	check "which has what was written until one moment, and nothing after it" is $? 0
	say "$moment"
	guest_destroy g1
	check "the controller is given back" spdk_rpc bdev_nvme_detach_controller '{"name": "Nvme0"}'
	check "to the kernel" wait_for 10 nvme_of disk0
}
