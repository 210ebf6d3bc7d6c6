/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * members - what an object of JSON has, read without asking first whether it is there.
 */
#ifndef XENBLKCTL_MEMBERS_H
#define XENBLKCTL_MEMBERS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* 0, "", false or NULL where there is none, or @from is no object. */
uint64_t get_u64(struct json_object *from, const char *name);
const char *get_text(struct json_object *from, const char *name);
bool get_bool(struct json_object *from, const char *name);
struct json_object *get_member(struct json_object *from, const char *name);

/* print_json - the whole of it, on standard output. */
void print_json(struct json_object *what);

#endif
