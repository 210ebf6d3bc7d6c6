/* SPDX-License-Identifier: BSD-2-Clause */
#include "store_cache.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct answer {
	struct list_node link;
	enum store_what what;
	unsigned int len;
	char *bytes; /* NULL: there is no such node */
	char path[];
};

void store_cache_init(struct store_cache *c)
{
	c->learns = false;
	for (uint32_t i = 0; i < STORE_CACHE_BUCKETS; i++)
		list_init(&c->buckets[i]);
}

void store_cache_learn(struct store_cache *c, bool learns)
{
	c->learns = learns;
}

/* FNV-1a */
static struct list *bucket_of(const struct store_cache *c, const char *path)
{
	uint32_t hash = 2166136261u;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 16777619u;
	return (struct list *)&c->buckets[hash % STORE_CACHE_BUCKETS];
}

static struct answer *find(const struct store_cache *c, enum store_what what, const char *path)
{
	struct answer *a;

	list_for_each (a, bucket_of(c, path), link) {
		if (a->what == what && !strcmp(a->path, path))
			return a;
	}
	return NULL;
}

void store_cache_put(struct store_cache *c, enum store_what what, const char *path,
		     const char *bytes, unsigned int len)
{
	size_t path_size = strlen(path) + 1;
	struct answer *a = find(c, what, path);

	if (a) {
		list_del(&a->link);
		free(a);
	}
	a = malloc(sizeof(*a) + path_size + len);
	if (!a)
		return;
	*a = (struct answer){ .what = what, .len = len };
	memcpy(a->path, path, path_size);
	if (bytes)
		a->bytes = memcpy(a->path + path_size, bytes, len);
	list_add_tail(bucket_of(c, path), &a->link);
}

bool store_cache_find(const struct store_cache *c, enum store_what what, const char *path,
		      const char **bytes, unsigned int *len)
{
	const struct answer *a = find(c, what, path);

	if (!a)
		return false;
	*bytes = a->bytes;
	*len = a->len;
	return true;
}

static bool is_at(const struct answer *a, const char *path, size_t len, bool below)
{
	return !strncmp(a->path, path, len) && (!a->path[len] || (below && a->path[len] == '/'));
}

static void forget(struct list *answers, const char *path, bool below)
{
	size_t len = strlen(path);
	struct answer *a, *tmp;

	list_for_each_safe (a, tmp, answers, link) {
		if (!is_at(a, path, len, below))
			continue;
		list_del(&a->link);
		free(a);
	}
}

void store_cache_forget(struct store_cache *c, const char *path, bool below)
{
	if (!below) {
		forget(bucket_of(c, path), path, false);
		return;
	}
	for (uint32_t i = 0; i < STORE_CACHE_BUCKETS; i++)
		forget(&c->buckets[i], path, true);
}

void store_cache_clear(struct store_cache *c)
{
	struct answer *a, *tmp;

	for (uint32_t i = 0; i < STORE_CACHE_BUCKETS; i++) {
		list_for_each_safe (a, tmp, &c->buckets[i], link) {
			list_del(&a->link);
			free(a);
		}
	}
}
