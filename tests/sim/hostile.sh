#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A guest that attacks, case by case as doc/hostile.md has them, beside a neighbour that must not notice.
# ROUNDS=10000 for what is done many times; REPEAT=1000 has each attack go on for so many milliseconds,
# and compares the neighbour's latency.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

bdf=0000:00:05.0
truncate -s 64M "$XENSIM_DIR/disk" "$XENSIM_DIR/read-only" "$XENSIM_DIR/neighbour" "$XENSIM_DIR/drive"
cp "$XENSIM_DIR/read-only" "$XENSIM_DIR/read-only.before"

# What is freed is given back, so that the daemon's size says something.
export ASAN_OPTIONS=$ASAN_OPTIONS:quarantine_size_mb=1

# hostile DISK OPTION... - its lines come out as this story's
hostile() {
	local disk=$1
	shift
	sim 0 "$BUILD/tests/hostile/hostile" --disk="$disk" --read-only="file:$XENSIM_DIR/read-only" \
		--neighbour="file:$XENSIM_DIR/neighbour" --log="$log" --pid="$daemon_pid" \
		--repeat="${REPEAT:-0}" --rounds="${ROUNDS:-40}" "$@"
}

# attack TEXT DISK OPTION... - each case is a check
attack() {
	local text=$1 line
	shift
	hostile "$@" >"$XENSIM_DIR/cases" 2>&1
	echo $? >"$XENSIM_DIR/status"
	while IFS= read -r line; do
		case $line in
		1..*) ;;
		"ok "* | "not ok "*)
			number=$((number + 1))
			[ "${line%%ok*}" = "" ] || failures=$((failures + 1))
			echo "${line%%ok*}ok $number - $text: ${line#* - }"
			;;
		*) echo "# ${line#\# }" ;;
		esac
	done <"$XENSIM_DIR/cases"
	check "$text: it came to its end" is "$(cat "$XENSIM_DIR/status")" 0
}

# seen TEXT OPTION... - it fails, and says this
seen() {
	local text=$1
	shift
	! hostile "$@" >"$XENSIM_DIR/cases" 2>&1 && cat "$XENSIM_DIR/cases" && grep -q "$text" "$XENSIM_DIR/cases"
}

# The document has another column or two behind ours.
same_table() {
	"$BUILD/tests/hostile/hostile" --table >"$XENSIM_DIR/table" &&
	grep '^| `' "$(dirname "$0")/../../doc/hostile.md" | cut -d'|' -f1-5 |
		diff - <(cut -d'|' -f1-5 "$XENSIM_DIR/table")
}

check "the store starts" start_store
check "a controller is there" start_nvme $bdf "$XENSIM_DIR/drive"
check "the daemon starts" start_daemon --max-queues=16
attack "copied" "file:$XENSIM_DIR/disk"
attack "32-bit" "file:$XENSIM_DIR/disk" --abi=x86_32 --only=request,indirect
attack "direct" "nvme:$bdf/1?transfer=direct" --only=request,indirect,grant,race
check "the read-only disk is what it was" cmp "$XENSIM_DIR/read-only" "$XENSIM_DIR/read-only.before"

# Would it be seen?
check "a neighbour whose disk keeps nothing is seen" \
	seen "other data than it wrote" "file:$XENSIM_DIR/disk" --neighbour=null:64M --only=request/id-1
# What is on the two disks before takes 12 copies each, and a neighbour with direct data none.
xensim set fail_copy=25
check "a wrong answer is" seen "answered with ERROR" "file:$XENSIM_DIR/disk" \
	--neighbour="nvme:$bdf/1?transfer=direct" --only=request/id-1
check "the table in doc/hostile.md is the one that was run" same_table
check "the daemon ends" stop_daemon
check "nothing is left" nothing_is_left
finish
