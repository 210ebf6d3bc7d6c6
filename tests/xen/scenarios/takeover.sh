# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="the daemon is killed again and again under verified load: its guests see a pause each time"
GUEST_FIO=1
TIMEOUT=900
KILLS=4

# Slow enough that there is always something in flight.
host_setup() {
	drive disk0 128M raw throttling.iops-total=400
	drive disk1 128M raw throttling.iops-total=400
}

# verify BYTES - of all sizes, indirect requests too; each block that is read is checked
verify() {
	wait_for 30 has_disk xvda
	fio --name=verify --filename=/dev/xvda --direct=1 --ioengine=libaio --iodepth=16 --rw=randrw \
		--bssplit=4k/40:44k/30:128k/20:512k/10 --blockalign=4k --size=24m --io_size="$1" \
		--serialize_overlap=1 --fsync=32 --verify=crc32c --verify_fatal=1 --do_verify=1 >/tmp/fio.out 2>&1 ||
		{ tail -20 /tmp/fio.out; return 1; }
	echo verified
}

# guest_create_fio NAME DISK
guest_create_fio() {
	MEMORY=384 guest_create "$1" pv "$2"
}

all_connected() {
	daemon_says "$(guest_domid g1)/xvda: connected" && daemon_says "$(guest_domid g2)/xvda: connected"
}

dom0() {
	local turn bdf again=0
	bdf=$(nvme_bdf disk0)
	check "xenblkd starts" start_xenblkd
	check "a guest on a drive, directly" guest_create_fio g1 "$(disk xvda "nvme:$bdf/1?transfer=direct")"
	check "a guest on a file, by copies" guest_create_fio g2 "$(disk xvda "file:$(nvme_of disk1)")"
	check "the first boots" guest_wait g1
	check "the second boots" guest_wait g2
	guest_start g1 verify "$((24 + KILLS * 24))m"
	guest_start g2 verify "$((24 + KILLS * 24))m"
	for turn in $(seq $KILLS); do
		sleep "1.$((RANDOM % 10))"
		if [ $((turn % 2)) -eq 1 ]; then
			check "turn $turn: killed with requests in flight" kill_xenblkd_in_flight "$(guest_domid g$((turn % 4 / 2 + 1)))"
		else
			check "turn $turn: killed at any moment" kill_xenblkd
		fi
		check "turn $turn: another daemon starts" start_xenblkd
		check "turn $turn: both guests are connected" wait_for 30 all_connected
		again=$((again + $(grep -c 'requests are carried out again' $daemon_log)))
	done
	check "requests were carried out again" [ "$again" -gt 0 ]
	check "the first read all that it wrote" is "$(guest_join g1 400)" verified
	check "the second too" is "$(guest_join g2 400)" verified
	check "the first one's kernel is content" guest_run g1 kernel_is_content
	check "the second one's too" guest_run g2 kernel_is_content
}
