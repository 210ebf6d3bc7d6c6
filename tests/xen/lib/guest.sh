# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC1091
# The agent of a guest; see guest-init. Each command runs by itself, so that several can.

. /lab/stories.sh
. /lab/scenario.sh

# wait_for SECONDS COMMAND... - until it succeeds
wait_for() {
	local end=$((SECONDS + $1 * 4))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || { echo "waited in vain for: $*"; return 1; }
		sleep 0.1
	done
}

has_disk() {
	[ -b "/dev/$1" ]
}

lost_disk() {
	! has_disk "$1"
}

# kernel_is_content - nothing in the kernel's log about disks that fail or misbehave
kernel_is_content() {
	if dmesg | grep -iE 'I/O error|blkfront.*(fail|inval|unmapped)|EXT4-fs (error|warning)|blocked for more|kernel BUG|Oops'; then
		return 1
	fi
}

# until_enough COMMAND... - again and again, until guest_enough is said; a failure ends the whole (set -e)
until_enough() {
	rm -f /tmp/enough
	until [ -e /tmp/enough ]; do
		"$@"
	done
}

run_one() {
	local number=$1 status
	# A function that fails in the middle has failed.
	(
		set -e -o pipefail
		eval "$2"
	) >"/tmp/out.$number" 2>&1 </dev/null
	status=$?
	sed "s/^/@$number:/" "/tmp/out.$number"
	rm -f "/tmp/out.$number"
	echo "@$number=$status"
}

stty -echo </dev/console
echo "@ready"
while read -r number command; do
	[ -n "$command" ] || continue
	run_one "$number" "$command" &
done
