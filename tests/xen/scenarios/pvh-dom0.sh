# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="a PVH dom0 without hugepages: data goes by the gntdev driver, and nvme: says what it misses"
DOM0=pvh
TIMEOUT=420

host_setup() {
	drive disk0 128M
	drive disk1 64M
}

limit=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages
reason="$limit is 0, expected 10, and cannot be raised: Read-only file system"

hide_hugepages() {
	mount -o bind $limit $limit && mount -o remount,bind,ro $limit $limit
}

dom0() {
	check "no hugepages are to be had" hide_hugepages
	check "xenblkd starts" start_xenblkd
	check "it asked Xen, and says what it misses" daemon_says "data goes by the gntdev driver.*: $reason"
	check "no mount of its own is left" not grep -q hugetlbfs /proc/mounts
	nvme=nvme:$(nvme_bdf disk1)/1
	check "xl create fails for an NVMe drive" fails_into /tmp/said guest_create g1 pv "$(disk xvda "$nvme")"
	check "and says why" says /tmp/said "$nvme needs memory for DMA: "
	check "the log says it in full" daemon_says "$nvme needs memory for DMA: $reason"
	check "the kernel's driver still has it" nvme_of disk1
	check "xl creates a guest on a device of the kernel's" guest_create g1 pvh "$(disk xvda "file:$(nvme_of disk0)")"
	check "the guest boots" guest_wait g1
	guest_fills g1 xvda disk0
	check "its kernel complains about nothing" guest_run g1 kernel_is_content
}

host_after() {
	check "the same bytes are in the image" filled_image disk0
}
