/* SPDX-License-Identifier: BSD-2-Clause */
/* list, top, show, stats: what there is to see. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "rows.h"
#include "sample.h"

void sleep_s(double seconds)
{
	struct timespec ts = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };

	nanosleep(&ts, NULL);
}

static int by_name(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;
	uint64_t dx = get_u64(*x, "domid"), dy = get_u64(*y, "domid");

	if (dx != dy)
		return dx < dy ? -1 : 1;
	return strcmp(get_text(*x, "disk"), get_text(*y, "disk"));
}

static void add_rates(struct json_object *disk, const struct rate *r)
{
	struct json_object *out = json_object_new_object();

	json_object_object_add(out, "read_iops", json_object_new_double(r->read_iops));
	json_object_object_add(out, "write_iops", json_object_new_double(r->write_iops));
	json_object_object_add(out, "other_iops", json_object_new_double(r->other_iops));
	json_object_object_add(out, "read_mbs", json_object_new_double(r->read_mbs));
	json_object_object_add(out, "write_mbs", json_object_new_double(r->write_mbs));
	json_object_object_add(out, "latency_us", json_object_new_double(r->latency_us));
	json_object_object_add(disk, "rates", out);
}

static const char *state_of(struct json_object *disk)
{
	return get_bool(disk, "paused") ? "paused" : get_text(disk, "state");
}

static void list_row(struct rows *rows, struct json_object *disk, const struct rate *r)
{
	const char *guest = get_text(disk, "guest");

	rows_add(rows, "%s", get_text(disk, "disk"));
	rows_add(rows, "%s", guest[0] ? guest : "-");
	rows_add(rows, "%s", state_of(disk));
	rows_add(rows, "%s", get_text(disk, "bdev"));
	rows_add(rows, "%" PRIu64, get_u64(disk, "queues"));
	rows_add(rows, "%s", get_text(disk, "transfer"));
	rows_add(rows, "%.0f", r->read_iops);
	rows_add(rows, "%.0f", r->write_iops);
	rows_add(rows, "%.1f", r->read_mbs);
	rows_add(rows, "%.1f", r->write_mbs);
	if (r->latency_us > 0)
		rows_add(rows, "%.0f", r->latency_us);
	else
		rows_add(rows, "-");
}

enum status cmd_list(struct context *ctx)
{
	static const char *const heads[] = { "DISK",	  "GUEST",	"STATE",     "BDEV",
					     "QUEUES",	  "TRANSFER",	"READ/S",    "WRITE/S",
					     "READ MB/S", "WRITE MB/S", "LATENCY US" };
	struct sample before, now;
	struct json_object *disks;
	struct rows rows;
	enum status status = sample_take(&before, &ctx->client);

	if (status)
		return status;
	sleep_s(ctx->interval_s);
	status = sample_take(&now, &ctx->client);
	if (status) {
		sample_put(&before);
		return status;
	}
	rows_init(&rows, sizeof(heads) / sizeof(heads[0]));
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		rows_add(&rows, "%s", heads[i]);
	disks = sample_disks(&now);
	json_object_array_sort(disks, by_name);
	for (size_t i = 0; i < json_object_array_length(disks); i++) {
		struct json_object *disk = json_object_array_get_idx(disks, i);
		struct rate r = sample_rate(&before, &now, disk);

		list_row(&rows, disk, &r);
		add_rates(disk, &r);
	}
	if (ctx->json)
		print_json(now.answer);
	else
		rows_print(&rows, stdout, 0);
	rows_fini(&rows);
	sample_put(&before);
	sample_put(&now);
	return STATUS_OK;
}

/* On a terminal each look takes the place of the one before. */
enum status cmd_top(struct context *ctx)
{
	enum status status = STATUS_OK;

	for (uint64_t n = 0; (!ctx->count || n < ctx->count) && status == STATUS_OK; n++) {
		if (!ctx->json && isatty(STDOUT_FILENO))
			printf("\033[H\033[J");
		status = cmd_list(ctx);
		fflush(stdout);
	}
	return status;
}

static void print_bound(uint64_t ns)
{
	if (ns < 1000000)
		printf("%7.0f us", (double)ns / 1e3);
	else if (ns < 1000000000)
		printf("%7.1f ms", (double)ns / 1e6);
	else
		printf("%7.1f s ", (double)ns / 1e9);
}

/* The buckets that have something, with a bar each. */
static void print_times(const char *what, struct json_object *times)
{
	struct json_object *buckets = get_member(times, "buckets");
	size_t nr = buckets ? json_object_array_length(buckets) : 0;
	uint64_t sum = 0, most = 0;

	for (size_t i = 0; i < nr; i++) {
		uint64_t n = json_object_get_uint64(json_object_array_get_idx(buckets, i));

		sum += n;
		most = n > most ? n : most;
	}
	if (!sum)
		return;
	printf("\n%s: %" PRIu64 " requests, %.1f us on the average\n", what, sum,
	       (double)get_u64(times, "sum_ns") / (double)sum / 1e3);
	for (size_t i = 0; i < nr; i++) {
		uint64_t n = json_object_get_uint64(json_object_array_get_idx(buckets, i));
		int bar = (int)(40 * n / most);

		if (!n)
			continue;
		printf(i + 1 < nr ? "  up to " : "  above ");
		print_bound(1024ull << (i + 1 < nr ? i : i - 1));
		printf(" %12" PRIu64 "  %.*s\n", n, bar,
		       "########################################");
	}
}

/* What is no object or array, one a line. */
static void print_members(struct json_object *from)
{
	json_object_object_foreach(from, name, value)
	{
		char label[32];

		if (json_object_is_type(value, json_type_object) ||
		    json_object_is_type(value, json_type_array))
			continue;
		snprintf(label, sizeof(label), "%s", name);
		for (char *c = label; *c; c++)
			*c = *c == '_' ? ' ' : *c;
		printf("%-22s %s\n", label, value ? json_object_get_string(value) : "-");
	}
}

enum status cmd_show(struct context *ctx)
{
	struct json_object *answer, *disk, *stats, *times;
	enum status status = client_call(&ctx->client, "disk.get", params_disk(ctx), &answer);

	if (status)
		return status;
	disk = get_member(answer, "disk");
	stats = get_member(disk, "stats");
	times = get_member(stats, "times");
	if (ctx->json) {
		print_json(disk);
	} else {
		print_members(disk);
		if (get_member(disk, "limits")) {
			printf("\nlimits (0: none)\n");
			print_members(get_member(disk, "limits"));
		}
		printf("\nsince it was made\n");
		print_members(stats);
		print_times("from the ring to the device", get_member(times, "queued"));
		print_times("reads at the device", get_member(times, "device_read"));
		print_times("writes at the device", get_member(times, "device_write"));
		print_times("flushes, barriers and discards at the device",
			    get_member(times, "device_other"));
	}
	json_object_put(answer);
	return STATUS_OK;
}

/* Everything that is counted, as it stands. */
enum status cmd_stats(struct context *ctx)
{
	struct json_object *disks, *reactors, *params = json_object_new_object(), *list;
	enum status status;

	json_object_object_add(params, "histograms", json_object_new_boolean(true));
	status = client_call(&ctx->client, "disk.list", params, &disks);
	if (status)
		return status;
	status = client_call(&ctx->client, "reactor.list", NULL, &reactors);
	if (status) {
		json_object_put(disks);
		return status;
	}
	list = get_member(reactors, "reactors");
	if (ctx->json) {
		json_object_object_add(disks, "reactors", json_object_get(list));
		print_json(disks);
	} else {
		for (size_t i = 0; i < json_object_array_length(list); i++) {
			print_members(json_object_array_get_idx(list, i));
			puts("");
		}
		list = get_member(disks, "disks");
		for (size_t i = 0; i < json_object_array_length(list); i++) {
			struct json_object *disk = json_object_array_get_idx(list, i);

			printf("disk %s\n", get_text(disk, "disk"));
			print_members(get_member(disk, "stats"));
			puts("");
		}
	}
	json_object_put(disks);
	json_object_put(reactors);
	return STATUS_OK;
}
