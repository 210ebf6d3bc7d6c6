/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_cache - answers of xenstore that were asked for beforehand.
 *
 * It learns what is read while it is told to, and answers afterwards, as it was then: whoever has it
 * watches what it holds, and has it forget what changes. Also that there is no such node is an answer.
 *
 * Thread: control.
 */
#ifndef XENBLKD_STORE_CACHE_H
#define XENBLKD_STORE_CACHE_H

#include <stdbool.h>

#include "list.h"

#define STORE_CACHE_BUCKETS 256

enum store_what {
	STORE_VALUE, /* of a node */
	STORE_NAMES, /* of what is below it: each with its end, one after the other */
};

struct store_cache {
	struct list buckets[STORE_CACHE_BUCKETS]; /* struct answer */
	bool learns; /* and does not answer */
};

void store_cache_init(struct store_cache *c);

/* store_cache_learn - what is read from here on; or else it answers */
void store_cache_learn(struct store_cache *c, bool learns);

/**
 * store_cache_put - an answer, in the place of an earlier one
 *
 * Without memory it is not kept: it will be asked for.
 *
 * @bytes: @len of them; or NULL: there is no such node
 */
void store_cache_put(struct store_cache *c, enum store_what what, const char *path,
		     const char *bytes, unsigned int len);

/**
 * store_cache_find - an answer that it has
 *
 * @bytes: as it was put; it stays the cache's
 *
 * Return: whether there is one.
 */
bool store_cache_find(const struct store_cache *c, enum store_what what, const char *path,
		      const char **bytes, unsigned int *len);

/* store_cache_forget - of @path, and with @below of all below it */
void store_cache_forget(struct store_cache *c, const char *path, bool below);

/* store_cache_clear - of everything */
void store_cache_clear(struct store_cache *c);

#endif
