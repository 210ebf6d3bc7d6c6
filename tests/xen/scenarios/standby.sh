# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="a daemon stands by, and goes on when the one that serves is killed, told to end, or upgraded"
GUEST_FIO=1
TIMEOUT=900
# How often, in each way; LAB_SET="HANDOVERS=10" for more. With LAB_OTHER, the folder of another build, there
# and back between the two.
HANDOVERS=2
# How many pauses of each kind are measured.
PAUSES=0

host_setup() {
	local nsid
	drives+=(-device "nvme,id=ctrl,serial=disk0")
	for nsid in 1 2; do
		qemu-img create -q -f raw "$run/ns$nsid.img" 64M
		drives+=(-drive "file=$run/ns$nsid.img,format=raw,if=none,id=ns$nsid"
			-device "nvme-ns,drive=ns$nsid,bus=ctrl,nsid=$nsid")
	done
	drive disk1 64M
}

verify() {
	fio --name="$1" --filename="/dev/$1" --direct=1 --ioengine=libaio --iodepth=6 --rw=randrw \
		--bssplit=4k/40:44k/30:128k/20:512k/10 --blockalign=4k --randseed=$RANDOM \
		--numjobs=2 --offset_increment=8m --size=8m --io_size=6m \
		--cpus_allowed=0-1 --cpus_allowed_policy=split --group_reporting \
		--serialize_overlap=1 --fsync=32 --verify=crc32c --verify_fatal=1 --do_verify=1 \
		>"/tmp/fio.$1" 2>&1 || { tail -20 "/tmp/fio.$1"; return 1; }
}

verify_both() {
	verify xvda &
	verify xvdb
	wait $!
}

verify_on() {
	wait_for 30 has_disk xvdb
	until_enough verify_both
	echo verified
}

is_enough() {
	[ -e /tmp/enough ]
}

# longest DISK N - the N longest times that one read after the other took, in ms, until it is enough
longest() {
	rm -f /tmp/enough /tmp/pause_*
	fio --name=pause --filename="/dev/$1" --direct=1 --ioengine=psync --rw=randread --bs=4k --thinktime=1ms \
		--time_based --runtime=3600 --write_lat_log=/tmp/pause >/dev/null 2>&1 &
	wait_for 3000 is_enough
	kill -INT $!
	wait $! || true
	tr -d ' ' </tmp/pause_clat.1.log | sort -t, -k2,2nr | awk -F, -v n="$2" 'NR <= n { printf " %.1f", $2 / 1000000 }'
	echo
}

# start_next - the one that stands by, or serves if nobody does
start_next() {
	local program=/lab/other/xenblkd
	next_log=/tmp/xenblkd.$((++nr_logs)).log
	[ -x $program ] && [ $((nr_logs % 2)) -eq 0 ] || program=xenblkd
	$program --log-level=debug --standby --max-queues=2 2>$next_log &
	next_pid=$!
}

next_says() {
	grep -qE -- "$1" $next_log
}

both_connected() {
	next_says "$domid/xvda: connected" && next_says "$domid/xvdb: connected"
}

# Who looks whether it goes on takes processor time from it, dom0 having one CPU; not while pauses are measured.
nap() {
	[ "$PAUSES" -eq 0 ] || read -rt 1 -u 9 || true
}

goes_on() {
	nap
	wait_for 60 both_connected || { grep -v " debug: " $next_log; return 1; }
	daemon_pid=$next_pid daemon_log=$next_log
}

# by_kill_in_flight, by_kill, by_stop, by_upgrade, by_start - the daemon ends, and another one goes on
by_kill_in_flight() {
	wait_for 120 stop_in_flight "$domid" && by_kill
}

by_kill() {
	kill -9 "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	is $? 137
}

by_stop() {
	stop_xenblkd
}

by_upgrade() {
	xenblkctl upgrade && wait "$daemon_pid"
}

by_start() {
	by_kill && start_next
}

# hand_over HOW - with one that stands by before and after, unless none is to
hand_over() {
	if [ "$1" != by_start ]; then
		start_next && wait_for 60 next_says ' stands by: ' || { cat $next_log; return 1; }
	fi
	sleep "0.$((RANDOM % 9 + 1))"
	"$1" && goes_on || return
	kept=$((kept + $(awk '/requests are carried out again/ { n++ } END { print n + 0 }' $next_log)))
}

repeat() {
	local i
	for ((i = 0; i < $1; i++)); do
		"${@:2}" || return
	done
}

median() {
	tr ' ' '\n' | sort -n | awk 'NF { v[++n] = $1 } END { print v[int((n + 1) / 2)] }'
}

# pauses DISK HOW TEXT
pauses() {
	local times
	guest_start g1 longest "$1" "$PAUSES"
	sleep 4
	check "$3: $PAUSES times under a guest that reads" repeat "$PAUSES" hand_over "$2"
	sleep 1
	guest_enough g1
	times=$(guest_join g1 200 | grep '^ ')
	say "pause, $3: median $(median <<<"$times") ms, longest first:$times"
}

dom0() {
	local nr_logs=0 kept=0 bdf domid next_pid next_log
	mkfifo /tmp/never
	exec 9<>/tmp/never
	bdf=$(nvme_bdf disk0)
	cp -n /lab/block-xenblkd /etc/xen/scripts/
	start_next
	check "where nobody serves, who is to stand by serves" wait_for 60 next_says ' ready: '
	daemon_pid=$next_pid daemon_log=$next_log
	VCPUS=2 MEMORY=384 check "a guest" guest_create g1 pv \
		"$(disk xvda "nvme:$bdf/1?transfer=direct")" "$(disk xvdb "file:$(nvme_of disk1)")"
	check "boots" guest_wait g1
	domid=$(guest_domid g1)
	guest_start g1 verify_on
	sleep 2
	check "killed $HANDOVERS times: the one that stands by goes on" repeat "$HANDOVERS" hand_over by_kill_in_flight
	check "upgraded $HANDOVERS times" repeat "$HANDOVERS" hand_over by_upgrade
	check "stopped $HANDOVERS times" repeat "$HANDOVERS" hand_over by_stop
	check "killed $HANDOVERS times with nobody that stands by" repeat "$HANDOVERS" hand_over by_start
	guest_enough g1
	check "with requests in flight: $kept times for a disk" [ "$kept" -ge "$HANDOVERS" ]
	check "the guest read what it wrote" is "$(guest_join g1 400 | tail -1)" verified
	if [ "$PAUSES" -gt 0 ]; then
		pauses xvda by_start "a drive, killed and started"
		pauses xvda by_kill "a drive, killed with one that stands by"
		pauses xvda by_upgrade "a drive, upgraded"
		pauses xvdb by_start "a file, killed and started"
		pauses xvdb by_kill "a file, killed with one that stands by"
		pauses xvdb by_upgrade "a file, upgraded"
	fi
	check "the guest's kernel is content" guest_run g1 kernel_is_content
}
