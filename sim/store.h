/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store - a xenstore server: what the wire protocol (xen/io/xs_wire.h) says, on a tree.
 *
 * Who is at the other end is told by the socket: XENSIM_DIR/store.N is domain N's. Domains that come
 * to be and go are noticed on the machine itself (see store_tick()), and @introduceDomain and
 * @releaseDomain fire. Rules are those of Xen's xenstored: permissions, quotas of domains other than
 * 0, transactions that conflict with whatever changed a node that they looked at.
 *
 * Thread: one, for all of it.
 */
#ifndef XENSIM_STORE_H
#define XENSIM_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/io/xs_wire.h>

#include "state.h"
#include "tree.h"

/* Quotas, as Xen's. */
#define STORE_MAX_NODES	       1000u
#define STORE_MAX_NODE_BYTES   2048u
#define STORE_MAX_WATCHES      128u
#define STORE_MAX_TRANSACTIONS 10u

/* Who does not read what is sent is disconnected. */
#define STORE_MAX_OUT_BYTES (1u << 20)

struct watch {
	struct watch *next;
	char *path; /* absolute, or @something */
	char *token;
	bool relative;
};

/* Something to do to the tree: now, and once more when its transaction ends. */
struct change {
	struct change *next;
	uint32_t type; /* XS_WRITE, XS_MKDIR, XS_RM, XS_SET_PERMS */
	char *path;
	void *data; /* the value; perms */
	uint32_t len; /* bytes; of perms */
};

struct access {
	struct access *next;
	char path[];
};

struct transaction {
	struct transaction *next;
	uint32_t id;
	struct node *base, *root; /* as it was found; as it is seen from within */
	struct access *accesses;
	struct change *changes, **last;
};

struct conn {
	struct conn *next;
	int fd;
	uint16_t domid;
	bool dead;
	struct xsd_sockmsg head;
	char in[XENSTORE_PAYLOAD_MAX + 1];
	size_t in_bytes; /* head included */
	char *out;
	size_t out_bytes;
	struct watch *watches;
	struct transaction *transactions;
	uint32_t last_transaction;
};

struct store {
	struct node *root;
	struct conn *conns;
	bool introduced[SIM_DOMAINS];
};

void store_init(struct store *st);
void store_fini(struct store *st);

/* store_request - answers what stands in @c->head and @c->in. */
void store_request(struct store *st, struct conn *c);

/* store_tick - looks for domains that have come or gone. */
void store_tick(struct store *st);

/* conn_send - a message; the connection is dead if there is too much already. */
void conn_send(struct conn *c, const struct xsd_sockmsg *head, const void *data);

/* conn_clear - forgets its watches and transactions. */
void conn_clear(struct conn *c);

/* change_apply - does it to a tree. Return: 0 or -errno. */
int change_apply(struct store *st, uint32_t domid, struct node **root, bool fire,
		 const struct change *ch);

struct transaction *transaction_find(struct conn *c, uint32_t id);
int transaction_start(struct store *st, struct conn *c);
int transaction_end(struct store *st, struct conn *c, uint32_t id, bool commit);

/* transaction_saw - what the transaction did depends on this node. */
void transaction_saw(struct transaction *t, const char *path);

/* transaction_add - a change that was made within it; takes @ch's contents. */
void transaction_add(struct transaction *t, const struct change *ch);

/* watch_fire - @path changes; @n: the node, for what may be told to whom; NULL: told to domain 0. */
void watch_fire(struct store *st, const char *path, const struct node *n);

/* watch_fire_removed - the same for @n, before it goes, and all below it. */
void watch_fire_removed(struct store *st, const char *path, const struct node *n);

int watch_add(struct conn *c, const char *path, bool relative, const char *token);
int watch_del(struct conn *c, const char *path, const char *token);

#endif
