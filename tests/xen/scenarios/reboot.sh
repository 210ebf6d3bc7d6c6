# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="a guest reboots and finds its data"

host_setup() {
	drive disk0 128M
}

dom0() {
	local wrote
	check "xenblkd starts" start_xenblkd
	check "xl creates the guest" guest_create g1 pv "$(disk xvda "file:$(nvme_of disk0)")"
	check "the guest boots" guest_wait g1
	wrote=$(guest_run g1 fill xvda)
	check "it fills its disk" is $? 0
	check "it reboots" guest_reboot g1
	check "it is another domain, and finds what it wrote" is "$(guest_run g1 read_back xvda)" "$wrote"
	check "it reboots again" guest_reboot g1
	check "and finds it again" is "$(guest_run g1 read_back xvda)" "$wrote"
	check "xl list shows one guest and no zombie" is "$(xl list | wc -l)" 3
}
