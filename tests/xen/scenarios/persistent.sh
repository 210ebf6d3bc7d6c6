# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="pages that a guest keeps granted stay mapped: verified, through kills, and given back"
GUEST_FIO=1
TIMEOUT=600

host_setup() {
	drive disk0 32M
	drive disk1 32M
}

# verify DISK SIZE - on all CPUs, and so on all queues
verify() {
	wait_for 30 has_disk "$1"
	fio --name="$1" --filename="/dev/$1" --direct=1 --ioengine=libaio --iodepth=8 --rw=randrw \
		--bssplit=512/10:4k/30:44k/30:128k/30 --blockalign=512 --numjobs=2 --offset_increment=16m \
		--size=16m --io_size="$2" --cpus_allowed=0-1 --cpus_allowed_policy=split \
		--serialize_overlap=1 --randseed=1 --fsync=16 --verify=crc32c --verify_fatal=1 \
		--do_verify=1 --group_reporting >"/tmp/fio.$1" 2>&1 ||
		{ tail -20 "/tmp/fio.$1"; return 1; }
}

verify_both() {
	verify xvda 8m &
	verify xvdb 8m
	wait $!
}

# verify_on - both, for as long as somebody looks
verify_on() {
	until_enough verify_both
	echo verified
}

# Linux' driver has its own words, and complains if it takes a grant back that is mapped.
driver_is_persistent() {
	[ "$(dmesg | grep -c 'persistent grants: enabled')" -ge 2 ]
}

driver_took_back() {
	! dmesg | grep -iE 'still in use|deferring g\.e\.|g\.e\. .*busy'
}

grants_printed() {
	xl dmesg | grep -q 'gnttab_usage_print_all ] done'
}

# guest_grants DOMID - how many of its pages somebody has mapped, beside console and xenstore
guest_grants() {
	xl dmesg -c >/dev/null
	xl debug-keys g
	wait_for 30 grants_printed || return
	xl dmesg | awk -v d="$1" -v table="remote d$1 " '
		/grant-table for remote/ { mine = index($0, table); seen += mine > 0 }
		mine && /\[ *0x[0-9a-f]+\] +[0-9]+ 0x/ && !/\[0x00[01]\]/ { n++ }
		END { print seen ? n + 0 : "Xen printed no table of d" d; exit !seen }'
}

# stop_with_grants DOMID - the daemon stands still, with requests in flight and pages mapped beside the
# rings: nothing is given back while we look
stop_with_grants() {
	local mapped
	stop_in_flight "$1" || return
	mapped=$(guest_grants "$1")
	echo "mapped: $mapped"
	[[ $mapped != [0-9]* || $mapped -lt 24 ]] || return 0
	kill -CONT "$daemon_pid"
	return 1
}

has_grants_exactly() {
	is "$(guest_grants "$1")" "$2"
}

connected() {
	is "$(grep -cE 'connected: x86_64-abi, 2 queues of 32 slots, transfer persistent' $daemon_log)" 2
}

# ragged TARGET OPTION... - dom0 is the guest: what a request does not name is not touched
ragged() {
	blkload --create "$@" --quiet --timeout $((60 * scale)) --size 512-44k --align 512 --layout random \
		--rw randrw --depth 32 --verify --count 1000 >/tmp/load.out 2>&1 &&
		says /tmp/load.out ' 0 pages touched beside the data' || { cat /tmp/load.out; return 1; }
}

dom0() {
	local domid turn bdf disks
	# Little memory: its pages are dom0's grants, and Xen prints them all.
	local options=(--transfer=persistent --max-queues=2 --buffer-mib=2)
	bdf=$(nvme_bdf disk1)
	disks=("$(disk xvda "file:$(nvme_of disk0)")" "$(disk xvdb "nvme:$bdf/1")")
	check "xenblkd starts" start_xenblkd "${options[@]}"
	check "through mapped pages nothing is touched beside the data" ragged "file:$(nvme_of disk0)" --persistent
	check "that is how it went" daemon_says '[0-9]{3,} segments went through pages that stayed mapped'
	check "nor by the drive itself" ragged "nvme:$bdf/1?transfer=direct"
	check "that is how this went" daemon_says 'connected: .* transfer direct'
	MEMORY=384 VCPUS=2 check "a guest" guest_create g1 pv "${disks[@]}"
	check "boots" guest_wait g1
	domid=$(guest_domid g1)
	check "both disks are persistent" wait_for 20 connected
	check "its driver says so too" guest_run g1 driver_is_persistent
	guest_start g1 verify_on
	for turn in 1 2; do
		check "turn $turn: its pages stay mapped" wait_for 120 stop_with_grants "$domid"
		check "turn $turn: the daemon is killed" kill_xenblkd
		check "turn $turn: it left none mapped" has_grants_exactly "$domid" 0
		check "turn $turn: its successor starts" start_xenblkd "${options[@]}"
		check "turn $turn: and both disks are connected" wait_for 30 connected
	done
	guest_enough g1
	check "what was written is what is read" is "$(guest_join g1 300)" verified
	# Two disks with two rings of a page each.
	check "what is not used is given back" wait_for 60 has_grants_exactly "$domid" 4
	check "a disk is taken away" xl block-detach g1 xvdb
	check "no request failed" is "$(grep -cE 'disconnected after .* 0 errors, 0 refused' $daemon_log)" 1
	check "and they went so" daemon_says '[0-9]{3,} segments went through pages that stayed mapped'
	check "the other is verified" guest_run g1 verify xvda 1m
	check "the guest's kernel is content" guest_run g1 kernel_is_content
	check "and had no grant in use that it took back" guest_run g1 driver_took_back
	guest_start g1 until_enough verify xvda 8m
	check "used again, its pages are mapped again" wait_for 120 stop_with_grants "$domid"
	xl destroy g1
	kill -CONT "$daemon_pid"
	check "the guest is destroyed with them, and is no zombie" wait_for 30 only_dom0
}
