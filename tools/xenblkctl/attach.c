/* SPDX-License-Identifier: BSD-2-Clause */
/* attach, detach: disks of guests that no toolstack gives any. */
#include <stdio.h>
#include <string.h>

#include "commands.h"

/* How long the daemon may take to look at a disk, and a guest to connect or to let go. */
#define PATIENCE_S   20.0
#define LOOK_AGAIN_S 0.05

/* Return: the disk of that name, to be put; or NULL. */
static struct json_object *find_disk(struct context *ctx, const char *name, enum status *status)
{
	struct json_object *answer, *disks, *found = NULL;

	*status = client_call(&ctx->client, "disk.list", NULL, &answer);
	if (*status)
		return NULL;
	disks = get_member(answer, "disks");
	for (size_t i = 0; i < json_object_array_length(disks) && !found; i++) {
		struct json_object *disk = json_object_array_get_idx(disks, i);

		if (!strcmp(get_text(disk, "disk"), name))
			found = json_object_get(disk);
	}
	json_object_put(answer);
	return found;
}

static struct json_object *params_name(const char *disk)
{
	struct json_object *params = json_object_new_object();

	json_object_object_add(params, "disk", json_object_new_string(disk));
	return params;
}

static bool is_settled(const struct context *ctx, struct json_object *disk)
{
	const char *state = get_text(disk, "state");

	return !strcmp(state, "connected") || (ctx->no_wait && !strcmp(state, "waiting")) ||
	       get_text(disk, "error")[0];
}

/* Until the guest is connected, or it is clear that it will not be. Return: the disk, or NULL. */
static struct json_object *wait_for_guest(struct context *ctx, const char *name,
					  enum status *status)
{
	struct json_object *disk = NULL;

	for (double waited = 0; waited < PATIENCE_S; waited += LOOK_AGAIN_S) {
		json_object_put(disk);
		disk = find_disk(ctx, name, status);
		if (*status || (disk && is_settled(ctx, disk)))
			return disk;
		sleep_s(LOOK_AGAIN_S);
	}
	return disk;
}

/* Until the disk is gone. Return: whether it is. */
static bool wait_for_end(struct context *ctx, const char *name, enum status *status)
{
	for (double waited = 0; waited < PATIENCE_S; waited += LOOK_AGAIN_S) {
		struct json_object *disk = find_disk(ctx, name, status);

		json_object_put(disk);
		if (*status || !disk)
			return !*status;
		sleep_s(LOOK_AGAIN_S);
	}
	return false;
}

static enum status detach(struct context *ctx, const char *name)
{
	struct json_object *answer;
	enum status status = client_call(&ctx->client, "disk.detach", params_name(name), &answer);
	char disk[96];

	if (status)
		return status;
	snprintf(disk, sizeof(disk), "%s", get_text(answer, "disk"));
	json_object_put(answer);
	if (wait_for_end(ctx, disk, &status) || status)
		return status;
	fprintf(stderr,
		"xenblkctl: %s: its guest does not let go; unmount it there, and it is taken "
		"back\n",
		disk);
	return STATUS_FAILED;
}

enum status cmd_detach(struct context *ctx)
{
	return detach(ctx, ctx->argv[0]);
}

static struct json_object *params_attach(const struct context *ctx, struct json_object *settings,
					 enum status *status)
{
	struct json_object *params = json_object_new_object();

	json_object_object_add(params, "domain", json_object_new_string(ctx->argv[0]));
	json_object_object_add(params, "vdev", json_object_new_string(ctx->argv[1]));
	json_object_object_add(params, "bdev", json_object_new_string(ctx->argv[2]));
	for (int i = 3; i < ctx->argc; i++) {
		char *word = ctx->argv[i], *equals = strchr(word, '=');

		if (!strcmp(word, "ro")) {
			json_object_object_add(params, "read_only", json_object_new_boolean(true));
		} else if (equals && equals != word) {
			*equals = '\0';
			json_object_object_add(settings, word, json_object_new_string(equals + 1));
		} else {
			fprintf(stderr, "xenblkctl: \"%s\": expected ro, or KEY=VALUE as of set\n",
				word);
			*status = STATUS_USAGE;
		}
	}
	if (json_object_object_length(settings))
		json_object_object_add(params, "settings", json_object_get(settings));
	return params;
}

/* What came of it is in @disk. */
static enum status report(struct context *ctx, const char *name, struct json_object *disk)
{
	if (!disk) {
		fprintf(stderr,
			"xenblkctl: %s: its nodes are written, but xenblkd does not take it on; "
			"see its log\n",
			name);
		return STATUS_FAILED;
	}
	if (get_text(disk, "error")[0]) {
		fprintf(stderr, "xenblkctl: %s: %s\n", name, get_text(disk, "error"));
		detach(ctx, name);
		return STATUS_FAILED;
	}
	if (strcmp(get_text(disk, "state"), "connected") && !ctx->no_wait)
		fprintf(stderr,
			"xenblkctl: %s is there, but its guest has not connected (%s): has it a "
			"driver?\n",
			name, get_text(disk, "state"));
	if (ctx->json)
		print_json(disk);
	else
		puts(name);
	return STATUS_OK;
}

enum status cmd_attach(struct context *ctx)
{
	struct json_object *settings = json_object_new_object(), *params, *answer, *disk;
	enum status status = STATUS_OK;
	char name[96];

	params = params_attach(ctx, settings, &status);
	json_object_put(settings);
	if (status) {
		json_object_put(params);
		return status;
	}
	status = client_call(&ctx->client, "disk.attach", params, &answer);
	if (status)
		return status;
	snprintf(name, sizeof(name), "%s", get_text(answer, "disk"));
	json_object_put(answer);
	disk = wait_for_guest(ctx, name, &status);
	if (!status)
		status = report(ctx, name, disk);
	json_object_put(disk);
	return status;
}
