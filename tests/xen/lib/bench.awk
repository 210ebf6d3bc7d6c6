# SPDX-License-Identifier: BSD-2-Clause
#
# Medians of the rounds, and counts for each request: a table for people, JSON for machines.
function sorted(list, a,   i, j, n, t) {
	n = split(list, a, " ")
	for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (a[j] + 0 < a[i] + 0) { t = a[i]; a[i] = a[j]; a[j] = t }
	return n
}
function median(list,   a, n) {
	n = sorted(list, a)
	return a[int((n + 1) / 2)]
}
function spread(list,   a, n) {
	n = sorted(list, a)
	return a[1] "-" a[n]
}
function remember(key) {
	if (!(key in seen)) { seen[key] = 1; order[++nr] = key }
}
FILENAME ~ /results$/ {
	key = $2 " " $1
	remember(key)
	for (i = 3; i <= 8; i++) v[key, i] = v[key, i] " " $i
	rounds[key]++
}
FILENAME ~ /counts$/ {
	ckey[++nc] = $2 " " $1
	for (i = 3; i <= 9; i++) c[nc, i] = $i
}
END {
	# Jobs together, in the order in which they ran first.
	for (k = 1; k <= nr; k++) {
		split(order[k], w, " ")
		if (!(w[1] in job)) { job[w[1]] = ++nj; jobname[nj] = w[1] }
	}
	printf "%-22s %-15s %7s %13s %7s %8s %8s %12s %12s\n", "job", "backend", "IOPS", "(spread)", "MB/s", "mean us", "p99 us", "dom0 us/IO", "busy us/IO" > table
	sep = "{\"fio\":["
	for (j = 1; j <= nj; j++) for (k = 1; k <= nr; k++) {
		key = order[k]
		split(key, w, " ")
		if (w[1] != jobname[j]) continue
		printf "%-22s %-15s %7d %13s %7.1f %8d %8d %12d %12s\n", w[1], w[2], median(v[key, 3]), spread(v[key, 3]), median(v[key, 4]), median(v[key, 5]), median(v[key, 6]), median(v[key, 7]), median(v[key, 8]) > table
		printf "%s\n {\"job\":\"%s\",\"backend\":\"%s\",\"rounds\":%d,\"iops\":%d,\"mb_s\":%.1f,\"mean_us\":%d,\"p99_us\":%d,\"dom0_cpu_us\":%d,\"busy_us\":%s}", sep, w[1], w[2], rounds[key], median(v[key, 3]), median(v[key, 4]), median(v[key, 5]), median(v[key, 6]), median(v[key, 7]), median(v[key, 8]) == "-" ? "null" : median(v[key, 8]) > json
		sep = ","
	}
	printf "\n%-22s %-15s %9s %12s %12s %12s %12s %12s\n", "for each request:", "", "requests", "grant calls", "grant ops", "doorbells", "syscalls", "of them ioctl" > table
	sep = "],\n\"counts\":["
	for (k = 1; k <= nc; k++) {
		split(ckey[k], w, " ")
		n = c[k, 3] > 0 ? c[k, 3] : 1
		printf "%-22s %-15s %9d %12.3f %12.3f %12.3f %12.3f %12.3f\n", w[1], w[2], c[k, 3], c[k, 4] / n, c[k, 5] / n, (c[k, 6] + c[k, 7]) / n, c[k, 8] / n, c[k, 9] / n > table
		printf "%s\n {\"job\":\"%s\",\"backend\":\"%s\",\"requests\":%d,\"grant_calls\":%d,\"grant_ops\":%d,\"sq_doorbells\":%d,\"cq_doorbells\":%d,\"syscalls\":%d,\"ioctls\":%d}", sep, w[1], w[2], c[k, 3], c[k, 4], c[k, 5], c[k, 6], c[k, 7], c[k, 8], c[k, 9] > json
		sep = ","
	}
	print "]}" > json
}
