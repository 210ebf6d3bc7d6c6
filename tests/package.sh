#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# package.sh - the Debian package of "make deb" in a clean root: installed, upgraded, removed, purged.
# The root is made by mmdebstrap, from what the package says that it depends on, and kept in build.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
[ "$(id -u)" = 0 ] || exec sudo "$0" "$@"

deb=$(ls build/deb/xenblkd_*.deb 2>/dev/null)
[ -f "$deb" ] || { echo "there is no package; expected one by make deb" >&2; exit 1; }
number=0 failures=0
work=$(mktemp -d build/package.XXXXXX)
root=$work/root
trap 'rm -rf "$work"' EXIT

check() {
	local text=$1
	shift
	number=$((number + 1))
	if "$@" >"$work/out" 2>&1; then
		echo "ok $number - $text"
	else
		failures=$((failures + 1))
		echo "not ok $number - $text"
		tail -40 "$work/out" | sed 's/^/# /'
	fi
}

not() {
	! "$@"
}

is() {
	[ "$1" = "$2" ] || { echo "is \"$1\", expected \"$2\""; false; }
}

# in_root COMMAND... - there, with a /proc
in_root() {
	# shellcheck disable=SC2016
	unshare --mount --pid --fork --propagation private \
		sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$root" \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

make_root() {
	local suite wanted tar
	suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
	wanted=$(dpkg-deb -f "$deb" Depends | sed 's/([^)]*)//g; s/[ ,]\{1,\}/,/g'),systemd,man-db,bash-completion
	tar=build/package-root-$(echo "$suite $wanted" | md5sum | cut -c1-12).tar
	[ -f "$tar" ] || mmdebstrap --quiet --variant=minbase --include="$wanted" "$suite" "$tar" || return
	mkdir "$root"
	tar -x -f "$tar" -C "$root" --exclude='./dev/*'
	mknod -m 666 "$root/dev/null" c 1 3
	ln -s /proc/self/fd "$root/dev/fd"
	cp "$deb" "$root/new.deb"
}

# As it was before: of an older version, and with another configuration.
make_old() {
	dpkg-deb -R "$deb" "$work/old" || return
	sed -i 's/^Version: .*/Version: 0.0.1/' "$work/old/DEBIAN/control"
	sed -i 's/^# xenblkd.conf.*/# As it was./' "$work/old/etc/xenblkd/xenblkd.conf"
	(cd "$work/old" && find . -path ./DEBIAN -prune -o -type f -printf '%P\n' | xargs md5sum >DEBIAN/md5sums)
	dpkg-deb -b "$work/old" "$root/old.deb"
}

# What of the root is neither the package manager's nor a cache.
files() {
	(cd "$root" && find . \( -path ./proc -o -path ./var/lib/dpkg -o -path ./var/cache -o -path ./var/log -o -path ./run/systemd \) -prune -o -print |
		grep -v '^\./\(old\|new\)\.deb$' | sort)
}

prints() {
	local text=$1 said
	shift
	said=$("$@" 2>&1)
	echo "$said"
	grep -qF -- "$text" <<<"$said"
}

libraries_are_there() {
	local program
	for program in sbin/xenblkd sbin/xenblkctl bin/blkload; do
		in_root ldd "/usr/$program" || return
	done | not grep 'not found'
}

man_is_clean() {
	local said
	said=$(in_root man --warnings -E UTF-8 -Tutf8 -Z "$@" 2>&1 >/dev/null) || { echo "$said"; return 1; }
	is "$said" ""
}

# completes WORD... WANTED - what bash makes of the last word but one
completes() {
	# shellcheck disable=SC2016
	is "$(in_root bash -c '
		. "/usr/share/bash-completion/completions/$1"
		wanted=${!#}
		set -- "${@:1:$#-1}"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		compopt() { :; }
		f=$(complete -p "$1" | sed "s/.* -F \([^ ]*\) .*/\1/")
		$f "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
		echo "${COMPREPLY[*]}"' bash "$@")" "${!#}"
}

check "a clean root" make_root
check "an older package" make_old
files >"$work/before"
check "it installs" in_root dpkg -i /old.deb
check "it has the libraries that it wants" libraries_are_there
check "the unit is enabled" is "$(in_root systemctl is-enabled xenblkd)" enabled
check "that of one that stands by is not" is "$(in_root systemctl is-enabled xenblkd-standby)" disabled
check "nor that of counters for xentop" is "$(in_root systemctl is-enabled xenblkd-xentop)" disabled
check "the state directory is root's alone" is "$(stat -c '%a %U' "$root/run/xenblkd")" "700 root"
check "the configuration holds" prints '# poll-us = (not set)' in_root xenblkd --check-config
echo 'poll-us = 77' >>"$root/etc/xenblkd/xenblkd.conf"
check "it is changed" prints 'poll-us = 77 # line' in_root xenblkd --check-config
in_root systemctl disable xenblkd >/dev/null 2>&1
check "the unit is disabled" is "$(in_root systemctl is-enabled xenblkd)" disabled

check "a newer one upgrades it" in_root dpkg --force-confold -i /new.deb
check "which is in force" prints "xenblkd $(dpkg-deb -f "$deb" Version)" in_root xenblkd --version
check "what was changed stays so" prints 'poll-us = 77 # line' in_root xenblkd --check-config
check "the new configuration lies beside it" grep -q 'see xenblkd.conf(5)' "$root/etc/xenblkd/xenblkd.conf.dpkg-dist"
check "the unit stays disabled" is "$(in_root systemctl is-enabled xenblkd)" disabled
check "systemd has nothing to say about the unit" is \
	"$(in_root systemd-analyze verify --man=yes /lib/systemd/system/xenblkd.service 2>&1)" ""
for unit in xenblkd-standby xenblkd-xentop; do
	check "nor about $unit" is \
		"$(in_root systemd-analyze verify --man=yes /lib/systemd/system/$unit.service 2>&1)" ""
done
sed 's/^Restart=/Restrat=/' "$root/lib/systemd/system/xenblkd.service" >"$root/lib/systemd/system/wrong.service"
check "as it has about a wrong one" prints Restrat in_root systemd-analyze verify /lib/systemd/system/wrong.service
rm "$root/lib/systemd/system/wrong.service"
for page in 8:xenblkd 8:xenblkctl 1:blkload 5:xenblkd.conf; do
	check "man ${page#*:} has no warnings" man_is_clean "${page%:*}" "${page#*:}"
done
check "xl's script is one" in_root sh -n /etc/xen/scripts/block-xenblkd
check "which xl may run" [ -x "$root/etc/xen/scripts/block-xenblkd" ]
check "each program says what it is" prints "xenblkctl $(dpkg-deb -f "$deb" Version)" in_root xenblkctl --version
check "without Xen the daemon says so" prints 'is this a Xen host' in_root xenblkd
check "without a daemon xenblkctl says so" prints 'is xenblkd running?' in_root xenblkctl list
check "bash completes commands" completes xenblkctl pa pause
check "behind options as well" completes xenblkctl --json bd bdevs
check "levels of the log" completes xenblkctl log de debug
check "settings" completes xenblkctl set 1/xvda read- 'read-iops= read-bps='
check "options of the daemon" completes xenblkd --poll --poll-us=
check "and of blkload" completes blkload --vers --version

check "it is removed" in_root dpkg -r xenblkd
check "and its programs are" [ ! -e "$root/usr/sbin/xenblkd" ]
check "what was changed is kept" grep -q 'poll-us = 77' "$root/etc/xenblkd/xenblkd.conf"
check "it is purged" in_root dpkg -P xenblkd
files >"$work/after"
check "and nothing of it is left" diff "$work/before" "$work/after"

echo "1..$number"
[ "$failures" -eq 0 ]
