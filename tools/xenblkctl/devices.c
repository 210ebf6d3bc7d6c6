/* SPDX-License-Identifier: BSD-2-Clause */
/* bdevs, controllers: what is behind the disks. */
#include <inttypes.h>
#include <stdio.h>

#include "commands.h"
#include "rows.h"

/* A list of things, a line each. */
struct table {
	const char *method, *list; /* that is asked, and its member */
	const char *const *heads;
	uint32_t nr_heads;
	void (*row)(struct rows *rows, struct json_object *thing);
};

static enum status print_table(struct context *ctx, const struct table *t)
{
	struct json_object *answer, *list;
	struct rows rows;
	enum status status = client_call(&ctx->client, t->method, NULL, &answer);

	if (status)
		return status;
	rows_init(&rows, t->nr_heads);
	for (uint32_t i = 0; i < t->nr_heads; i++)
		rows_add(&rows, "%s", t->heads[i]);
	list = get_member(answer, t->list);
	for (size_t i = 0; i < json_object_array_length(list); i++)
		t->row(&rows, json_object_array_get_idx(list, i));
	if (ctx->json)
		print_json(answer);
	else
		rows_print(&rows, stdout, 0);
	rows_fini(&rows);
	json_object_put(answer);
	return STATUS_OK;
}

static void bdev_row(struct rows *rows, struct json_object *b)
{
	rows_add(rows, "%s", get_text(b, "bdev"));
	rows_add(rows, "%s", get_text(b, "disk"));
	rows_add(rows, "%" PRIu64, get_u64(b, "size_bytes") >> 20);
	rows_add(rows, "%" PRIu64, get_u64(b, "logical_block_bytes"));
	rows_add(rows, "%s", get_bool(b, "dma") ? "yes" : "no");
	rows_add(rows, "%s", get_bool(b, "flush") ? "yes" : "no");
	rows_add(rows, "%s", get_bool(b, "discard") ? "yes" : "no");
	rows_add(rows, "%s", get_bool(b, "read_only") ? "read-only" : "read-write");
}

enum status cmd_bdevs(struct context *ctx)
{
	static const char *const heads[] = { "BDEV", "DISK",  "SIZE MIB", "BLOCK",
					     "DMA",  "FLUSH", "DISCARD",  "ACCESS" };
	static const struct table table = { "bdev.list", "bdevs", heads,
					    sizeof(heads) / sizeof(heads[0]), bdev_row };

	return print_table(ctx, &table);
}

/* What is wrong with it, in words. */
static void add_state(struct rows *rows, struct json_object *c)
{
	struct json_object *warnings = get_member(c, "warnings");
	size_t nr = warnings ? json_object_array_length(warnings) : 0;
	char words[128] = "", *end = words;

	for (size_t i = 0; i < nr && end < words + 64; i++) {
		struct json_object *word = json_object_array_get_idx(warnings, i);

		end += snprintf(end, 32, "%s%.24s", i ? "," : "", json_object_get_string(word));
	}
	if (get_bool(c, "failed"))
		rows_add(rows, "failed");
	else if (!get_bool(c, "health_known"))
		rows_add(rows, "unknown");
	else
		rows_add(rows, "%s", nr ? words : "ok");
}

/* A number, or "-" where it is not known. */
static void add_number(struct rows *rows, struct json_object *c, const char *name)
{
	struct json_object *value = get_member(c, name);

	rows_add(rows, "%s", value ? json_object_get_string(value) : "-");
}

static void controller_row(struct rows *rows, struct json_object *c)
{
	rows_add(rows, "%s", get_text(c, "controller"));
	rows_add(rows, "%s", get_text(c, "model"));
	rows_add(rows, "%s", get_text(c, "serial"));
	add_number(rows, c, "disks");
	add_state(rows, c);
	add_number(rows, c, "celsius");
	add_number(rows, c, "used_percent");
	add_number(rows, c, "spare_percent");
	add_number(rows, c, "media_errors");
	add_number(rows, c, "resets");
}

enum status cmd_controllers(struct context *ctx)
{
	static const char *const heads[] = { "CONTROLLER",   "MODEL",	"SERIAL", "DISKS",
					     "HEALTH",	     "CELSIUS", "USED %", "SPARE %",
					     "MEDIA ERRORS", "RESETS" };
	static const struct table table = { "controller.list", "controllers", heads,
					    sizeof(heads) / sizeof(heads[0]), controller_row };

	return print_table(ctx, &table);
}
