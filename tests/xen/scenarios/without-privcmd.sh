# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="where hypercalls are not to be had, data goes by the gntdev driver"

host_setup() {
	drive disk0 128M
}

# The libraries look in both places.
start_without_privcmd() {
	local status
	mkdir -p /tmp/hidden
	mv /dev/xen/privcmd /dev/xen/hypercall /tmp/hidden/
	umount -l /proc/xen
	start_xenblkd
	status=$?
	mount -t xenfs xenfs /proc/xen
	mv /tmp/hidden/* /dev/xen/
	return $status
}

dom0() {
	check "xenblkd starts without a privcmd device" start_without_privcmd
	check "it says so" daemon_says 'data goes by the gntdev driver.*no privcmd device'
	check "xl creates the guest" guest_create g1 pv "$(disk xvda "file:$(nvme_of disk0)")"
	check "the guest boots" guest_wait g1
	guest_fills g1 xvda disk0
	check "its kernel is content" guest_run g1 kernel_is_content
}

host_after() {
	check "the same bytes are in the image" filled_image disk0
}
