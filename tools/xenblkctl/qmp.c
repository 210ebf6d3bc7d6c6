/* SPDX-License-Identifier: BSD-2-Clause */
#include "qmp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "members.h"

static void put(struct json_object *to, const char *name, struct json_object *value)
{
	json_object_object_add(to, name, value);
}

struct json_object *qmp_greeting(void)
{
	static const char text[] = "{ \"QMP\": { \"version\": { \"qemu\": { \"micro\": 0, "
				   "\"minor\": 0, \"major\": 0 },"
				   " \"package\": \"none: this is xenblkctl " XENBLKD_VERSION
				   "\" }, \"capabilities\": [] } }";

	return json_tokener_parse(text);
}

/* What a disk did. */
static struct json_object *blockstats(struct json_object *disk)
{
	static const char *const names[][2] = {
		{ "rd_bytes", "bytes_read" },	   { "wr_bytes", "bytes_written" },
		{ "rd_operations", "reads" },	   { "wr_operations", "writes" },
		{ "flush_operations", "flushes" },
	};
	struct json_object *out = json_object_new_object();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put(out, names[i][0],
		    json_object_new_uint64(get_u64(get_member(disk, "stats"), names[i][1])));
	return out;
}

static struct json_object *devid_behind(const char *prefix, struct json_object *disk)
{
	char text[32];

	snprintf(text, sizeof(text), "%s%" PRIu64, prefix, get_u64(disk, "devid"));
	return json_object_new_string(text);
}

/* Its "file" is what libxenstat looks for below the guest's node. */
static struct json_object *inserted(struct json_object *disk)
{
	struct json_object *out = json_object_new_object();

	put(out, "file", devid_behind("/", disk));
	put(out, "ro", json_object_new_boolean(get_bool(disk, "read_only")));
	return out;
}

/* Of each disk its number, which no other has, and one thing more. */
static struct json_object *each(struct json_object *disks, const char *name,
				struct json_object *(*of)(struct json_object *disk))
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < json_object_array_length(disks); i++) {
		struct json_object *disk = json_object_array_get_idx(disks, i);
		struct json_object *one = json_object_new_object();

		put(one, "device", devid_behind("", disk));
		put(one, name, of(disk));
		json_object_array_add(list, one);
	}
	return list;
}

static struct json_object *no_command(const char *name)
{
	struct json_object *error = json_object_new_object();
	char text[96];

	snprintf(text, sizeof(text), "The command %.32s has not been found", name);
	put(error, "class", json_object_new_string("CommandNotFound"));
	put(error, "desc", json_object_new_string(text));
	return error;
}

struct json_object *qmp_answer(struct json_object *command, struct json_object *disks)
{
	struct json_object *answer = json_object_new_object(), *id = get_member(command, "id");
	const char *name = get_text(command, "execute");

	if (!strcmp(name, "qmp_capabilities"))
		put(answer, "return", json_object_new_object());
	else if (!strcmp(name, "query-blockstats"))
		put(answer, "return", each(disks, "stats", blockstats));
	else if (!strcmp(name, "query-block"))
		put(answer, "return", each(disks, "inserted", inserted));
	else
		put(answer, "error", no_command(name));
	if (id)
		put(answer, "id", json_object_get(id));
	return answer;
}
