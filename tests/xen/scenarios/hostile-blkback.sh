# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="the hostile guest on the kernel's backend: cases that mean the same there"
TIMEOUT=1200

# Not run there: doc/hostile.md says so, case by case.
skip=request/discard-secure,request/discard-flag-255,grants/read-ring-indices,ring/producer+33,ring/producer+64
skip+=,ring/producer+2^16,ring/producer+2^31-1,ring/producer+2^31,ring/producer-1,ring/producer-32
skip+=,race/discard-flag,ring/producer-0,ring/producer-max,ring/producer-full+
skip+=,node/ring-ref-2^32,node/ring-ref-2^64,node/ring-ref-space,node/ring-ref-newline
skip+=,node/protocol-empty,node/order-negative,node/order-word,node/pages-0,node/pages-3
skip+=,node/pages-17,node/pages-2^31,node/queues-2^32+1,node/queues-negative
skip+=,node/persistent-bytes,node/persistent-2,node/directory-removed,node/children,node/flood-state-4
skip+=,node/flood-state-noise,node/flood-nodes,node/flood-ring-ref,node/flood-queues,node/flood-states
skip+=,node/flood-1-4,node/flood-removed

host_setup() {
	drive disk0 64M
	drive disk1 64M
	drive disk2 64M
}

# LAB_SET="ONLY='state flood ring'" for the groups of which nothing is said yet.
dom0() {
	local group
	modprobe xen-blkback max_queues=16
	for group in ${ONLY:-request indirect grants race node}; do
		attacked "$group" "$(nvme_of disk0)" "$(nvme_of disk1)" "$(nvme_of disk2)" --only="$group" --skip="$skip" --timeout=$((8 * scale))
		# It leaves there what it had against us.
		xenstore-rm /local/domain/0/error 2>/dev/null
	done
	check "the module is let go of" rmmod xen_blkback
}
