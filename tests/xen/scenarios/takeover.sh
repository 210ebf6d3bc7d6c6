# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="the daemon is killed again and again under verified load: its guests see a pause each time"
GUEST_FIO=1
TIMEOUT=900
# How often; LAB_SET="KILLS=100 TIMEOUT=3000" for more.
KILLS=4

# Slow enough that there is always something in flight. Two namespaces of one controller, and a drive that
# the kernel has.
host_setup() {
	local nsid
	drives+=(-device "nvme,id=ctrl,serial=disk0")
	for nsid in 1 2; do
		qemu-img create -q -f raw "$run/ns$nsid.img" 64M
		drives+=(-drive "file=$run/ns$nsid.img,format=raw,if=none,id=ns$nsid,throttling.iops-total=300"
			-device "nvme-ns,drive=ns$nsid,bus=ctrl,nsid=$nsid")
	done
	drive disk1 64M raw throttling.iops-total=400
}

queues() {
	local queues=(/sys/block/xvda/mq/*)
	echo ${#queues[@]}
}

# verify DISK - of all sizes, indirect requests too, from each CPU and so on each queue; each block that
# is read is checked, and in the end all that was written. Requests that overlap in flight have no one
# right content: jobs have parts of their own.
verify() {
	fio --name=verify --filename="/dev/$1" --direct=1 --ioengine=libaio --iodepth=6 --rw=randrw \
		--bssplit=4k/40:44k/30:128k/20:512k/10 --blockalign=4k --randseed=$RANDOM \
		--numjobs=4 --offset_increment=8m --size=8m --io_size=6m \
		--cpus_allowed=0-3 --cpus_allowed_policy=split --group_reporting \
		--serialize_overlap=1 --fsync=32 --verify=crc32c --verify_fatal=1 --do_verify=1 \
		>"/tmp/fio.$1" 2>&1 || { tail -20 "/tmp/fio.$1"; return 1; }
}

# verify_all DISK... - side by side
verify_all() {
	local pids=() d
	for d in "$@"; do
		wait_for 30 has_disk "$d"
		until_enough verify "$d" &
		pids+=($!)
	done
	for d in "${pids[@]}"; do
		wait "$d"
	done
	echo verified
}

# guest_create_fio NAME DISK...
guest_create_fio() {
	MEMORY=384 VCPUS=4 EXTRA="xen_blkfront.max_queues=4" guest_create "$1" pv "${@:2}"
}

all_connected() {
	daemon_says "$(guest_domid g1)/xvda: connected" && daemon_says "$(guest_domid g1)/xvdb: connected" &&
	daemon_says "$(guest_domid g2)/xvda: connected"
}

# turn NUMBER - a daemon dies, another one takes over
turn() {
	# Every other one with requests in flight for certain, of one guest and then the other.
	sleep "0.$((RANDOM % 9 + 1))"
	if [ $(($1 % 2)) -eq 1 ]; then
		kill_xenblkd_in_flight "$(guest_domid g$(($1 % 4 / 2 + 1)))" || return
	else
		kill_xenblkd
	fi
	start_xenblkd --max-queues=4 && wait_for 60 all_connected || return
	killed=$((killed + 1))
	again=$((again + $(sed -n 's/.*: \([0-9]*\) requests are carried out again/\1/p' $daemon_log | awk '{ n += $1 } END { print n + 0 }')))
}

dom0() {
	local i again=0 killed=0 bdf
	bdf=$(nvme_bdf disk0)
	check "xenblkd starts" start_xenblkd --max-queues=4
	check "a guest on a drive, directly and by copies" guest_create_fio g1 \
		"$(disk xvda "nvme:$bdf/1?transfer=direct")" "$(disk xvdb "nvme:$bdf/2?transfer=copy")"
	check "a guest on a file, by copies" guest_create_fio g2 "$(disk xvda "file:$(nvme_of disk1)")"
	check "the first boots" guest_wait g1
	check "the second boots" guest_wait g2
	check "the first has four queues" is "$(guest_run g1 queues)" 4
	check "the second too" is "$(guest_run g2 queues)" 4
	guest_start g1 verify_all xvda xvdb
	guest_start g2 verify_all xvda
	sleep 2
	for ((i = 1; i <= KILLS; i++)); do
		turn $i || { cat $daemon_log; break; }
		[ $((i % 20)) -ne 0 ] || say "$i kills, $again requests carried out again"
	done
	check "killed $KILLS times, and each time another daemon went on" is "$killed" "$KILLS"
	check "requests were carried out again: $again" [ "$again" -gt 0 ]
	guest_enough g1
	guest_enough g2
	check "the first read all that it wrote" is "$(guest_join g1 400 | tail -1)" verified
	check "the second too" is "$(guest_join g2 400 | tail -1)" verified
	check "the first one's kernel is content" guest_run g1 kernel_is_content
	check "the second one's too" guest_run g2 kernel_is_content
}
