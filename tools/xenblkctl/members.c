/* SPDX-License-Identifier: BSD-2-Clause */
#include "members.h"

#include <stdio.h>

struct json_object *get_member(struct json_object *from, const char *name)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(from, name, &value);
	return value;
}

uint64_t get_u64(struct json_object *from, const char *name)
{
	return json_object_get_uint64(get_member(from, name));
}

const char *get_text(struct json_object *from, const char *name)
{
	struct json_object *value = get_member(from, name);

	return value ? json_object_get_string(value) : "";
}

bool get_bool(struct json_object *from, const char *name)
{
	return json_object_get_boolean(get_member(from, name));
}

void print_json(struct json_object *what)
{
	puts(json_object_to_json_string_ext(what, JSON_C_TO_STRING_PRETTY |
							  JSON_C_TO_STRING_SPACED |
							  JSON_C_TO_STRING_NOSLASHESCAPE));
}
