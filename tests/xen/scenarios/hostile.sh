# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
# LAB_SET="REPEAT=1000" has each attack go on for a second and compares the neighbour's latency;
# "ROUNDS=10000" is for what is done many times, "ONLY=state" for some of it. "LATENCY=10": so many seconds of each
# group, while another domU reads, and nothing else.
TITLE="a guest that attacks, by copy and direct: its neighbour does not notice, and nothing is left"
TIMEOUT=1200
GUEST_FIO=1
GUEST_HOSTILE=1
LATENCY=0

host_setup() {
	drive disk0 64M
	drive disk1 64M
	drive disk2 64M
	drive disk3 64M
}

# ----- in guests

# attack DOMID SCALE OPTION... - on three disks that xl has made, for which this kernel has no driver. Who removes
# its frontend's directory may not make it again, and has no disk from then on: that is left out.
attack() {
	local disks=/local/domain/$1/device/vbd
	/lab/hostile --disk="$disks/51712" --read-only="$disks/51728" --neighbour="$disks/51744" \
		--timeout=$((30 * $2)) --rounds=3 --skip=node/directory-removed "${@:3}" 2>&1 && echo "# all is well"
}

# What a guest does that does nothing wrong.
verify() {
	wait_for 30 has_disk xvda
	until_enough fio --name=verify --filename=/dev/xvda --direct=1 --ioengine=libaio --iodepth=8 --rw=randrw \
		--bssplit=4k/60:44k/40 --blockalign=4k --size=16m --io_size=8m --serialize_overlap=1 --fsync=32 \
		--verify=crc32c --verify_fatal=1 --do_verify=1 >/tmp/fio.out || { tail -20 /tmp/fio.out; return 1; }
	echo verified
}

# again GROUP - its attacks, each for a moment, one after the other, whatever comes of them
again() {
	timeout -s KILL 90 /lab/hostile --disk="$2/51712" --read-only="$2/51728" --neighbour="$2/51744" \
		--rounds=20 --skip=node/directory-removed --repeat=100 --only="$1" >/tmp/again 2>&1 || true
	grep -c '^ok' /tmp/again >>/tmp/attacks || true
}

# It takes what its CPU gives, and asks for nothing.
spin() {
	timeout 1 sh -c 'while :; do :; done' || true
}

# read_times - of single reads: mean, p99, p99.9 and the longest in us, and how many
read_times() {
	fio --name=read --filename=/dev/xvda --direct=1 --ioengine=psync --rw=randread --bs=4k --time_based \
		--runtime="$1" --percentile_list=99:99.9 --terse-version=3 --output-format=terse |
		awk -F';' '{ split($18, a, "="); split($19, b, "="); printf "%d %d %d %d %d\n", $16, a[2], b[2], $15, $6 / 4 }'
}

# ----- in dom0

# latency TEXT [COMMAND... of the guest that attacks, again and again]
latency() {
	local text=$1 times
	shift
	[ $# -eq 0 ] || { guest_start g1 until_enough "$@"; sleep 2; }
	times=$(guest_run g2 read_times "$LATENCY" | tail -1)
	[ $# -eq 0 ] || { guest_enough g1; guest_join g1 $((LATENCY * 2 + 120)) >/dev/null; }
	say "$(printf '%-10s mean %d p99 %d p99.9 %d longest %d us, %d reads' "$text" $times)"
	is "$(wc -w <<<"$times")" 5
}

# What a domU that reads one block after the other has of the attacks of another one.
latencies() {
	local group disks
	MEMORY=384 EXTRA=lab.hostile guest_create g1 pv "$(disk xvda "$1")" \
		"$(disk xvdb "file:$(nvme_of disk1)" ro)" "$(disk xvdc "file:$(nvme_of disk2)")"
	MEMORY=384 guest_create g2 pv "$(disk xvda "file:$(nvme_of disk3)")"
	check "a guest that attacks" guest_wait g1
	check "and one that reads" guest_wait g2
	disks=/local/domain/$(guest_domid g1)/device/vbd
	for group in request indirect grants race ring node state flood; do
		check "alone" latency alone
		check "$group" latency "$group" again "$group" "$disks"
	done
	check "alone" latency alone
	check "beside one that spins" latency spin spin
	guest_destroy g1
	guest_destroy g2
}

# A domU attacks, that may write to its own nodes alone; and so does its neighbour within. Beside it another domU
# verifies.
attacked_by_a_guest() {
	MEMORY=384 EXTRA=lab.hostile check "xl creates a guest that attacks" guest_create g1 pv "$(disk xvda "$1")" \
		"$(disk xvdb "file:$(nvme_of disk1)" ro)" "$(disk xvdc "file:$(nvme_of disk2)")"
	MEMORY=384 check "and one that does not" guest_create g2 pv "$(disk xvda "file:$(nvme_of disk3)")"
	check "the first boots" guest_wait g1
	check "the second boots" guest_wait g2
	guest_start g2 verify
	guest_run g1 attack "$(guest_domid g1)" "$scale" --repeat="${REPEAT:-0}" --only="${GUEST_ONLY:-$2}" >/tmp/attack
	each_case "from a domU" /tmp/attack
	check "from a domU: it came to its end" says /tmp/attack "all is well"
	guest_enough g2
	check "the other guest read all that it wrote" is "$(guest_join g2 400 | tail -1)" verified
	check "its kernel is content" guest_run g2 kernel_is_content
	guest_destroy g1
	guest_destroy g2
}

dom0() {
	local bdf
	bdf=$(nvme_bdf disk0)
	check "xenblkd starts" start_xenblkd --max-queues=16 --log-level=info
	if [ "$LATENCY" -gt 0 ]; then
		latencies "nvme:$bdf/1?transfer=direct"
		return
	fi
	attacked "copied" "file:$(nvme_of disk0)" "file:$(nvme_of disk1)" "file:$(nvme_of disk2)" \
		--log=$daemon_log --pid="$daemon_pid" ${ONLY:+--only="$ONLY"}
	attacked "direct" "nvme:$bdf/1?transfer=direct" "file:$(nvme_of disk1)" "file:$(nvme_of disk2)" \
		--log=$daemon_log --pid="$daemon_pid" --only="${ONLY:-grants,race}"
	attacked_by_a_guest "nvme:$bdf/1?transfer=direct" request,indirect,grants
}
