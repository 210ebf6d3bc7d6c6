# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="SPDK's NVMe driver: a media error is one, and a drive is pulled out under load"
TIMEOUT=600

why_skipped() {
	without_spdk
}

host_setup() {
	bad_drive bad
	named_drive pulled
	named_drive volumes
	make_monitor
}

# bdevs N - as many has SPDK
bdevs() {
	is "$(spdk_rpc bdev_get_bdevs | grep -c '"product_name"')" "$1"
}

dom0() {
	check "xenblkd starts, and SPDK with it" start_xenblkd --spdk-rpc=/run/spdk.sock || return
	for drive in bad pulled volumes; do
		check "SPDK's driver takes a controller" spdk_attaches $drive "$(nvme_bdf $drive)"
	done
	check "a store for volumes is made" spdk_rpc bdev_lvol_create_lvstore \
		'{"bdev_name": "volumesn1", "lvs_name": "lvs", "cluster_sz": 1048576}'
	check "and a volume" spdk_rpc bdev_lvol_create '{"lvs_name": "lvs", "lvol_name": "vm", "size_in_mib": 32}'
	check "xl creates the guest" guest_create g1 pv "$(disk xvda spdk:badn1)" \
		"$(disk xvdb "spdk:pulledn1?transfer=direct")" "$(disk xvdc spdk:lvs/vm)"
	check "the guest boots" guest_wait g1

	check_not "reads of a bad block fail" guest_run g1 read_at xvda 2560
	check "the log says what the drive answered" daemon_says 'SPDK: .*UNRECOVERED READ ERROR'
	check "the block before can be read" guest_run g1 read_at xvda 2559
	check "the block after too" guest_run g1 read_at xvda 2561
	check "the controller is not reset for it" not daemon_says 'SPDK: .*reset'

	guest_start g1 write_on xvdb
	sleep 2
	host monitor device_del pulledctrl
	check "a drive that is pulled out: the guest sees errors" guest_join g1 60
	check "the log says it" daemon_says 'spdk:pulledn1: SPDK wants it back'
	check "SPDK has it back" wait_for 20 daemon_says 'spdk:pulledn1: given back to SPDK'
	guest_start g1 write_on xvdc
	sleep 2
	host monitor device_del volumesctrl
	check "one below a volume: the guest sees errors" guest_join g1 60
	check "the log says it" daemon_says 'spdk:lvs/vm: SPDK wants it back'
	check "SPDK has that back, too, and one drive" wait_for 20 bdevs 1
	check "which goes on" guest_run g1 read_at xvda 1
	check "the guest can be destroyed" guest_destroy g1
	check "the controller is given back" spdk_rpc bdev_nvme_detach_controller '{"name": "bad"}'
	check "to the kernel" wait_for 10 nvme_of bad
}
