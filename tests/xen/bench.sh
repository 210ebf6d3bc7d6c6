# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# The same fio jobs on the kernel's backend and on ours, in one run, turn about. Emulation distorts
# times: what counts are the ratios within the run, and dom0's CPU time for each I/O.
TITLE="fio on xen-blkback and on xenblkd, turn about"
GUEST_FIO=1
TIMEOUT=2400
ROUNDS=3
SECONDS_EACH=5

host_setup() {
	drive disk0 512M
	# Blocks that were never written are read from nowhere: it must be written once.
	head -c 512M /dev/urandom >"$(image disk0)"
	: >"$run/results"
}

# ----- in the guest

# job NAME FIO-OPTIONS... - prints: I/Os, IOPS, MB/s, mean latency and p99 in microseconds
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

busy_jiffies() {
	awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 }' /proc/stat
}

# measure BACKEND JOB FIO-OPTIONS...
measure() {
	local backend=$1 name=$2 before after result
	shift 2
	before=$(busy_jiffies)
	result=$(guest_run g1 job $SECONDS_EACH "$@")
	after=$(busy_jiffies)
	# shellcheck disable=SC2086
	set -- $result
	[ $# -eq 5 ] || { say "$backend $name: no result: $result"; return 1; }
	host result "$backend" "$name" "$2" "$3" "$4" "$5" "$(((after - before) * 10000 / ($1 > 0 ? $1 : 1)))"
}

jobs_on() {
	check "$1: randread-qd1" measure "$1" randread-qd1 --rw=randread --bs=4k --iodepth=1
	check "$1: randread-qd32" measure "$1" randread-qd32 --rw=randread --bs=4k --iodepth=32
	check "$1: randread-qd32-batch16" measure "$1" randread-qd32-batch16 --rw=randread --bs=4k --iodepth=32 \
		--iodepth_batch_submit=16 --iodepth_batch_complete_min=16
	check "$1: randwrite-qd32" measure "$1" randwrite-qd32 --rw=randwrite --bs=4k --iodepth=32
	check "$1: read-128k-qd8" measure "$1" read-128k-qd8 --rw=read --bs=128k --iodepth=8
}

# with_xenblkd BACKEND TARGET - our daemon, by one of its ways
with_xenblkd() {
	check "xenblkd starts" start_xenblkd
	MEMORY=512 guest_create g1 pv "$(disk xvda "$2")"
	check "$1 serves a guest" guest_wait g1
	jobs_on "$1"
	guest_destroy g1
	stop_xenblkd
	wait_for 10 nvme_of disk0
	say "$1: $(grep 'datapath:' $daemon_log | tail -1)"
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

with_blkback() {
	modprobe xen-blkback
	MEMORY=512 guest_create g1 pv "format=raw,vdev=xvda,access=rw,backendtype=phy,script=block-lab,target=$(nvme_of disk0)"
	check "xen-blkback serves a guest" guest_wait g1
	jobs_on xen-blkback
	guest_destroy g1
	rmmod xen_blkback
}

dom0() {
	local round bdf
	bdf=$(nvme_bdf disk0)
	write_block_script
	for round in $(seq "$ROUNDS"); do
		with_blkback
		with_xenblkd xenblkd-file "file:$(nvme_of disk0)"
		with_xenblkd nvme-copy "nvme:$bdf/1?transfer=copy"
		with_xenblkd nvme-direct "nvme:$bdf/1?transfer=direct"
	done
}

# ----- on the host

# result BACKEND JOB IOPS MB/s MEAN P99 CPU-US
result() {
	echo "$*" >>"$run/results"
}

host_after() {
	mkdir -p "$top/build/bench"
	awk '
		function median(list, n,   i, j, t, a) {
			n = split(list, a, " ")
			for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (a[j] + 0 < a[i] + 0) { t = a[i]; a[i] = a[j]; a[j] = t }
			return a[int((n + 1) / 2)]
		}
		{
			key = $2 " " $1
			if (!(key in seen)) { seen[key] = 1; order[++n] = key }
			for (i = 3; i <= 7; i++) v[key, i] = v[key, i] " " $i
		}
		END {
			printf "%-24s %-14s %8s %8s %10s %8s %14s\n", "job", "backend", "IOPS", "MB/s", "mean us", "p99 us", "dom0 CPU us/IO" > table
			for (k = 1; k <= n; k++) {
				split(order[k], w, " ")
				printf "%-24s %-14s %8d %8.1f %10d %8d %14d\n", w[1], w[2], median(v[order[k], 3]), median(v[order[k], 4]), median(v[order[k], 5]), median(v[order[k], 6]), median(v[order[k], 7]) > table
				printf "%s{\"job\":\"%s\",\"backend\":\"%s\",\"iops\":%d,\"mb_s\":%.1f,\"mean_us\":%d,\"p99_us\":%d,\"dom0_cpu_us\":%d}", (k > 1 ? ",\n " : "["), w[1], w[2], median(v[order[k], 3]), median(v[order[k], 4]), median(v[order[k], 5]), median(v[order[k], 6]), median(v[order[k], 7]) > json
			}
			print "]" > json
		}' table="$run/table" json="$top/build/bench/xen.json" "$run/results"
	check "there are results" test -s "$run/table"
}
