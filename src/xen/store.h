/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store - xenstore: libxenstore with -errno, formatted paths, and transactions that are repeated.
 *
 * Writing a node makes it, and all above it, if it is not there; so what belongs to a directory
 * that the toolstack may remove at any time is written in a transaction that looks first: see
 * store_transact().
 *
 * Values come back as strings of the caller's to free; what a guest wrote can hold anything.
 *
 * Thread: control.
 */
#ifndef XENBLKD_STORE_H
#define XENBLKD_STORE_H

#include <stdint.h>
#include <xenstore.h>

#include "store_cache.h"

struct store {
	struct xs_handle *xs;
	uint32_t domid; /* our own */
	char *root; /* our own directory, "/local/domain/0" */
	struct store_cache *cache; /* asked first, outside transactions; or NULL */
};

#define STORE_PATH_MAX 256

/* store_open - connects, and learns who we are. Return: 0 or -errno. */
int store_open(struct store *s);
void store_close(struct store *s);

/**
 * store_read - the value of a node
 *
 * @t: a transaction, or XBT_NULL
 *
 * Return: a string to free, or NULL and errno (ENOENT: no such node).
 */
char *store_read(struct store *s, xs_transaction_t t, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * store_directory - the names of what is in a directory
 *
 * Return: @nr strings, in one piece to free; or NULL and errno (ENOENT: no such node).
 */
char **store_directory(struct store *s, const char *path, unsigned int *nr);

/**
 * store_read_u32 - the value of a node that holds one decimal number and nothing else
 *
 * Return: 0 and *@out; -ENOENT; -EINVAL if it is no number or a larger one.
 */
int store_read_u32(struct store *s, xs_transaction_t t, uint32_t *out, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* store_write - writes @value to @dir/@node. Return: 0 or -errno. */
int store_write(struct store *s, xs_transaction_t t, const char *dir, const char *node,
		const char *value);

/* store_remove - removes @dir/@node and all below; none there is well. Return: 0 or -errno. */
int store_remove(struct store *s, xs_transaction_t t, const char *dir, const char *node);

/**
 * store_transact - runs @fn in a transaction, again for as long as others come in between
 *
 * @fn: returns 0 to commit, or -errno to abort
 *
 * Return: 0, -errno of @fn or of the store; -EAGAIN after too many tries.
 */
int store_transact(struct store *s, int (*fn)(struct store *s, xs_transaction_t t, void *arg),
		   void *arg);

#endif
