/* SPDX-License-Identifier: BSD-2-Clause */
#include "store_cache.h"

#include <string.h>

#include "tap.h"

static bool has(const struct store_cache *c, enum store_what what, const char *path,
		const char *value)
{
	unsigned int len = 99;
	const char *bytes;

	return store_cache_find(c, what, path, &bytes, &len) && bytes && !strcmp(bytes, value) &&
	       len == strlen(value) + 1;
}

static bool has_none(const struct store_cache *c, const char *path)
{
	const char *bytes = "";
	unsigned int len;

	return store_cache_find(c, STORE_VALUE, path, &bytes, &len) && !bytes;
}

static bool knows(const struct store_cache *c, enum store_what what, const char *path)
{
	const char *bytes;
	unsigned int len;

	return store_cache_find(c, what, path, &bytes, &len);
}

static void put(struct store_cache *c, const char *path, const char *value)
{
	store_cache_put(c, STORE_VALUE, path, value, (unsigned int)strlen(value) + 1);
}

static void answers_what_was_put(void)
{
	struct store_cache c;

	store_cache_init(&c);
	check(!knows(&c, STORE_VALUE, "/a"));
	put(&c, "/a", "1");
	put(&c, "/a/b", "");
	store_cache_put(&c, STORE_VALUE, "/none", NULL, 0);
	store_cache_put(&c, STORE_NAMES, "/a", "b\0c", 4);
	check(has(&c, STORE_VALUE, "/a", "1"));
	check(has(&c, STORE_VALUE, "/a/b", ""));
	check(has_none(&c, "/none"));
	check(!knows(&c, STORE_NAMES, "/a/b"));
	check(knows(&c, STORE_NAMES, "/a"));
	put(&c, "/a", "2");
	check(has(&c, STORE_VALUE, "/a", "2"));
	store_cache_put(&c, STORE_VALUE, "/a", NULL, 0);
	check(has_none(&c, "/a"));
	store_cache_clear(&c);
	check(!knows(&c, STORE_VALUE, "/a"));
	check(!knows(&c, STORE_NAMES, "/a"));
}

static void forgets_a_directory_and_nothing_beside_it(void)
{
	struct store_cache c;

	store_cache_init(&c);
	put(&c, "/a/1", "x");
	put(&c, "/a/1/state", "x");
	put(&c, "/a/1/queue-0/ring-ref", "x");
	put(&c, "/a/10", "x");
	put(&c, "/a/10/state", "x");
	store_cache_put(&c, STORE_NAMES, "/a", "1\00010", 5);
	store_cache_put(&c, STORE_NAMES, "/a/1", "state", 6);
	store_cache_forget(&c, "/a", false);
	check(!knows(&c, STORE_NAMES, "/a"));
	check(knows(&c, STORE_VALUE, "/a/1"));
	store_cache_forget(&c, "/a/1", true);
	check(!knows(&c, STORE_VALUE, "/a/1"));
	check(!knows(&c, STORE_VALUE, "/a/1/state"));
	check(!knows(&c, STORE_VALUE, "/a/1/queue-0/ring-ref"));
	check(!knows(&c, STORE_NAMES, "/a/1"));
	/* Its name begins with the other's. */
	check(knows(&c, STORE_VALUE, "/a/10"));
	check(knows(&c, STORE_VALUE, "/a/10/state"));
	store_cache_clear(&c);
}

int main(void)
{
	tap_run(answers_what_was_put);
	tap_run(forgets_a_directory_and_nothing_beside_it);
	return tap_end();
}
