/* SPDX-License-Identifier: BSD-2-Clause */
/* xenblkctl: looks at a running xenblkd, and changes it. See xenblkctl(8). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

/* Between the two looks of "list". */
#define LIST_INTERVAL_S 0.3

struct command {
	const char *name;
	const char *args; /* what follows it, for the help */
	const char *help;
	int min_args, max_args;
	enum status (*run)(struct context *ctx);
};

enum status call_and_print(struct context *ctx, const char *method, struct json_object *params)
{
	struct json_object *answer;
	enum status status = client_call(&ctx->client, method, params, &answer);

	if (status)
		return status;
	if (ctx->json)
		print_json(answer);
	json_object_put(answer);
	return STATUS_OK;
}

struct json_object *params_disk(const struct context *ctx)
{
	struct json_object *params = json_object_new_object();

	json_object_object_add(params, "disk", json_object_new_string(ctx->argv[0]));
	return params;
}

enum status cmd_resize(struct context *ctx)
{
	return call_and_print(ctx, "disk.resize", params_disk(ctx));
}

enum status cmd_insert(struct context *ctx)
{
	struct json_object *params = params_disk(ctx);

	json_object_object_add(params, "bdev",
			       json_object_new_string(ctx->argc > 1 ? ctx->argv[1] : ""));
	return call_and_print(ctx, "disk.insert", params);
}

enum status cmd_log(struct context *ctx)
{
	struct json_object *params = json_object_new_object();

	json_object_object_add(params, "level", json_object_new_string(ctx->argv[0]));
	return call_and_print(ctx, "log.level", params);
}

/* Of whoever answers at the socket: SPDK, where it was started, has one of its own. */
static enum status cmd_call(struct context *ctx)
{
	struct json_object *params = NULL, *answer;
	enum status status;

	if (ctx->argc > 1) {
		params = json_tokener_parse(ctx->argv[1]);
		if (!json_object_is_type(params, json_type_object)) {
			fprintf(stderr, "xenblkctl: \"%s\" is no JSON object\n", ctx->argv[1]);
			json_object_put(params);
			return STATUS_USAGE;
		}
	}
	status = client_call(&ctx->client, ctx->argv[0], params, &answer);
	if (status)
		return status;
	print_json(answer);
	json_object_put(answer);
	return STATUS_OK;
}

static const struct command commands[] = {
	{ "list", "", "the disks, and what they do just now", 0, 0, cmd_list },
	{ "show", "DISK", "all about one disk: what was negotiated, counters, times", 1, 1,
	  cmd_show },
	{ "top", "", "the same as list, again and again", 0, 0, cmd_top },
	{ "stats", "", "all counters of all disks and reactors", 0, 0, cmd_stats },
	{ "bdevs", "", "the block devices behind the disks", 0, 0, cmd_bdevs },
	{ "controllers", "", "the NVMe drives that it drives, and their health", 0, 0,
	  cmd_controllers },
	{ "set", "DISK|daemon KEY=VALUE...", "change limits, transfer; of the daemon: poll-us", 2,
	  16, cmd_set },
	{ "pause", "DISK", "let requests wait in the guest; ends when the device is at rest", 1, 1,
	  cmd_pause },
	{ "resume", "DISK", "serve them on", 1, 1, cmd_resume },
	{ "resize", "DISK", "look at the size of its device, and tell the guest", 1, 1,
	  cmd_resize },
	{ "insert", "DISK BDEV", "put another medium into a CD-ROM", 2, 2, cmd_insert },
	{ "eject", "DISK", "leave its tray empty", 1, 1, cmd_insert },
	{ "trace", "DISK [op=OP] [min-us=N] [errors]", "each request, with its times", 1, 4,
	  cmd_trace },
	{ "attach", "DOMAIN VDEV BDEV [OPTION]...",
	  "give a guest a disk; options: ro, and KEY=VALUE as of set", 3, 12, cmd_attach },
	{ "detach", "DISK", "take back one that was attached so", 1, 1, cmd_detach },
	{ "upgrade", "", "hand all disks over to the daemon that stands by", 0, 0, cmd_upgrade },
	{ "log", "LEVEL", "log less or more: error, warning, info or debug", 1, 1, cmd_log },
	{ "xentop", "[DIR]", "let xentop have counters of the disks, for as long as this runs", 0,
	  1, cmd_xentop },
	{ "call", "METHOD [JSON]", "any method that is answered at --socket, as SPDK's at its own",
	  1, 2, cmd_call },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(FILE *f)
{
	fprintf(f, "Usage: xenblkctl [OPTION]... COMMAND [ARGUMENT]...\n\n"
		   "Looks at a running xenblkd, and changes it. See xenblkctl(8).\n"
		   "A DISK is DOMAIN/VDEV, such as 3/xvda or web1/xvda.\n\n");
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].args);
		fprintf(f, "  %-32s %s\n", left, commands[i].help);
	}
	fprintf(f, "\n"
		   "  --json                           print what the daemon said, as JSON\n"
		   "  --interval=SECONDS               of list and top: between two looks\n"
		   "  --count=N                        of top: end after so many looks; of trace: "
		   "requests\n"
		   "  --no-wait                        of attach: not for the guest, which may be "
		   "paused\n"
		   "  --socket=PATH                    the daemon's (" CLIENT_SOCKET ")\n"
		   "  --help, --version\n");
}

static enum status usage(const char *fmt, const char *what)
{
	fprintf(stderr, "xenblkctl: ");
	fprintf(stderr, fmt, what);
	fprintf(stderr, "; see xenblkctl --help\n");
	return STATUS_USAGE;
}

struct arguments {
	const char *socket;
	bool help, version;
};

static bool is_count(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno;
}

/* One that begins with "--". */
static enum status parse_option(const char *word, struct arguments *a, struct context *ctx)
{
	char *end;

	if (!strcmp(word, "--json")) {
		ctx->json = true;
	} else if (!strcmp(word, "--help")) {
		a->help = true;
	} else if (!strcmp(word, "--version")) {
		a->version = true;
	} else if (!strcmp(word, "--no-wait")) {
		ctx->no_wait = true;
	} else if (!strncmp(word, "--socket=", 9)) {
		a->socket = word + 9;
	} else if (!strncmp(word, "--interval=", 11)) {
		ctx->interval_s = strtod(word + 11, &end);
		if (*end || end == word + 11 ||
		    !(ctx->interval_s >= 0.01 && ctx->interval_s <= 3600))
			return usage("\"%s\": expected seconds, 0.01 to 3600", word);
	} else if (!strncmp(word, "--count=", 8)) {
		if (!is_count(word + 8, &ctx->count) || !ctx->count)
			return usage("\"%s\": expected a number above 0", word);
	} else {
		return usage("there is no option \"%s\"", word);
	}
	return STATUS_OK;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

static enum status run(const struct command *command, const char *path, struct context *ctx)
{
	enum status status = client_open(&ctx->client, path);

	if (status)
		return status;
	status = command->run(ctx);
	client_close(&ctx->client);
	return status;
}

int main(int argc, char **argv)
{
	const char *from_environment = getenv("XENBLKD_SOCKET");
	struct context ctx = { .interval_s = LIST_INTERVAL_S };
	struct arguments a = { from_environment ? from_environment : CLIENT_SOCKET, false, false };
	const struct command *command;
	int nr = 0;

	/* Words that are no options move to the front. */
	for (int i = 1; i < argc; i++) {
		enum status status;

		if (strncmp(argv[i], "--", 2)) {
			argv[nr++] = argv[i];
			continue;
		}
		status = parse_option(argv[i], &a, &ctx);
		if (status)
			return status;
	}
	if (a.version) {
		puts("xenblkctl " XENBLKD_VERSION);
		return STATUS_OK;
	}
	if (a.help) {
		help(stdout);
		return STATUS_OK;
	}
	if (!nr)
		return usage("%sno command", "");
	command = find_command(argv[0]);
	if (!command)
		return usage("there is no command \"%s\"", argv[0]);
	ctx.argc = nr - 1;
	ctx.argv = argv + 1;
	if (ctx.argc < command->min_args || ctx.argc > command->max_args) {
		fprintf(stderr, "xenblkctl: usage: xenblkctl %s %s\n", command->name,
			command->args);
		return STATUS_USAGE;
	}
	return run(command, a.socket, &ctx);
}
