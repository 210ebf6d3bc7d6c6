/* SPDX-License-Identifier: BSD-2-Clause */
#include "store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Others come in between seldom; a guest that writes without end must not hold us here. */
#define TRANSACTION_TRIES 64

int store_open(struct store *s)
{
	struct store made = { 0 };
	int err;

	made.xs = xs_open(0);
	if (!made.xs)
		return errno ? -errno : -ECONNREFUSED;
	err = store_read_u32(&made, XBT_NULL, &made.domid, "domid");
	/* Domain 0's own node is written late by some toolstacks; nobody else lacks it. */
	if (err == -ENOENT)
		made.domid = 0;
	else if (err)
		goto fail;
	made.root = xs_get_domain_path(made.xs, made.domid);
	if (!made.root) {
		err = -errno;
		goto fail;
	}
	*s = made;
	return 0;
fail:
	xs_close(made.xs);
	return err;
}

void store_close(struct store *s)
{
	free(s->root);
	xs_close(s->xs);
}

/* Return: whether the cache knew it: then *@bytes may be NULL, and errno is set. */
static bool is_known(struct store *s, enum store_what what, const char *path, const char **bytes,
		     unsigned int *len)
{
	if (!s->cache || s->cache->learns || !store_cache_find(s->cache, what, path, bytes, len))
		return false;
	if (!*bytes)
		errno = ENOENT;
	return true;
}

static void learn(struct store *s, enum store_what what, const char *path, const char *bytes,
		  unsigned int len)
{
	int err = errno;

	if (!s->cache || !s->cache->learns)
		return;
	if (bytes || err == ENOENT)
		store_cache_put(s->cache, what, path, bytes, len);
	else
		store_cache_forget(s->cache, path, false);
	errno = err;
}

static char *store_vread(struct store *s, xs_transaction_t t, const char *fmt, va_list ap)
{
	char path[STORE_PATH_MAX], *value;
	int n = vsnprintf(path, sizeof(path), fmt, ap);
	const char *known;
	unsigned int len;

	if (n < 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	if (t != XBT_NULL)
		return xs_read(s->xs, t, path, &len);
	if (is_known(s, STORE_VALUE, path, &known, &len))
		return known ? strdup(known) : NULL;
	value = xs_read(s->xs, t, path, &len);
	/* With its end, which libxenstore puts there. */
	learn(s, STORE_VALUE, path, value, value ? len + 1 : 0);
	return value;
}

char *store_read(struct store *s, xs_transaction_t t, const char *fmt, ...)
{
	va_list ap;
	char *value;

	va_start(ap, fmt);
	value = store_vread(s, t, fmt, ap);
	va_end(ap);
	return value;
}

/* As xs_directory() gives them, of @len bytes of names with their ends. */
static char **split(const char *names, unsigned int len, unsigned int *nr)
{
	char **out, *text;

	*nr = 0;
	for (unsigned int i = 0; i < len; i++)
		*nr += !names[i];
	out = malloc((*nr + 1) * sizeof(*out) + len);
	if (!out)
		return NULL;
	text = (char *)(out + *nr + 1);
	memcpy(text, names, len);
	for (unsigned int i = 0; i < *nr; i++) {
		out[i] = text;
		text += strlen(text) + 1;
	}
	out[*nr] = NULL;
	return out;
}

char **store_directory(struct store *s, const char *path, unsigned int *nr)
{
	const char *known;
	unsigned int len = 0;
	char **names;

	*nr = 0;
	if (is_known(s, STORE_NAMES, path, &known, &len))
		return known ? split(known, len, nr) : NULL;
	names = xs_directory(s->xs, XBT_NULL, path, nr);
	/* They stand one after the other. */
	if (names && *nr)
		len = (unsigned int)(names[*nr - 1] + strlen(names[*nr - 1]) + 1 - names[0]);
	learn(s, STORE_NAMES, path, !names ? NULL : *nr ? names[0] : "", len);
	return names;
}

static bool parse_u32(const char *text, uint32_t *out)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (uint64_t)(*text - '0');
		if (n > UINT32_MAX)
			return false;
	}
	*out = (uint32_t)n;
	return true;
}

int store_read_u32(struct store *s, xs_transaction_t t, uint32_t *out, const char *fmt, ...)
{
	va_list ap;
	char *value;
	bool good;

	va_start(ap, fmt);
	value = store_vread(s, t, fmt, ap);
	va_end(ap);
	if (!value)
		return -errno;
	good = parse_u32(value, out);
	free(value);
	return good ? 0 : -EINVAL;
}

static int node_path(char *path, size_t size, const char *dir, const char *node)
{
	int n = snprintf(path, size, "%s/%s", dir, node);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int store_write(struct store *s, xs_transaction_t t, const char *dir, const char *node,
		const char *value)
{
	char path[STORE_PATH_MAX];
	int err = node_path(path, sizeof(path), dir, node);

	if (err)
		return err;
	return xs_write(s->xs, t, path, value, (unsigned int)strlen(value)) ? 0 : -errno;
}

int store_remove(struct store *s, xs_transaction_t t, const char *dir, const char *node)
{
	char path[STORE_PATH_MAX];
	int err = node_path(path, sizeof(path), dir, node);

	if (err)
		return err;
	return xs_rm(s->xs, t, path) || errno == ENOENT ? 0 : -errno;
}

int store_transact(struct store *s, int (*fn)(struct store *s, xs_transaction_t t, void *arg),
		   void *arg)
{
	for (int i = 0; i < TRANSACTION_TRIES; i++) {
		xs_transaction_t t = xs_transaction_start(s->xs);
		int err;

		if (t == XBT_NULL) {
			if (errno == EAGAIN)
				continue;
			return -errno;
		}
		err = fn(s, t, arg);
		if (xs_transaction_end(s->xs, t, err != 0))
			return err;
		if (errno != EAGAIN)
			return -errno;
	}
	return -EAGAIN;
}
