# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="killed with SPDK's NVMe driver in the middle of DMA, again and again: what was in flight is carried out again"
GUEST_FIO=1
TIMEOUT=900
KILLS=4

why_skipped() {
	without_spdk
}

# Slow enough that there is always something in flight.
host_setup() {
	drive disk0 128M raw throttling.iops-total=500
}

# A disk direct, and half of a minute's work in each round; what overlaps has no one right content.
verify() {
	fio --name=verify --filename=/dev/xvda --direct=1 --ioengine=libaio --iodepth=16 --rw=randrw \
		--bsrange=512-512k --blockalign=512 --randseed=$RANDOM --size=48m --io_size=16m \
		--serialize_overlap=1 --fsync=32 --verify=crc32c --verify_fatal=1 --do_verify=1 \
		>/tmp/fio.out 2>&1 || { tail -20 /tmp/fio.out; return 1; }
}

verify_on() {
	wait_for 30 has_disk xvda
	until_enough verify
	echo verified
}

# SPDK keeps its lock in /var/tmp while it reads its configuration.
start_with_controller() {
	mkdir -p /var/tmp
	start_xenblkd --spdk-config=/lab/spdk.json --max-queues=2
}

dom0() {
	local turn sum again=0
	cat >/lab/spdk.json <<-EOF
		{ "subsystems": [ { "subsystem": "bdev", "config": [
		  { "method": "bdev_nvme_attach_controller", "params": { "name": "Nvme0", "trtype": "PCIe", "traddr": "$(nvme_bdf disk0)" } }
		] } ] }
	EOF
	check "xenblkd starts, and SPDK's driver with it" start_with_controller || return
	VCPUS=2 MEMORY=384 check "a guest on the drive, direct" guest_create g1 pv "$(disk xvda "spdk:Nvme0n1?transfer=direct")"
	check "boots" guest_wait g1
	check "it is direct" daemon_says 'connected: .*transfer direct$'
	guest_start g1 verify_on
	for turn in $(seq $KILLS); do
		if [ $((turn % 2)) -eq 1 ]; then
			check "turn $turn: the daemon is killed with requests in flight" kill_xenblkd_in_flight "$(guest_domid g1)"
		else
			sleep "0.$((RANDOM % 10))"
			check "turn $turn: the daemon is killed at any moment" kill_xenblkd
		fi
		check "turn $turn: another daemon starts" start_with_controller || return
		check "turn $turn: stops the controller first" daemon_says "nvme:.*: a predecessor was killed; stopped"
		check "turn $turn: and goes on" wait_for 60 daemon_says 'connected: .*transfer direct$'
		! daemon_says 'requests are carried out again' || again=$((again + 1))
	done
	check "requests were in flight, and were carried out again" [ "$again" -gt 0 ]
	guest_enough g1
	check "the guest read what it wrote" is "$(guest_join g1 400 | tail -1)" verified
	check "its kernel is content" guest_run g1 kernel_is_content
	sum=$(guest_run g1 checksum xvda)
	check "the guest reads the whole disk" is ${#sum} 64
	host remember disk0 "$sum"
	guest_destroy g1
}

host_after() {
	check "what the drive has is what the guest read" is "$(sha256sum <"$(image disk0)" | cut -d' ' -f1)" "$(remembered disk0)"
}
