# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034
TITLE="each of these checks has to be reported as failed"

host_setup() {
	drive disk0 64M
}

fails_in_the_middle() {
	echo "before"
	false
	echo "after"
}

fails_in_a_pipe() {
	false | cat
}

dom0() {
	check "WANT FAILURE: a command that fails" false
	check_not "WANT FAILURE: a command that succeeds" true
	start_xenblkd
	guest_create g1 pv "$(disk xvda "file:$(nvme_of disk0)")"
	guest_wait g1
	check "WANT FAILURE: a guest's function that fails in the middle" guest_run g1 fails_in_the_middle
	check "WANT FAILURE: a guest's pipe that fails at its head" guest_run g1 fails_in_a_pipe
	check "WANT FAILURE: a guest that does not answer in time" guest_join_late
	check "WANT FAILURE: a host call that fails" host false
}

guest_join_late() {
	guest_start g1 sleep 60
	guest_join g1 2
}

host_after() {
	check "WANT FAILURE: on the host" false
}
