#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Metrics, as Prometheus has them; the drives' health in them; and the queries of the dashboard. What
# promtool (Debian's package prometheus) judges is skipped where it is not installed.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

dashboard=$(dirname "$0")/../../packaging/grafana/xenblkd.json
page=$XENSIM_DIR/page
bdf=0000:00:05.0

get_page() {
	python3 -c '
import http.client, socket, sys
c = http.client.HTTPConnection("xenblkd")
c.sock = socket.socket(socket.AF_UNIX)
c.sock.connect(sys.argv[1])
c.request("GET", "/metrics")
sys.stdout.write(c.getresponse().read().decode())' "$XENSIM_DIR/run/metrics.sock" >"$page"
}

# value NAME - of a metric of which there is one
value() {
	get_page
	sed -n "s/^xenblkd_$1{.*} //p" "$page"
}

# with_promtool TEXT COMMAND...
with_promtool() {
	if command -v promtool >/dev/null; then
		check "$@"
	else
		number=$((number + 1))
		echo "ok $number - $1 # SKIP promtool is not installed (apt install prometheus)"
	fi
}

# rules - the queries of the dashboard as what promtool looks at
rules() {
	python3 -c '
import json, sys
rules = [{"record": "xenblkd:query%d" % i, "expr": q} for i, q in enumerate(
    t["expr"].replace("$__rate_interval", "1m").replace("$disk", ".*")
    for p in json.load(open(sys.argv[1]))["panels"] for t in p["targets"])]
assert len(rules) > 10
json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)' "$dashboard"
}

# Each name in the queries is one that the daemon has.
names_are_there() {
	local name
	get_page
	for name in $(rules | grep -o 'xenblkd_[a-z_]*' | sort -u); do
		grep -q "^$name[{ ]" "$page" || { echo "there is no $name"; return 1; }
	done
}

check_page() {
	get_page && promtool check metrics <"$page"
}

check_rules() {
	rules >"$XENSIM_DIR/rules" && promtool check rules "$XENSIM_DIR/rules"
}

# Not what it thinks well of, so that it is seen to look.
check_wrong_rules() {
	rules | sed 's/sum by (disk/sum bye (disk/' >"$XENSIM_DIR/rules" && not promtool check rules "$XENSIM_DIR/rules"
}

health_is() {
	is "$(ctl controllers | awk 'NR == 2 { print $6, $7, $8, $9, $10 }')" "$1"
}

# The last bucket has no more than the one before: nothing took longer than a minute.
no_time_is_beyond_reason() {
	get_page
	python3 -c '
import re, sys
last = {}
for labels, le, n in re.findall(r"xenblkd_(\S*_bucket\{.*),le=\"(.*)\"\} (\d+)", open(sys.argv[1]).read()):
    if le == "+Inf":
        assert last[labels] == int(n), "%s: %d of %s" % (labels, int(n) - last[labels], n)
    last[labels] = int(n)
assert len(last) == 8' "$page"
}

truncate -s 8M "$XENSIM_DIR/drive"
check "the store starts" start_store
check "a drive is there" start_nvme $bdf "$XENSIM_DIR/drive"
check "the daemon starts" start_daemon
check "without a drive of ours there is none" is "$(ctl controllers | wc -l)" 1
with_promtool "promtool likes the page of a daemon without disks" check_page
disk_create 1 51712 null:1G
guest 1 51712 --rw=randrw --count=1000 >/dev/null
disk_create 2 51712 nvme:$bdf/1
guest_start 2 51712 --rw=randrw --time=1000
check "a guest uses the drive" wait_for 10 moves nvme_commands
check "the drive says how it is" wait_for 10 health_is "1 ok 37 3 100"
with_promtool "promtool likes the page with all there is" check_page
check "the metrics say so too" is "$(value controller_temperature_celsius) $(value controller_up)" "37 1"
check "the dashboard asks for what there is" names_are_there
with_promtool "promtool likes its queries" check_rules
with_promtool "and no wrong ones" check_wrong_rules
check "another disk of the same reactor" guest 1 51712 --rw=randread --count=2000 --rate=5000
check "has no times beyond reason" no_time_is_beyond_reason
xensim set nvme_fatal=1
check "the drive fails, and is reset" wait_for 10 daemon_says 'is back'
check "which is counted" is "$(value controller_resets_total)" 1
kill -TERM "$guest_pid"
wait "$guest_pid"
guest_pid=''
disk_remove 2 51712
xensim set 'nvme_warnings=5 nvme_media_errors=9'
disk_create 2 51712 nvme:$bdf/1
check "a drive that is ill says so" wait_for 10 health_is "1 spare,reliability 37 3 100"
check "so do the metrics" is "$(value controller_critical_warning) $(value controller_media_errors_total)" "5 9"
disk_remove 2 51712
check "the daemon ends" stop_daemon
finish
