/* SPDX-License-Identifier: BSD-2-Clause */
/* set, pause, resume, upgrade: what changes disks that are in use. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

/* How long a device may take to come to rest, and how often that is looked at. */
#define REST_S	     60.0
#define LOOK_AGAIN_S 0.02

/* How long the next daemon may take. */
#define HEIR_S 30.0

static enum status set_daemon(struct context *ctx)
{
	struct json_object *params = json_object_new_object();
	const char *word = ctx->argv[1];
	char *end;
	unsigned long us = strncmp(word, "poll-us=", 8) ? 0 : strtoul(word + 8, &end, 10);

	if (ctx->argc != 2 || strncmp(word, "poll-us=", 8) || !word[8] || *end) {
		fprintf(stderr, "xenblkctl: expected: xenblkctl set daemon poll-us=N\n");
		json_object_put(params);
		return STATUS_USAGE;
	}
	json_object_object_add(params, "poll_us", json_object_new_uint64(us));
	return call_and_print(ctx, "reactor.set", params);
}

enum status cmd_set(struct context *ctx)
{
	struct json_object *params, *settings;

	if (!strcmp(ctx->argv[0], "daemon"))
		return set_daemon(ctx);
	params = params_disk(ctx);
	settings = json_object_new_object();
	json_object_object_add(params, "settings", settings);
	for (int i = 1; i < ctx->argc; i++) {
		char *equals = strchr(ctx->argv[i], '=');

		if (!equals || equals == ctx->argv[i]) {
			fprintf(stderr,
				"xenblkctl: \"%s\": expected KEY=VALUE, such as read-iops=5000\n",
				ctx->argv[i]);
			json_object_put(params);
			return STATUS_USAGE;
		}
		*equals = '\0';
		json_object_object_add(settings, ctx->argv[i], json_object_new_string(equals + 1));
	}
	return call_and_print(ctx, "disk.set", params);
}

static struct json_object *params_paused(const struct context *ctx, const char *value)
{
	struct json_object *params = params_disk(ctx), *settings = json_object_new_object();

	json_object_object_add(settings, "paused", json_object_new_string(value));
	json_object_object_add(params, "settings", settings);
	return params;
}

enum status cmd_pause(struct context *ctx)
{
	struct json_object *answer = NULL;
	uint64_t in_flight = 1;
	enum status status =
		client_call(&ctx->client, "disk.set", params_paused(ctx, "1"), &answer);

	for (double waited = 0; !status; waited += LOOK_AGAIN_S) {
		json_object_put(answer);
		status = client_call(&ctx->client, "disk.get", params_disk(ctx), &answer);
		if (status)
			break;
		in_flight = get_u64(get_member(get_member(answer, "disk"), "stats"), "in_flight");
		if (!in_flight || waited > REST_S)
			break;
		sleep_s(LOOK_AGAIN_S);
	}
	if (status)
		return status;
	if (ctx->json)
		print_json(get_member(answer, "disk"));
	json_object_put(answer);
	if (!in_flight)
		return STATUS_OK;
	fprintf(stderr,
		"xenblkctl: %s takes no more requests, but %" PRIu64 " are still at its device; "
		"\"xenblkctl resume %s\" undoes it\n",
		ctx->argv[0], in_flight, ctx->argv[0]);
	return STATUS_FAILED;
}

enum status cmd_resume(struct context *ctx)
{
	return call_and_print(ctx, "disk.set", params_paused(ctx, ""));
}

enum status cmd_upgrade(struct context *ctx)
{
	struct json_object *answer;
	enum status status = client_call(&ctx->client, "daemon.hand_over", NULL, &answer);

	if (status)
		return status;
	json_object_put(answer);
	status = client_follow(&ctx->client, HEIR_S);
	if (!status)
		status = client_call(&ctx->client, "daemon.info", NULL, &answer);
	if (status)
		return status;
	if (ctx->json)
		print_json(answer);
	else
		printf("xenblkd %s, process %" PRIu64 ", serves now\n", get_text(answer, "version"),
		       get_u64(answer, "pid"));
	json_object_put(answer);
	return STATUS_OK;
}
