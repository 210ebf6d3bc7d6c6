# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
TITLE="queues x ring sizes x transfers x devices x segments: a disk for each in one guest, fio verifies all"
GUEST_FIO=1
TIMEOUT=900

# Queues, order of the ring, segments, transfer, device. A guest that keeps its pages granted has one
# for each segment of each slot, so that large rings and many segments do not fit into it together.
cells="
	1 0 32 copy file          4 0 256 copy file         1 4 256 copy file         4 4 32 copy file
	1 0 256 copy nvme         4 0 32 copy nvme          1 4 32 copy nvme          4 4 256 copy nvme
	1 0 256 direct nvme       4 0 32 direct nvme        1 4 32 direct nvme        4 4 256 direct nvme
	1 0 32 persistent file    4 0 32 persistent file    1 4 11 persistent file    4 4 11 persistent file
	1 0 32 persistent nvme    4 0 32 persistent nvme    1 4 11 persistent nvme    4 4 11 persistent nvme
	4 1 256 copy file         1 2 256 direct nvme       4 3 32 direct nvme"
letters=(a b c d e f g h i j k l m n o p q r s t u v w)

# Two drives with a namespace for each disk, of which the kernel has one and we have the other.
host_setup() {
	local d n
	for d in kernel ours; do
		drives+=(-device "nvme,id=ctrl-$d,serial=$d")
		for ((n = 1; n <= 23; n++)); do
			qemu-img create -q -f raw "$run/$d-$n.img" 8M || return
			drives+=(-drive "file=$run/$d-$n.img,format=raw,if=none,id=$d-$n"
				-device "nvme-ns,drive=$d-$n,bus=ctrl-$d,nsid=$n")
		done
	done
}

# for_each_cell FUNCTION - with its number and what it is
for_each_cell() {
	local queues order segments transfer device number=0
	xargs -n 5 <<<"$cells" >/tmp/cells
	while read -r queues order segments transfer device; do
		"$1" $number "$queues" "$order" "$segments" "$transfer" "$device" </dev/null
		number=$((number + 1))
	done </tmp/cells
}

# A job on each CPU, and so on each queue, in parts of their own.
verify() {
	fio --name="$1" --filename="/dev/$1" --direct=1 --ioengine=libaio --iodepth=8 --thread \
		--rw=randrw --bssplit=512/20:4k/30:44k/20:128k/20:1m/10 --blockalign=512 \
		--numjobs=4 --offset_increment=2m --size=2m --io_size=600k \
		--cpus_allowed=0-3 --cpus_allowed_policy=split --serialize_overlap=1 --randseed=1 \
		--fsync=5 --verify=crc32c --verify_fatal=1 --do_verify=1 --group_reporting >"/tmp/fio.$1" 2>&1 ||
		{ tail -5 "/tmp/fio.$1"; return 1; }
}

# In a guest: what its driver has made of the offer, and whether that works.
report() {
	local queues
	wait_for 60 has_disk "$1"
	queues=("/sys/block/$1/mq"/*)
	verify "$1"
	echo "${#queues[@]} queues, $(cat "/sys/block/$1/queue/max_segments") segments, verified"
}

# The guest's driver takes all that it is offered; so that each disk is another, the offer is.
make_offer() {
	local path=${backend[xvd${letters[$1]}]}
	xenstore-write "$path/multi-queue-max-queues" "$2" "$path/max-ring-page-order" "$3" \
		"$path/feature-max-indirect-segments" $(($4 > 11 ? $4 : 0))
}

find_backends() {
	local dir=/local/domain/0/backend/vbd/$domid devid
	for devid in $(xenstore-list "$dir"); do
		backend[$(xenstore-read "$dir/$devid/dev")]=$dir/$devid
	done
}

target() {
	case $6 in
	file) echo "file:${kernel%n1}n$(($1 + 1))?transfer=$5" ;;
	nvme) echo "nvme:$ours/$(($1 + 1))?transfer=$5" ;;
	esac
}

# xl waits so long for a disk and no longer, and there are many, and scripts for each of them: it has the
# first alone.
attach() {
	if [ "$1" = 0 ]; then
		MEMORY=720 VCPUS=4 guest_config g1 pv "$(disk "xvd${letters[$1]}" "$(target "$@")")"
		check "a guest" xl create -p /etc/xen/g1.cfg
	else
		xenblkctl --no-wait attach g1 "xvd${letters[$1]}" "$(target "$@")" && attached=$((attached + 1))
	fi
}

check_cell() {
	local what="$5 on $6, $2 queues of order $3, $4 segments" dev=xvd${letters[$1]}
	check "$what: connected so" wait_for 60 daemon_says \
		"/$dev: connected: .* $2 queues? of $((32 << $3)) slots, transfer $5\$"
	check "$what: what fio writes fio reads" is "$(guest_run g1 report "$dev")" "$2 queues, $4 segments, verified"
}

# ended DEV QUEUES
ended() {
	local q
	daemon_says "/$1: disconnected after .* 0 errors, 0 refused; $3 were indirect" || return
	for ((q = 0; q < $2 && $2 > 1; q++)); do
		daemon_says "/$1: queue $q had [1-9][0-9]* reads, [1-9][0-9]* writes" || return
	done
}

check_end() {
	local indirect='[1-9][0-9]*'
	[ "$4" -gt 11 ] || indirect=0
	check "$5 on $6, $2 queues of order $3, $4 segments: all queues were in use, nothing failed" \
		ended "xvd${letters[$1]}" "$2" "$indirect"
}

dom0() {
	local ours kernel domid attached=0
	local -A backend=()
	GUEST_TIMEOUT=200
	kernel=$(nvme_of kernel)
	ours=$(nvme_bdf ours)
	check "xenblkd starts" start_xenblkd --max-queues=4
	EXTRA="xen_blkfront.max_queues=4 xen_blkfront.max_ring_page_order=4 xen_blkfront.max_indirect_segments=256"
	for_each_cell attach
	check "and $attached more disks" is $attached 22
	domid=$(guest_domid g1)
	find_backends
	for_each_cell make_offer
	xl unpause g1
	guest_attach g1
	check "boots, which takes a while with so many" wait_for 400 guest_console_has g1 @ready
	for_each_cell check_cell
	check "the guest's kernel is content" guest_run g1 kernel_is_content
	guest_destroy g1
	for_each_cell check_end
}
