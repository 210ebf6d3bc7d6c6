# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# What several scenarios tell. Sourced before the scenario on the host, in dom0 and in guests.

# ----- in a guest

# fill DISK - makes a filesystem, 8 MiB in it that only it knows; prints their checksum
fill() {
	wait_for 30 has_disk "$1"
	mkfs.ext4 -q -F "/dev/$1"
	mkdir -p "/mnt/$1"
	mount -t ext4 "/dev/$1" "/mnt/$1"
	dd if=/dev/urandom of="/mnt/$1/random" bs=64k count=128 2>/dev/null
	sha256sum <"/mnt/$1/random" | cut -d' ' -f1
	umount "/mnt/$1"
}

# read_back DISK - the checksum of what fill() wrote
read_back() {
	mkdir -p "/mnt/$1"
	mount -t ext4 "/dev/$1" "/mnt/$1"
	sha256sum <"/mnt/$1/random" | cut -d' ' -f1
	umount "/mnt/$1"
}

# read_at DISK N - one block of 4 KiB
read_at() {
	wait_for 30 has_disk "$1"
	dd if="/dev/$1" of=/dev/null bs=4k count=1 skip="$2" iflag=direct 2>/dev/null
}

# write_on DISK - until it fails
write_on() {
	while dd if=/dev/zero of="/dev/$1" bs=64k count=64 oflag=direct 2>/dev/null; do :; done
	echo over
}

# checksum DISK - of all of it
checksum() {
	sha256sum <"/dev/$1" | cut -d' ' -f1
}

# ----- in dom0

# guest_fills GUEST DISK DRIVE - fills, reads back, leaves the checksum with the host
guest_fills() {
	local wrote
	wrote=$(guest_run "$1" fill "$2")
	check "$1 makes a filesystem on $2 and fills it" is $? 0
	check "$1 reads back from $2 what it wrote" is "$(guest_run "$1" read_back "$2")" "$wrote"
	host remember "$3" "$wrote"
}

# spdk_rpc METHOD [PARAMS] - of the daemon's SPDK, at /run/spdk.sock
spdk_rpc() {
	xenblkctl --socket=/run/spdk.sock call "$@"
}

# spdk_attaches NAME BDF - SPDK's driver takes a controller: its namespaces are NAMEn1, ...
spdk_attaches() {
	spdk_rpc bdev_nvme_attach_controller "{\"name\": \"$1\", \"trtype\": \"PCIe\", \"traddr\": \"$2\"}"
}

# disk_state GUEST DEVICE-NUMBER WANTED - as xl block-list has it
disk_state() {
	is "$(xl block-list "$1" | awk -v dev="$2" '$1 == dev { print $4 }')" "$3"
}

# each_case TEXT FILE - of what tests/hostile has printed, a check
each_case() {
	local text=$1 line
	while IFS= read -r line; do
		case $line in
		"ok "*) tap ok "$text: ${line#* - }" ;;
		"not ok "*) tap not "$text: ${line#* - }" ;;
		1..*) ;;
		*) say "${line#\# }" ;;
		esac
	done <"$2"
}

# attacked TEXT DISK READ-ONLY NEIGHBOUR OPTION... - by tests/hostile; each of its cases is a check
attacked() {
	local text=$1 disk=$2 read_only=$3 neighbour=$4 status
	shift 4
	hostile --disk="$disk" --read-only="$read_only" --neighbour="$neighbour" --timeout=$((30 * scale)) \
		--repeat="${REPEAT:-0}" --rounds="${ROUNDS:-3}" --report=/tmp/hostile.report "$@" >/tmp/hostile.out 2>&1
	status=$?
	each_case "$text" /tmp/hostile.out
	check "$text: it came to its end" is $status 0
	say "$text: slowest, in milliseconds: $(sort -k5,5nr /tmp/hostile.report | head -12 | awk '{ printf "%s %s, ", $1, $5 }')"
}

# ----- on the host

# without_spdk - why_skipped, where the build has none
without_spdk() {
	! "$xenblkd_build/src/xenblkd" --version | grep -q SPDK && echo "this build has no SPDK"
}

# bad_drive NAME - whose block of 4 KiB number 2560 cannot be read
bad_drive() {
	qemu-img create -q -f raw "$(image "$1")" 64M
	drives+=(-drive "if=none,id=$1,format=raw,file.driver=blkdebug,file.image.filename=$(image "$1"),file.inject-error.0.event=read_aio,file.inject-error.0.errno=5,file.inject-error.0.sector=20480,file.inject-error.0.once=off"
		-device "nvme,drive=$1,serial=$1")
}

# named_drive NAME [BLOCK-OPTIONS] - one that the monitor knows as NAMEctrl
named_drive() {
	qemu-img create -q -f raw "$(image "$1")" 64M
	drives+=(-drive "file=$(image "$1"),format=raw,if=none,id=$1${2:+,$2}"
		-device "nvme,id=${1}ctrl,drive=$1,serial=$1")
}

# make_monitor - a pipe for its commands; what it answers nobody reads
make_monitor() {
	rm -f "$run"/mon.in "$run"/mon.out
	mkfifo "$run/mon.in" "$run/mon.out"
	drives+=(-chardev "pipe,id=mon,path=$run/mon" -mon "chardev=mon,mode=readline")
	(exec cat "$run/mon.out" >"$run/mon.log") &
}

monitor() {
	echo "$*" >"$run/mon.in"
}

# remember DRIVE CHECKSUM
remember() {
	echo "$2" >"$run/$1.sum"
}

remembered() {
	cat "$run/$1.sum"
}

# filled_image DRIVE - what debugfs finds in the image is what the guest wrote
filled_image() {
	is "$(debugfs -R 'cat /random' "$(image "$1")" 2>/dev/null | sha256sum | cut -d' ' -f1)" \
		"$(cat "$run/$1.sum")"
}
