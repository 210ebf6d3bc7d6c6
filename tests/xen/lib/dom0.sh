# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154,SC1091
#
# What a scenario has at hand in dom0. Sourced, with the scenario; runs its dom0() and ends the
# machine. In a shell of the lab it is sourced alone.
#
# Lines to the host go by the second serial port: "tap ...", "say ...", "host ...", "end NUMBER-OF-TAPS".

ctl=/dev/ttyS1
daemon_log=/var/log/xenblkd.log
scale=$(cat /lab/scale)
PATH=$PATH:/lab
set -o pipefail

# ----- to the host

say() {
	printf 'say %s\n' "$*" >$ctl
}

# tell TEXT - for people who watch the demonstration
tell() {
	printf 'tell %s\n' "$*" >$ctl
}

tell_output() {
	"$@" 2>&1 | tr -d '\r' | sed 's/^/tell     | /' >$ctl
}

# A file as diagnostics, as much of its end as explains something.
say_file() {
	local lines=${2:-40}
	[ -s "$1" ] || return
	say "--- $1 (last $lines lines)"
	tail -n "$lines" "$1" | tr -d '\r' | sed 's/^/say /' >$ctl
}

# host FUNCTION ARGS... - runs it on the host; its output and status come back
host() {
	local line
	printf 'host %s\n' "$*" >$ctl
	while IFS= read -r line <&8; do
		case $line in
		"out "*) printf '%s\n' "${line#out }" ;;
		"rc "*) return "${line#rc }" ;;
		esac
	done
	return 1
}

# ----- checks

failures=0

# tap ok|not TEXT
tap() {
	echo "$2" >>/tmp/taps
	if [ "$1" = ok ]; then
		printf 'tap ok %s\n' "$2" >$ctl
	else
		failures=$((failures + 1))
		printf 'tap not ok %s\n' "$2" >$ctl
	fi
}

# check TEXT COMMAND... - one check; what a failed command printed becomes diagnostics
check() {
	local text=$1 status
	shift
	"$@" >/tmp/check.out 2>&1
	status=$?
	if [ $status -eq 0 ]; then
		tap ok "$text"
	else
		tap not "$text"
		say "$* -> status $status"
		say_file /tmp/check.out 30
	fi
	return $status
}

# check_not TEXT COMMAND... - the command must fail
check_not() {
	local text=$1
	shift
	check "$text" not "$@"
}

not() {
	! "$@"
}

# fails_into FILE COMMAND... - the command fails; what it says is in FILE
fails_into() {
	local file=$1
	shift
	! "$@" >"$file" 2>&1
}

# says FILE TEXT
says() {
	grep -qF -- "$2" "$1" || { echo "nowhere: $2"; tail -5 "$1"; return 1; }
}

# wait_for SECONDS COMMAND... - until it succeeds: so long on a quiet machine, where others work for longer
wait_for() {
	local end=$((SECONDS + $1 * 4 * scale))
	shift
	until "$@" >/tmp/wait.out 2>&1; do
		[ "$SECONDS" -lt "$end" ] || { cat /tmp/wait.out; echo "waited in vain for: $*"; return 1; }
		sleep 0.2
	done
}

# is VALUE WANTED
is() {
	[ "$1" = "$2" ] || { echo "got \"$1\", expected \"$2\""; return 1; }
}

# ----- the daemon

daemon_says() {
	grep -qE -- "$1" $daemon_log
}

# start_xenblkd [OPTION...] - in the background, until it is ready
start_xenblkd() {
	cp -n /lab/block-xenblkd /etc/xen/scripts/ 2>/dev/null
	echo "--- started: $*" >>$daemon_log
	xenblkd --log-level=debug "$@" 2>>$daemon_log &
	daemon_pid=$!
	wait_for 40 ready_or_dead || return
	kill -0 "$daemon_pid" 2>/dev/null
}

# Since the last start.
ready_or_dead() {
	! kill -0 "$daemon_pid" 2>/dev/null || sed -n '/^--- started/h;//!H;$!d;x;p' $daemon_log | grep -q ' ready: '
}

# stop_xenblkd - by SIGTERM; its exit status
stop_xenblkd() {
	kill "$daemon_pid" 2>/dev/null
	wait "$daemon_pid"
	local status=$?
	daemon_pid=
	return $status
}

# in_flight DOMID - requests that the daemon has taken and not answered, by its records of the queues
in_flight() {
	local record taken answered sum=0
	for record in "/run/xenblkd/vbd-$1-51712-queue-"?; do
		read -r taken answered <<<"$(od -An -tu4 -j64 -N8 "$record")"
		sum=$((sum + taken - answered))
	done
	echo $sum
}

stop_in_flight() {
	kill -STOP "$daemon_pid"
	[ "$(in_flight "$1")" -lt 1 ] || return 0
	kill -CONT "$daemon_pid"
	return 1
}

# kill_xenblkd - by SIGKILL, at any moment
kill_xenblkd() {
	kill -9 "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=
	: >$daemon_log
}

# kill_xenblkd_in_flight DOMID - with requests of the guest's in flight
kill_xenblkd_in_flight() {
	wait_for 120 stop_in_flight "$1" && kill_xenblkd
}

# nvme_of DRIVE - the device in dom0 of a drive that host_setup() made
nvme_of() {
	local serial
	for serial in /sys/class/nvme/*/serial; do
		if [ "$(tr -d ' ' <"$serial")" = "$1" ]; then
			echo "/dev/$(basename "$(dirname "$serial")")n1"
			return
		fi
	done
	return 1
}

# nvme_bdf DRIVE - its PCI address, while the kernel has it
nvme_bdf() {
	local device
	device=$(nvme_of "$1") || return
	device=${device#/dev/}
	basename "$(readlink "/sys/class/nvme/${device%n1}/device")"
}

# disk VDEV TARGET [ACCESS] - a line of xl's disk configuration, for our backend
disk() {
	echo "script=block-xenblkd,vdev=$1,access=${3:-rw},target=$2"
}

# ----- guests

# guest_config NAME pv|pvh DISK... - writes its configuration; VCPUS, MEMORY, EXTRA from the
# environment
guest_config() {
	local name=$1 type=$2 disks="" d
	shift 2
	for d in "$@"; do
		disks="$disks'$d', "
	done
	cat >"/etc/xen/$name.cfg" <<-END
		name = "$name"
		type = "$type"
		kernel = "/boot/vmlinux"
		ramdisk = "/boot/guest.img"
		memory = ${MEMORY:-256}
		vcpus = ${VCPUS:-1}
		cpus = "${CPUS:-1}"
		extra = "console=hvc0 panic=1 ${EXTRA:-}"
		on_poweroff = "destroy"
		on_reboot = "restart"
		on_crash = "destroy"
		disk = [ $disks ]
	END
}

# guest_create NAME pv|pvh DISK...
guest_create() {
	guest_config "$@"
	xl create "/etc/xen/$1.cfg" && guest_attach "$1"
}

guest_domid() {
	xl domid "$1" 2>/dev/null
}

# Its console into a file, and what we write to it. Again after a reboot: that is another domain.
guest_attach() {
	local domid tty
	domid=$(guest_domid "$1") || return
	wait_for 20 xenstore-exists "/local/domain/$domid/console/tty" || return
	tty=$(xenstore-read "/local/domain/$domid/console/tty")
	[ "${tty#/dev/}" != "$tty" ] || { sleep 1; tty=$(xenstore-read "/local/domain/$domid/console/tty"); }
	echo "$tty" >"/lab/$1.tty"
	cp "/lab/$1.console" "/lab/$1.console.before" 2>/dev/null
	: >"/lab/$1.console"
	echo 0 >"/lab/$1.number"
	stty raw -echo <"$tty"
	(tr -d '\r' <"$tty" >>"/lab/$1.console" 2>/dev/null) &
	disown
}

guest_console_has() {
	grep -q "^$2" "/lab/$1.console"
}

# guest_wait NAME - until its agent takes commands
guest_wait() {
	wait_for 120 guest_console_has "$1" @ready
}

# guest_start NAME COMMAND... - runs in the background; guest_join gives output and status
guest_start() {
	local name=$1 number
	shift
	# In a file: this may be a subshell, as in x=$(guest_run ...).
	number=$(($(cat "/lab/$name.number") + 1))
	echo $number >"/lab/$name.number"
	printf '%s %s\n' "$number" "$*" >"$(cat "/lab/$name.tty")"
}

# guest_join NAME [SECONDS] - waits for the last guest_start
guest_join() {
	local name=$1 number
	number=$(cat "/lab/$name.number")
	wait_for "${2:-120}" guest_console_has "$name" "@$number=" || { tail -20 "/lab/$name.console"; return 1; }
	sed -n "s/^@$number://p" "/lab/$name.console"
	return "$(sed -n "s/^@$number=//p" "/lab/$name.console")"
}

# guest_run NAME COMMAND... - a function of the scenario, or a program; its output and status
guest_run() {
	guest_start "$@" && guest_join "$1" "${GUEST_TIMEOUT:-120}"
}

# guest_enough NAME - ends what runs there by until_enough. Beside it, which keeps the last number.
guest_enough() {
	printf '0 : >/tmp/enough\n' >"$(cat "/lab/$1.tty")"
}

guest_is_gone() {
	! xl list "$1" >/dev/null 2>&1
}

guest_destroy() {
	xl destroy "$1" && wait_for 30 guest_is_gone "$1"
}

# guest_reboot NAME - from inside; until the new one takes commands
guest_reboot() {
	local before
	before=$(guest_domid "$1")
	guest_start "$1" reboot -f
	wait_for 60 guest_is_another "$1" "$before" && guest_attach "$1" && guest_wait "$1"
}

guest_is_another() {
	local now
	now=$(guest_domid "$1") && [ -n "$now" ] && [ "$now" != "$2" ]
}

# ----- what has to hold after every scenario

# Entries of Xen's grant tables that somebody has mapped, or is using. Not to be asked while a daemon
# runs: its own pinned pages are among them, more than Xen's log holds. The first two of each guest are
# its console and its xenstore ring, which dom0's daemons have mapped while it lives.
grants_in_use() {
	xl dmesg -c >/dev/null
	xl debug-keys g
	sleep 0.5
	xl dmesg | grep -E '\[ *0x[0-9a-f]+\] +[0-9]+ 0x' | grep -vE '\[0x00[01]\]'
}

# Likewise, the first two ports of each guest.
ports_to_guests() {
	lsevtchn 0 | grep -E 'Remote Domain [1-9]' | grep -vE ', Port [12]$'
}

# check_nothing_left - no guest, no node, no grant, no port; the daemon is stopped for it
check_nothing_left() {
	local name
	xl list | awk 'NR > 1 && $1 != "Domain-0" && $1 != "(null)" { print $1 }' |
		while read -r name; do xl destroy "$name"; done
	check "xl list shows dom0 alone, and no zombie" wait_for 30 only_dom0
	check "no backend is left in xenstore" wait_for 10 no_backends
	[ -z "${daemon_pid:-}" ] || check "xenblkd ends at SIGTERM with status 0" stop_xenblkd
	[ ! -s $daemon_log ] || check "and has made no system call that is refused to it" not daemon_says 'beyond what the daemon may do'
	check "no grant is in use" not grants_in_use
	check "no event channel leads to a guest" not ports_to_guests
	check "xenblkd left no files but its lock" is "$(ls /run/xenblkd 2>/dev/null)" "$([ -d /run/xenblkd ] && echo lock)"
	check "nothing is left below error/ in xenstore" not xenstore-exists /local/domain/0/error
}

only_dom0() {
	xl list
	[ "$(xl list | wc -l)" -eq 2 ]
}

no_backends() {
	local class
	for class in $(xenstore-list /local/domain/0/backend 2>/dev/null); do
		case $class in
		vbd*) xenstore-ls "/local/domain/0/backend/$class"; [ -z "$(xenstore-list "/local/domain/0/backend/$class" 2>/dev/null)" ] || return 1 ;;
		esac
	done
	return 0
}

explain_failure() {
	local f
	say_file $daemon_log 60
	for f in /lab/*.console; do
		say_file "$f" 40
	done
	xl list >/tmp/f 2>&1; say_file /tmp/f
	xenstore-ls /local/domain/0/backend/vbd >/tmp/f 2>&1; say_file /tmp/f 60
	dmesg | tail -30 >/tmp/f; say_file /tmp/f 30
	xl dmesg | tail -30 >/tmp/f; say_file /tmp/f 30
}

if [ -f /lab/scenario.sh ]; then
	stty -F $ctl raw -echo
	exec 8<$ctl
	. /lab/stories.sh
	# shellcheck source=/dev/null
	. /lab/scenario.sh
	# shellcheck source=/dev/null
	. /lab/settings
	dom0
	check_nothing_left
	[ "$failures" -eq 0 ] || explain_failure
	sync
	echo "end $(wc -l </tmp/taps)" >$ctl
	sleep 1
	poweroff -f
fi
