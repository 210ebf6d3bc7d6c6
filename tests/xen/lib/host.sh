# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# The host's part of a run: makes drives, boots, speaks with dom0 by its second serial port, and
# prints TAP. A scenario's host_setup() and host_after() run here.

tap_number=0
run_failures=0

tap() {
	tap_number=$((tap_number + 1))
	if [ "$1" = ok ]; then
		run_passed=$((run_passed + 1))
		print_check ok "$2"
	else
		run_failures=$((run_failures + 1))
		print_check "not ok" "$2"
	fi
}

# For machines; the demonstration has its own.
print_check() {
	echo "$1 $tap_number - $scenario: $2"
}

say() {
	echo "# $*"
}

# What only the demonstration tells.
tell() {
	:
}

# check TEXT COMMAND... - as in dom0
check() {
	local text=$1 out
	shift
	if out=$("$@" 2>&1); then
		tap ok "$text"
	else
		tap not "$text"
		echo "$out" | tail -30 | sed 's/^/# /'
	fi
}

not() {
	! "$@"
}

is() {
	[ "$1" = "$2" ] || { echo "got \"$1\", expected \"$2\""; return 1; }
}

# drive NAME SIZE [raw|qcow2] [BLOCK-OPTIONS] - an emulated NVMe drive, with NAME as its serial
# number, on an image at $run/NAME.img
drive() {
	local name=$1 size=$2 format=${3:-raw} options=${4:-}
	qemu-img create -q -f "$format" "$run/$name.img" "$size" || return
	drives+=(-drive "file=$run/$name.img,format=$format,if=none,id=$name${options:+,$options}"
		-device "nvme,drive=$name,serial=$name")
}

image() {
	echo "$run/$1.img"
}

# power_cut - the machine is gone from one instruction to the next, with all that it had not written
power_cut() {
	kill -9 "$qemu_pid"
	powered_off=1
}

# The files of this run, in front of the cached base: archives are unpacked in order.
make_initrd() {
	local files=$run/files guest=$run/guest program
	rm -rf "$files" "$guest"
	mkdir -p "$files/lab" "$files/boot" "$guest/lab"
	cp "$lab_dir"/lib/{dom0,stories}.sh "$files/lab/"
	echo "$scale" >"$files/lab/scale"
	printf '%s\n' "${LAB_SET:-}" >"$files/lab/settings"
	cp "$top/tools/block-xenblkd" "$files/lab/"
	for program in src/xenblkd tools/{blkload/blkload,xenblkctl/xenblkctl} tests/hostile/hostile; do
		[ -x "$xenblkd_build/$program" ] || continue
		cp "$xenblkd_build/$program" "$files/lab/"
		copy_libs "$files" "$xenblkd_build/$program"
	done
	if [ -n "${LAB_OTHER:-}" ]; then
		mkdir "$files/lab/other"
		cp "$LAB_OTHER/src/xenblkd" "$files/lab/other/"
		copy_libs "$files" "$LAB_OTHER/src/xenblkd"
	fi
	cp "$lab_dir"/lib/{guest,stories}.sh "$guest/lab/"
	: >"$guest/lab/scenario.sh"
	if [ -n "$scenario" ]; then
		cp "$scenario_file" "$files/lab/scenario.sh"
		cp "$scenario_file" "$guest/lab/scenario.sh"
	fi
	if [ -n "${GUEST_HOSTILE:-}" ]; then
		cp "$xenblkd_build/tests/hostile/hostile" "$guest/lab/"
		copy_libs "$guest" "$xenblkd_build/tests/hostile/hostile"
	fi
	[ -z "${GUEST_FIO:-}" ] || cp "$cache/images/fio.img" "$files/boot/"
	(cd "$guest" && find . | cpio -oH newc -R 0:0 --quiet) >"$files/boot/guest-scenario.cpio"
	(cd "$files" && find . | cpio -oH newc -R 0:0 --quiet) >"$run/initrd"
	cat "$cache/images/dom0.img" >>"$run/initrd"
	rm -rf "$files" "$guest"
}

# Commas inside a module's arguments would have to be doubled; there are none.
qemu() {
	local machine=(-M pc -m 2048) xen_args=
	# Xen wants an IOMMU for a dom0 whose addresses it translates.
	[ "${DOM0:-pv}" = pv ] || { machine=(-M q35 -m 3072 -device amd-iommu); xen_args=dom0=pvh; }
	exec qemu-system-x86_64 "${machine[@]}" -accel tcg -cpu qemu64,+npt -smp 2 \
		-display none -no-reboot -nodefaults \
		-kernel "$cache/images/xen.elf" \
		-append "console=com1 com1=115200,8n1 loglvl=all guest_loglvl=all conring_size=1m dom0_mem=1024M,max:1024M dom0_max_vcpus=1 dom0_vcpus_pin $xen_args" \
		-initrd "$cache/images/vmlinux console=hvc0 earlyprintk=xen panic=-1 ${DOM0_ARGS:-},$run/initrd" \
		"${drives[@]}" "$@"
}

# A call from dom0: FUNCTION ARGS...
host_call() {
	local out status
	out=$(eval "$1" 2>&1)
	status=$?
	[ -z "$out" ] || printf '%s\n' "$out" | sed 's/^/out /' >&6
	echo "rc $status" >&6
}

# What dom0 says, until it has ended or its time is up.
listen() {
	local line part='' heard=0 deadline=$((SECONDS + timeout))
	while :; do
		[ "$SECONDS" -lt "$deadline" ] || { ended="its time, $timeout s, was up"; return; }
		if ! IFS= read -r -t 5 line <&7; then
			# Half a line is the beginning of the next one, and not to be lost.
			part+=$line
			kill -0 "$qemu_pid" 2>/dev/null || { ended=${ended:-"the machine went down"}; return; }
			continue
		fi
		line=$part${line%$'\r'}
		part=
		case $line in
		"tap ok "*) heard=$((heard + 1)); tap ok "${line#tap ok }" ;;
		"tap not ok "*) heard=$((heard + 1)); tap not "${line#tap not ok }" ;;
		"say "*) say "${line#say }" ;;
		"tell "*) tell "${line#tell }" ;;
		# In this shell, so that it can kill the machine.
		"host power_cut") power_cut; ended=power_cut; return ;;
		"host "*) host_call "${line#host }" ;;
		# What is lost on the way could be a failure.
		"end "*)
			ended=end
			[ "${line#end }" = "$heard" ] || tap not "$heard results came of ${line#end } checks"
			return
			;;
		esac
	done
}

boot_and_listen() {
	rm -f "$run"/ctl.in "$run"/ctl.out
	mkfifo "$run/ctl.in" "$run/ctl.out"
	qemu -serial "file:$run/console.log" -chardev "pipe,id=ctl,path=$run/ctl" -serial chardev:ctl \
		>"$run/qemu.log" 2>&1 &
	qemu_pid=$!
	# Both ends of each, so that neither opening waits for the other side.
	exec 6<>"$run/ctl.in" 7<>"$run/ctl.out"
	ended=
	listen
	[ "$ended" = end ] && wait_for_exit 20
	kill -9 "$qemu_pid" 2>/dev/null
	wait "$qemu_pid" 2>/dev/null
	exec 6>&- 7>&-
}

wait_for_exit() {
	local i
	for ((i = 0; i < $1 * 10; i++)); do
		kill -0 "$qemu_pid" 2>/dev/null || return 0
		sleep 0.1
	done
}

# The story, on a machine of its own.
tell_story() {
	! declare -F host_setup >/dev/null || host_setup || { tap not "the host is set up"; }
	make_initrd
	boot_and_listen
}

# emulator_died - see "What is known to go wrong" in README.md
emulator_died() {
	[ "${DOM0:-pv}" = pvh ] && [ "$ended" = "the machine went down" ] && [ "$run_failures" -eq 0 ] &&
		! grep -qE 'Panic on CPU|Kernel panic|BUG|Oops|Xen call trace|FATAL' "$run/console.log"
}

# run_scenario NAME - in a subshell of its own; the status says whether all is well
run_scenario() (
	scenario=$1
	scenario_file=${2:-$lab_dir/scenarios/$1.sh}
	run=$cache/runs/$scenario
	run_passed=0
	run_failures=0
	drives=()
	[ -f "$scenario_file" ] || { echo "Bail out! no scenario $scenario"; exit 2; }
	rm -rf "$run"
	mkdir -p "$run"
	expect_end=end
	. "$lab_dir/lib/stories.sh"
	# shellcheck source=/dev/null
	. "$scenario_file"
	eval "${LAB_SET:-}"
	timeout=$((${TIMEOUT:-900} * scale))
	say "$scenario: ${TITLE:-}"
	if declare -F why_skipped >/dev/null && why=$(why_skipped); then
		tap ok "$scenario # SKIP $why"
		echo "$tap_number" >"$cache/tap_number"
		exit 0
	fi
	started=$SECONDS
	tell_story
	if emulator_died; then
		say "$scenario: the emulated machine went down without a word from Xen or Linux; told once more"
		tail -5 "$run/console.log" | tr -d '\r' | sed 's/^/# /'
		rm -rf "$run"
		mkdir -p "$run"
		drives=()
		tell_story
	fi
	if [ "$ended" != "$expect_end" ]; then
		tap not "the story was told to its end: $ended"
		say "--- console (last 60 lines), $run/console.log"
		tail -60 "$run/console.log" | tr -d '\r' | sed 's/^/# /'
		sed 's/^/# /' "$run/qemu.log"
	fi
	! declare -F host_after >/dev/null || host_after
	[ $((run_passed + run_failures)) -gt 0 ] || tap not "there were checks"
	rm -f "$run/initrd" "$run"/ctl.*
	say "$scenario: $run_passed passed, $run_failures failed, $((SECONDS - started)) s"
	echo "$tap_number" >"$cache/tap_number"
	[ "$run_failures" -eq 0 ]
)

# run_scenarios NAME... - several at a time, the longest first; each is printed when it has ended
run_scenarios() {
	local jobs=${LAB_JOBS:-$(jobs_that_fit)} name failed=0 number=0
	local -A running=()
	[ $# -gt 1 ] || jobs=1
	if [ "$jobs" = 1 ]; then
		for name in "$@"; do
			run_scenario "$name" || failed=$((failed + 1))
			tap_number=$(cat "$cache/tap_number")
		done
		echo "1..$tap_number"
		[ $failed -eq 0 ]
		return
	fi
	mkdir -p "$cache/runs"
	for name in $(longest_first "$@"); do
		[ ${#running[@]} -lt "$jobs" ] || end_one
		run_scenario "$name" >"$cache/runs/$name.tap" 2>&1 &
		running[$!]=$name
	done
	while [ ${#running[@]} -gt 0 ]; do
		end_one
	done
	echo "1..$number"
	[ $failed -eq 0 ]
}

# One for each core, as long as there is memory for it and its images.
jobs_that_fit() {
	local cores memory
	cores=$(nproc)
	memory=$(awk '/^MemAvailable/ { print int($2 / 4 / 1024 / 1024) }' /proc/meminfo)
	[ "$memory" -gt 0 ] || memory=1
	echo $((cores < memory ? cores : memory))
}

# By the time that each may take.
longest_first() {
	local name
	for name in "$@"; do
		echo "$(sed -n 's/^TIMEOUT=//p' "$lab_dir/scenarios/$name.sh" | tail -1) $name"
	done | sort -s -k1,1nr | awk '{ print $NF }'
}

# Waits until one of the running scenarios has ended, and prints it with its checks numbered in order.
end_one() {
	local pid
	wait -n -p pid "${!running[@]}" || failed=$((failed + 1))
	awk -v n="$number" '/^(not )?ok [0-9]+ - / { sub(/ok [0-9]+/, "ok " ++n) } 1' \
		"$cache/runs/${running[$pid]}.tap"
	number=$((number + $(grep -cE '^(not )?ok [0-9]+ - ' "$cache/runs/${running[$pid]}.tap")))
	unset "running[$pid]"
}

run_shell() (
	scenario=
	run=$cache/runs/shell
	rm -rf "$run"
	mkdir -p "$run"
	drives=()
	drive disk0 1G
	GUEST_FIO=1 make_initrd
	(qemu -serial stdio)
)

# The demonstration is a scenario, told to people.
run_demo() {
	print_check() {
		case $1 in
		ok) echo "    [ok] $2" ;;
		*) echo "    [FAILED] $2" ;;
		esac
	}
	tell() {
		echo "$*"
	}
	tell "Booting Xen, dom0 and then a guest, all under QEMU; this takes about half a minute."
	run_scenario demo "$lab_dir/demo.sh" | grep -v '^# demo:'
	[ "${PIPESTATUS[0]}" -eq 0 ] || { echo "The demonstration failed; logs are in $cache/runs/demo."; return 1; }
}

# The harness on stories that must fail: a check that cannot fail shows nothing.
run_selftest() {
	local out=$cache/selftest.tap status
	scenario=selftest
	run_passed=0

	run_scenario failing-checks "$lab_dir/selftest/failing-checks.sh" >"$out"
	status=$?
	check "failed checks fail the run" not [ $status -eq 0 ]
	check "each failed check is reported" is "$(grep -c '^not ok .*WANT FAILURE' "$out")" 7
	check "none of them is reported as passed" not grep -q '^ok .*WANT FAILURE' "$out"
	check "a failure comes with the daemon's log" grep -q '^# .*xenblkd.* ready' "$out"
	check "and with the guest's console" grep -q '^# @ready' "$out"

	run_scenario lost-result "$lab_dir/selftest/lost-result.sh" >"$out"
	status=$?
	check "a result that is lost fails the run" not [ $status -eq 0 ]
	check "and that is said" grep -qE "^not ok .*[0-9]+ results came of [0-9]+ checks" "$out"

	run_scenario panic "$lab_dir/selftest/panic.sh" >"$out"
	status=$?
	check "a dom0 that panics fails the run" not [ $status -eq 0 ]
	check "and its console is shown" grep -q '^# .*Kernel panic' "$out"

	run_scenario time-out "$lab_dir/selftest/time-out.sh" >"$out"
	status=$?
	check "a dom0 that does not come to an end fails the run" not [ $status -eq 0 ]
	check "and that is said" grep -q "^not ok .*its time, $((20 * scale)) s, was up" "$out"
	[ "$run_failures" -eq 0 ]
}
