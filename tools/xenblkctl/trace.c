/* SPDX-License-Identifier: BSD-2-Clause */
/* trace: each request of a disk, as it is answered. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"

/* Between two looks: what comes in meanwhile is kept by the daemon, 4096 requests of a queue. */
#define LOOK_S 0.02

static enum status usage(const char *word)
{
	fprintf(stderr,
		"xenblkctl: \"%s\": expected op=read, write, flush, barrier or discard, min-us=N, "
		"or "
		"errors\n",
		word);
	return STATUS_USAGE;
}

static enum status add_filter(const char *word, struct json_object *params)
{
	char *end;
	uint64_t n;

	if (!strncmp(word, "op=", 3)) {
		json_object_object_add(params, "op", json_object_new_string(word + 3));
	} else if (!strncmp(word, "min-us=", 7)) {
		n = strtoull(word + 7, &end, 10);
		if (*end || word[7] < '0' || word[7] > '9')
			return usage(word);
		json_object_object_add(params, "min_us", json_object_new_uint64(n));
	} else if (!strcmp(word, "errors")) {
		json_object_object_add(params, "errors", json_object_new_boolean(true));
	} else {
		return usage(word);
	}
	return STATUS_OK;
}

static void print_us(uint64_t from_ns, uint64_t to_ns)
{
	if (to_ns)
		printf(" %10.1f", (double)(to_ns - from_ns) / 1e3);
	else
		printf(" %10s", "-");
}

static void print_request(struct json_object *r, uint64_t start_ns)
{
	uint64_t taken_ns = get_u64(r, "taken_ns"), submitted_ns = get_u64(r, "submitted_ns");
	struct json_object *error = get_member(r, "error");

	printf("%12.6f %5" PRIu64 " %-7s %16" PRIu64 " %9" PRIu64 " %4" PRIu64,
	       (double)(int64_t)(taken_ns - start_ns) / 1e9, get_u64(r, "queue"), get_text(r, "op"),
	       get_u64(r, "offset_bytes"), get_u64(r, "bytes"), get_u64(r, "segments"));
	print_us(taken_ns, submitted_ns);
	print_us(submitted_ns, submitted_ns ? get_u64(r, "done_ns") : 0);
	printf("  %s\n", error ? json_object_get_string(error) : "ok");
}

static int by_time(const void *a, const void *b)
{
	struct json_object *const *x = a, *const *y = b;
	uint64_t tx = get_u64(*x, "taken_ns"), ty = get_u64(*y, "taken_ns");

	return (tx > ty) - (tx < ty);
}

/* Return: how many were printed, @max at the most. */
static uint64_t print_requests(struct context *ctx, struct json_object *list, uint64_t start_ns,
			       uint64_t max)
{
	uint64_t nr;

	json_object_array_sort(list, by_time);
	for (nr = 0; nr < json_object_array_length(list) && nr < max; nr++) {
		struct json_object *r = json_object_array_get_idx(list, nr);

		if (ctx->json)
			puts(json_object_to_json_string_ext(r, JSON_C_TO_STRING_PLAIN));
		else
			print_request(r, start_ns);
	}
	fflush(stdout);
	return nr;
}

/* Once in a second, or now. */
static void say_lost(uint64_t *lost, bool now)
{
	static time_t said;

	if (!*lost || (!now && time(NULL) == said))
		return;
	said = time(NULL);
	fprintf(stderr, "xenblkctl: %" PRIu64 " requests came too fast to be kept\n", *lost);
	*lost = 0;
}

static enum status follow(struct context *ctx, uint64_t start_ns)
{
	enum status status = STATUS_OK;
	uint64_t nr = 0, lost = 0;

	while (!ctx->count || nr < ctx->count) {
		struct json_object *answer, *list;

		status = client_call(&ctx->client, "disk.trace_read", params_disk(ctx), &answer);
		if (status)
			break;
		list = get_member(answer, "requests");
		lost += get_u64(answer, "lost");
		nr += print_requests(ctx, list, start_ns,
				     ctx->count ? ctx->count - nr : UINT64_MAX);
		say_lost(&lost, false);
		if (!json_object_array_length(list))
			sleep_s(LOOK_S);
		json_object_put(answer);
	}
	say_lost(&lost, true);
	return status;
}

enum status cmd_trace(struct context *ctx)
{
	struct json_object *answer, *params = params_disk(ctx);
	enum status status = STATUS_OK;
	uint64_t start_ns;

	for (int i = 1; i < ctx->argc && !status; i++)
		status = add_filter(ctx->argv[i], params);
	if (status) {
		json_object_put(params);
		return status;
	}
	status = client_call(&ctx->client, "disk.trace", params, &answer);
	if (status)
		return status;
	start_ns = get_u64(answer, "time_ns");
	json_object_put(answer);
	if (!ctx->json)
		printf("%12s %5s %-7s %16s %9s %4s %10s %10s  STATUS\n", "TIME S", "QUEUE", "OP",
		       "OFFSET", "BYTES", "SEGS", "QUEUE US", "DEVICE US");
	return follow(ctx, start_ns);
}
