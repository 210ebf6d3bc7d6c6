# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
# LAB_SET="REPEAT=1000" has each attack go on for a second and compares the neighbour's latency;
# "ROUNDS=10000" is for what is done many times, "ONLY=state" for some of it.
TITLE="a guest that attacks, by copy and direct: its neighbour does not notice, and nothing is left"
TIMEOUT=1200

host_setup() {
	drive disk0 64M
	drive disk1 64M
	drive disk2 64M
}

dom0() {
	local bdf
	bdf=$(nvme_bdf disk0)
	check "xenblkd starts" start_xenblkd --max-queues=16 --log-level=info
	attacked "copied" "file:$(nvme_of disk0)" "file:$(nvme_of disk1)" "file:$(nvme_of disk2)" \
		--log=$daemon_log --pid="$daemon_pid" ${ONLY:+--only="$ONLY"}
	attacked "direct" "nvme:$bdf/1?transfer=direct" "file:$(nvme_of disk1)" "file:$(nvme_of disk2)" \
		--log=$daemon_log --pid="$daemon_pid" --only="${ONLY:-grants,race}"
}
