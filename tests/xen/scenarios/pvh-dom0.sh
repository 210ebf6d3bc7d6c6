# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="in a PVH dom0, whose addresses Xen translates, data goes by the gntdev driver"
DOM0=pvh
TIMEOUT=420

host_setup() {
	drive disk0 128M
}

dom0() {
	check "xenblkd starts" start_xenblkd
	check "it asked Xen, and says what it got" daemon_says 'data goes by the gntdev driver.*Xen gives no machine addresses'
	check "xl creates the guest" guest_create g1 pvh "$(disk xvda "file:$(nvme_of disk0)")"
	check "the guest boots" guest_wait g1
	guest_fills g1 xvda disk0
	check "its kernel complains about nothing" guest_run g1 kernel_is_content
}

host_after() {
	check "the same bytes are in the image" filled_image disk0
}
