#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What the real libraries export, libxensim exports too.
set -uo pipefail

BUILD=${1:?the build folder}
number=0 failures=0

# exported FILE - its functions, without their versions
exported() {
	nm -D --defined-only "$1" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort -u
}

for library in xengnttab xenevtchn xencall; do
	real=$(pkg-config --variable=libdir "$library")/lib$library.so
	number=$((number + 1))
	missing=$(comm -23 <(exported "$real") <(exported "$BUILD/sim/libxensim.so"))
	if [ -n "$(exported "$real")" ] && [ -z "$missing" ]; then
		echo "ok $number - lib$library"
	else
		failures=$((failures + 1))
		echo "not ok $number - lib$library"
		echo "# missing:" $missing
	fi
done
echo "1..$number"
[ "$failures" -eq 0 ]
