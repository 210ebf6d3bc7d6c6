# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# The same fio jobs on the kernel's backend and on ours, in one run, turn about. Emulation distorts
# times: what counts are the ratios within the run, and dom0's CPU time for each I/O. What our daemon
# does for a request is counted apart, in jobs that are not timed.
TITLE="fio on xen-blkback and on xenblkd, turn about"
GUEST_FIO=1
TIMEOUT=4500
ROUNDS=3
SECONDS_EACH=5
# LAB_SET="JOBS=each_size": copies and maps by the size of requests
JOBS=each_job

host_setup() {
	drive disk0 512M raw aio=io_uring
	# Blocks that were never written are read from nowhere: it must be written once.
	head -c 512M /dev/urandom >"$(image disk0)"
	: >"$run/results"
	: >"$run/counts"
}

# A drive has a processor of its own. Here its thread shares one with the guest's CPU; beside dom0's, which may
# poll, it would wait for the machine's scheduler, up to 4 ms. QEMU's threads: itself, RCU, CPU 0 (dom0's), CPU 1.
drive_apart_from_dom0() {
	local threads
	mapfile -t threads < <(ps -T -p "$qemu_pid" -o tid=)
	taskset -cp 1 "${threads[0]// /}" && taskset -cp 0 "${threads[2]// /}" && taskset -cp 1 "${threads[3]// /}"
}

# ----- in the guest

# job SECONDS FIO-OPTIONS... - prints: I/Os, IOPS, MB/s, mean latency and p99 in microseconds
job() {
	wait_for 30 has_disk xvda
	fio --name=job --filename=/dev/xvda --direct=1 --ioengine=libaio --size=512m --time_based \
		--runtime="$1" --terse-version=3 --output-format=terse "${@:2}" |
		awk -F';' '{
			w = $49 > 0 ? 41 : 0
			split($(30 + w), p99, "=")
			printf "%d %d %.1f %d %s\n", $(8 + w) * $(9 + w) / 1000, $(8 + w), $(7 + w) / 1024, $(16 + w), p99[2]
		}'
}

# ----- in dom0

# Copies and maps by size, for where "auto" has to change from one to the other.
each_size() {
	local kib
	for kib in 4 8 16 32 64 128; do
		"$@" read-${kib}k-qd1 --rw=randread --bs=${kib}k --iodepth=1
		"$@" read-${kib}k-qd16-batch8 --rw=randread --bs=${kib}k --iodepth=16 --iodepth_batch_submit=8 --iodepth_batch_complete_min=8
		"$@" write-${kib}k-qd16-batch8 --rw=randwrite --bs=${kib}k --iodepth=16 --iodepth_batch_submit=8 --iodepth_batch_complete_min=8
	done
}

# LAB_SET="JOBS=each_4k ROUNDS=1": what a small request costs us, counted, in a few minutes
each_4k() {
	"$@" randread-qd1 --rw=randread --bs=4k --iodepth=1
	"$@" randwrite-qd1 --rw=randwrite --bs=4k --iodepth=1
	"$@" randread-qd32 --rw=randread --bs=4k --iodepth=32
	"$@" randwrite-qd32 --rw=randwrite --bs=4k --iodepth=32
	"$@" randread-qd32-batch16 --rw=randread --bs=4k --iodepth=32 --iodepth_batch_submit=16 --iodepth_batch_complete_min=16
	"$@" randwrite-qd32-batch16 --rw=randwrite --bs=4k --iodepth=32 --iodepth_batch_submit=16 --iodepth_batch_complete_min=16
}

each_job() {
	each_4k "$@"
	"$@" read-128k-qd8 --rw=read --bs=128k --iodepth=8
	"$@" write-128k-qd8 --rw=write --bs=128k --iodepth=8
}

busy_jiffies() {
	awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 }' /proc/stat
}

# timed BACKEND JOB FIO-OPTIONS...
timed() {
	local backend=$1 name=$2 before after result busy=-
	shift 2
	if [ "$backend" = "${backend#blkback}" ]; then
		fresh_daemon
	fi
	before=$(busy_jiffies)
	result=$(guest_run g1 job "$SECONDS_EACH" "$@")
	after=$(busy_jiffies)
	# shellcheck disable=SC2086
	set -- $result
	[ $# -eq 5 ] || { tap not "$backend $name: no result: $result"; return 1; }
	if [ "$backend" = "${backend#blkback}" ]; then
		stop_xenblkd
		busy=$(sed -n 's/.*reactor [0-9]*:.* \([0-9]*\) ms busy.*/\1/p' $daemon_log | awk '{ ms += $1 } END { print ms + 0 }')
		[ "$(requests)" -gt 0 ] || { tap not "$backend $name: the daemon tells of no request"; return 1; }
		busy=$((busy * 1000 / $(requests)))
	fi
	tap ok "$backend $name"
	host result "$backend" "$name" "$2" "$3" "$4" "$5" "$(((after - before) * 10000 / ($1 > 0 ? $1 : 1)))" "$busy"
}

# A daemon for this job alone: its counters are the job's.
fresh_daemon() {
	: >$daemon_log
	start_xenblkd "${options[@]}"
	wait_for 30 daemon_says "$(guest_domid g1)/xvda: connected"
}

# All that the daemon says it has done.
requests() {
	grep ' disconnected after ' $daemon_log | grep -oE '[0-9]+ (reads|writes|flushes)' |
		awk '{ n += $1 } END { print n + 0 }'
}

reactor_tid() {
	local task
	for task in "/proc/$daemon_pid/task"/*; do
		[ "$(cat "$task/comm")" != reactor-0 ] || basename "$task"
	done
}

syscalls=/sys/kernel/tracing/events/raw_syscalls/sys_enter

# counted BACKEND JOB FIO-OPTIONS... - what a request costs, counted by the kernel and by the daemon
counted() {
	local backend=$1 name=$2 trigger
	shift 2
	fresh_daemon
	trigger="hist:keys=id.syscall if common_pid==$(reactor_tid)"
	echo "$trigger" >$syscalls/trigger
	guest_run g1 job 2 "$@" >/dev/null
	sed -n 's/.*{ id: \([a-z0-9_]*\) .*hitcount: *\([0-9]*\)/\1 \2/p' $syscalls/hist >/tmp/syscalls
	echo "!$trigger" >$syscalls/trigger
	stop_xenblkd
	host count "$backend" "$name" "$(requests)" \
		"$(sed -n 's/.*reactor 0: \([0-9]*\) grant calls with \([0-9]*\) operations.*/\1 \2/p' $daemon_log)" \
		"$(sed -n 's/.*nvme:.*: queue [1-9].* commands, \([0-9]*\) and \([0-9]*\) doorbells/\1 \2/p' $daemon_log | tail -1 | grep . || echo 0 0)" \
		"$(awk '{ all += $2 } $1 == "sys_ioctl" { ioctls = $2 } END { print all + 0, ioctls + 0 }' /tmp/syscalls)"
	say "$backend $name: $(tr '\n' ' ' </tmp/syscalls)$(grep -oE '[0-9]+ calls were multicalls' $daemon_log)"
}

# with_xenblkd ROUND BACKEND TARGET OPTION... - our daemon, by one of its ways
with_xenblkd() {
	local options=("${@:4}")
	: >$daemon_log
	check "xenblkd starts" start_xenblkd "${options[@]}"
	MEMORY=512 guest_create g1 pv "$(disk xvda "$3")"
	check "$2 serves a guest" guest_wait g1
	stop_xenblkd
	$JOBS timed "$2"
	[ "$1" -gt 1 ] || $JOBS counted "$2"
	fresh_daemon
	guest_destroy g1
	stop_xenblkd
	wait_for 10 nvme_of disk0
}

# What xl's own script does with a block device, as far as it concerns us.
write_block_script() {
	cat >/etc/xen/scripts/block-lab <<-'END'
		#!/bin/sh
		[ "$1" = add ] || exit 0
		dev=$(xenstore-read "$XENBUS_PATH/params")
		xenstore-write "$XENBUS_PATH/physical-device" "$(stat -c '%t:%T' "$dev")"
		xenstore-write "$XENBUS_PATH/hotplug-status" connected
	END
	chmod +x /etc/xen/scripts/block-lab
}

# with_blkback BACKEND OPTIONS... - of the module
with_blkback() {
	local backend=$1
	shift
	modprobe xen-blkback "$@"
	MEMORY=512 guest_create g1 pv "format=raw,vdev=xvda,access=rw,backendtype=phy,script=block-lab,target=$(nvme_of disk0)"
	check "$backend serves a guest" guest_wait g1
	$JOBS timed "$backend"
	guest_destroy g1
	rmmod xen_blkback
}

dom0() {
	local round bdf
	host drive_apart_from_dom0 || say "the emulated drive could not be given its place: it may wait for dom0's CPU"
	bdf=$(nvme_bdf disk0)
	mount -t tracefs tracefs /sys/kernel/tracing
	write_block_script
	for round in $(seq "$ROUNDS"); do
		if [ "$JOBS" = each_job ]; then
			with_blkback blkback
			with_blkback blkback-no-pers feature_persistent=0
			with_xenblkd "$round" file "file:$(nvme_of disk0)"
		fi
		with_xenblkd "$round" nvme-copy "nvme:$bdf/1?transfer=copy"
		with_xenblkd "$round" nvme-direct "nvme:$bdf/1?transfer=direct"
		if [ "$JOBS" != each_size ]; then
			with_xenblkd "$round" nvme-persistent "nvme:$bdf/1?transfer=persistent"
			# dom0's CPU is the daemon's alone, as one of several would be.
			with_xenblkd "$round" nvme-copy-polls "nvme:$bdf/1?transfer=copy" --poll-us=5000
		fi
	done
}

# ----- on the host

# result BACKEND JOB IOPS MB/s MEAN P99 CPU-US BUSY-US
result() {
	echo "$*" >>"$run/results"
}

# count BACKEND JOB REQUESTS GRANT-CALLS GRANT-OPS SQ-DOORBELLS CQ-DOORBELLS SYSCALLS IOCTLS
count() {
	echo "$*" >>"$run/counts"
}

host_after() {
	mkdir -p "$top/build/bench"
	awk -f "$lab_dir/lib/bench.awk" table="$run/table" json="$top/build/bench/xen.json" \
		"$run/results" "$run/counts"
	check "there are results" test -s "$run/table"
}
