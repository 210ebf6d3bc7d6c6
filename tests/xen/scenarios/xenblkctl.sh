# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="xenblkctl on running guests: what it shows, limits, pause under verification, attach and detach"
GUEST_FIO=1
TIMEOUT=600

host_setup() {
	drive disk0 128M
	drive disk1 128M
}

# Reads and writes side by side, each with as much as it likes in flight.
load() {
	wait_for 30 has_disk xvda
	fio --filename=/dev/xvda --direct=1 --ioengine=libaio --iodepth=8 --time_based --runtime=600 --bs="$1" \
		--name=reads --rw=randread --name=writes --rw=randwrite >/tmp/fio.out 2>&1 &
	echo $! >/tmp/fio.pid
}

end_load() {
	kill "$(cat /tmp/fio.pid)"
	wait_for 30 not_running "$(cat /tmp/fio.pid)"
}

not_running() {
	! kill -0 "$1"
}

verify() {
	wait_for 30 has_disk xvda
	fio --name=verify --filename=/dev/xvda --direct=1 --ioengine=libaio --iodepth=16 --rw=randrw \
		--bssplit=4k/50:44k/30:256k/20 --blockalign=4k --size=32m --io_size=96m --serialize_overlap=1 \
		--fsync=32 --verify=crc32c --verify_fatal=1 --do_verify=1 >/tmp/fio.out 2>&1 ||
		{ tail -20 /tmp/fio.out; return 1; }
	echo verified
}

# shows TEXT COMMAND...
shows() {
	local text=$1
	shift
	"$@" >/tmp/shown && says /tmp/shown "$text"
}

# counter NAME - of the guest's disk
counter() {
	xenblkctl show g1/xvda | sed -n "s/^$1  *\([0-9]*\)$/\1/p"
}

uptime_ms() {
	awk '{ print int($1 * 1000) }' /proc/uptime
}

# so_far - reads, writes, bytes read and bytes written of the guest's disk, and the time in ms
so_far() {
	local name
	xenblkctl --json show g1/xvda >/tmp/disk.json
	for name in reads writes bytes_read bytes_written; do
		grep -o "\"$name\": *[0-9]*" /tmp/disk.json | grep -o '[0-9]*$' | head -1
	done | tr '\n' ' '
	uptime_ms
}

# held GOT WANTED SAVED - never above; how close it comes from below is up to the machine as well, and said:
# a tenth at least.
# SAVED: how much longer than we look it has been able to save up, as a ratio.
held() {
	awk -v got="$1" -v wanted="$2" -v saved="$3" 'BEGIN {
		printf "%s, of %s: %+.1f %%\n", got, wanted, 100 * (got / wanted - 1)
		exit !(got >= 0.1 * wanted && got <= 1.05 * saved * wanted) }'
}

# limit COMMAND... - which sets limits; from here on we look
limit() {
	set_ms=$(uptime_ms)
	"$@"
}

# limits_hold TEXT READS WRITES FIRST - on the average of 10 s from when they were set. FIRST: 0 for
# requests, 2 for bytes. Who saves up for long makes good what a busy machine has held up.
limits_hold() {
	local before=("${at_first[@]}") now i=$4 ms saved reads writes
	sleep 10
	read -ra now <<<"$(so_far)"
	ms=$((now[4] - before[4]))
	saved=$(awk -v all=$((now[4] - set_ms)) -v ms=$ms 'BEGIN { print all / ms }')
	reads=$(((now[i] - before[i]) * 1000 / ms)) writes=$(((now[i + 1] - before[i + 1]) * 1000 / ms))
	say "$1: $reads of $2, $writes of $3"
	check "$1: reads are held" held $reads "$2" "$saved"
	check "$1: writes are held" held $writes "$3" "$saved"
}

is_limited_to() {
	xenblkctl --json show g1/xvda >/tmp/disk.json
	grep -q "\"$1\": *\"*$2\b" /tmp/disk.json
}

stands_still() {
	local before
	before="$(counter reads) $(counter writes)"
	sleep 2
	is "$(counter reads) $(counter writes)" "$before"
}

read_third() {
	wait_for 60 has_disk xvdc
	dd if=/dev/xvdc of=/dev/null bs=64k count=2 iflag=direct
}

# A hundred reads of 4 KiB, one after the other: all are there, with times.
guest_was_traced() {
	local pid
	xenblkctl trace g1/xvdc op=read --count=100 >/tmp/trace 2>&1 &
	pid=$!
	wait_for 20 [ -s /tmp/trace ] &&
	guest_run g1 dd if=/dev/xvdc of=/dev/null bs=4k count=100 iflag=direct &&
	wait $pid &&
	is "$(awk '$3 == "read" && $5 == 4096 && $9 == "ok"' /tmp/trace | wc -l)" 100
}

goes_on() {
	local before
	before=$(counter writes)
	wait_for 30 has_more "$before"
}

has_more() {
	[ "$(counter writes)" -gt "$1" ]
}

# xentop_has COLUMN NUMBER - of the guest, in what xentop prints
xentop_has() {
	xentop -b -i 1 >/tmp/xentop
	is "$(awk -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) column = i }
		$1 == "g1" { print $column }' /tmp/xentop)" "$2"
}

# Its counters are the daemon's, before the guest reads and afterwards.
xentop_follows() {
	local before after
	before=$(counter reads)
	wait_for 20 xentop_has VBD_RD "$before" &&
	guest_run g1 dd if=/dev/xvda of=/dev/null bs=4k count=50 iflag=direct &&
	after=$(counter reads) &&
	[ "$after" -ge $((before + 50)) ] &&
	wait_for 20 xentop_has VBD_RD "$after" &&
	xentop_has VBD_RSECT $(($(counter "bytes read") / 512))
}

xentop_ends() {
	kill "$1" && wait "$1" && not xenstore-exists "/local/domain/0/backend/qdisk/$(guest_domid g1)"
}

dom0() {
	local turn drive xentop_pid
	drive=$(nvme_bdf disk1)
	check "xenblkd starts" start_xenblkd
	MEMORY=384 check "xl creates the guest" guest_create g1 pv "$(disk xvda "file:$(nvme_of disk0)")"
	check "the guest boots" guest_wait g1

	check "its disk is in the list" shows "g1" xenblkctl list
	check "with all that was negotiated" shows "x86_64-abi" xenblkctl show g1/xvda
	check "its bdev too" shows "file:$(nvme_of disk0)" xenblkctl bdevs
	check "counters as JSON" shows '"grant_calls"' xenblkctl --json stats
	check "a disk that is none is named" fails_into /tmp/said xenblkctl show g1/xvdz
	check "with what to do" says /tmp/said '"xenblkctl list" shows'

	xenblkctl xentop >/tmp/xentop.log 2>&1 &
	xentop_pid=$!
	check "xentop shows what the guest reads" xentop_follows
	check "until that is ended, and takes all of it back" xentop_ends $xentop_pid
	check_not "then it does not" xentop_has VBD_RD "$(counter reads)"
	check "top looks twice" is "$(xenblkctl --interval=0.5 --count=2 top | grep -c '/xvda')" 2
	check "the daemon says more" xenblkctl log debug
	check "a second disk is attached" xenblkctl attach g1 xvdb "file:$(nvme_of disk1)"
	check "the guest has it" guest_run g1 wait_for 60 has_disk xvdb
	check "its size is looked at" xenblkctl resize g1/xvdb
	check "it is detached" xenblkctl detach g1/xvdb
	check "the guest has it no more" guest_run g1 wait_for 60 lost_disk xvdb
	check "one on a drive of ours is attached" xenblkctl attach g1 xvdc "nvme:$drive/1"
	check "the drive says how it is" wait_for 20 shows " ok " xenblkctl controllers
	check "the guest reads it" guest_run g1 read_third
	check "a trace has each request of that" guest_was_traced
	check "it is detached again" xenblkctl detach g1/xvdc
	check "a toolstack's disk is not for us to take" fails_into /tmp/said xenblkctl detach g1/xvda
	check "that is said" says /tmp/said "xl block-detach"

	guest_run g1 load 4k
	check "it has load" goes_on
	check "a limit is set" limit xenblkctl set g1/xvda read-iops=40 write-iops=20 burst-ms=10000
	read -ra at_first <<<"$(so_far)"
	limits_hold "requests" 40 20 0
	check "it is changed under load" limit xenblkctl set g1/xvda read-iops=15 write-iops=60
	read -ra at_first <<<"$(so_far)"
	limits_hold "others" 15 60 0
	check "by xenstore too" limit xenstore-write \
		"/local/domain/0/backend/vbd/$(guest_domid g1)/51712/xenblkd/write-iops" 25
	check "which is seen" wait_for 20 is_limited_to write-iops 25
	read -ra at_first <<<"$(so_far)"
	limits_hold "xenstore's" 15 25 0
	guest_run g1 end_load
	check "no limits for a while" xenblkctl set g1/xvda read-iops=0 write-iops=0
	guest_run g1 load 16k
	check "it has other load" goes_on
	check "limits of bytes" limit xenblkctl set g1/xvda read-bps=500k write-bps=1M
	read -ra at_first <<<"$(so_far)"
	limits_hold "bytes" 500000 1000000 2
	check "no limits any more" xenblkctl set g1/xvda read-bps= write-bps=
	guest_run g1 end_load

	guest_start g1 verify
	check "fio verifies" goes_on
	for turn in 1 2 3; do
		check "turn $turn: the disk is paused" xenblkctl pause g1/xvda
		check "turn $turn: nothing is at its device" is "$(counter "in flight")" 0
		check "turn $turn: nothing moves" stands_still
		check "turn $turn: it is resumed" xenblkctl resume g1/xvda
		sleep 0.3
	done
	check "fio read all that it wrote" is "$(guest_join g1 300)" verified
	check "the guest's kernel is content" guest_run g1 kernel_is_content
}
