# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034
TITLE="a result is lost on its way to the host"

dom0() {
	check "one that arrives" true
	echo "one that does not" >>/tmp/taps
}
