/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

static void send_event(struct conn *c, const struct watch *w, const char *path)
{
	struct xsd_sockmsg head = { .type = XS_WATCH_EVENT };
	char data[XENSTORE_PAYLOAD_MAX], base[32];
	size_t n = (size_t)snprintf(base, sizeof(base), "/local/domain/%u/", c->domid);

	/* A relative watch is answered in kind. */
	if (w->relative && !strncmp(path, base, n))
		path += n;
	n = strlen(path) + 1;
	if (n + strlen(w->token) + 1 > sizeof(data))
		return;
	strcpy(data, path);
	strcpy(data + n, w->token);
	head.len = (uint32_t)(n + strlen(w->token) + 1);
	conn_send(c, &head, data);
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	if (!strcmp(top, "/"))
		return path[0] == '/';
	return !strncmp(path, top, n) && (!path[n] || path[n] == '/');
}

static void fire(struct store *st, const char *path, const struct node *n, bool exact)
{
	for (struct conn *c = st->conns; c; c = c->next) {
		if (c->dead || (c->domid && (!n || !(node_allows(n, c->domid) & XS_PERM_READ))))
			continue;
		for (struct watch *w = c->watches; w; w = w->next) {
			if (exact ? !strcmp(path, w->path) : is_below(path, w->path))
				send_event(c, w, path);
		}
	}
}

void watch_fire(struct store *st, const char *path, const struct node *n)
{
	fire(st, path, n, false);
}

static void fire_below(struct store *st, const char *path, const struct node *n)
{
	for (uint32_t i = 0; i < n->nr_children; i++) {
		char *below;

		if (asprintf(&below, "%s/%s", path, n->children[i]->name) < 0)
			abort();
		fire(st, below, n->children[i], true);
		fire_below(st, below, n->children[i]);
		free(below);
	}
}

void watch_fire_removed(struct store *st, const char *path, const struct node *n)
{
	fire(st, path, n, false);
	fire_below(st, path, n);
}

int watch_add(struct conn *c, const char *path, bool relative, const char *token)
{
	uint32_t nr = 0;
	struct watch *w;

	for (w = c->watches; w; w = w->next) {
		if (!strcmp(w->path, path) && !strcmp(w->token, token))
			return -EEXIST;
		nr++;
	}
	if (c->domid && nr >= STORE_MAX_WATCHES)
		return -E2BIG;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->path = strdup(path);
	w->token = strdup(token);
	w->relative = relative;
	w->next = c->watches;
	c->watches = w;
	return 0;
}

static void watch_free(struct watch *w)
{
	free(w->path);
	free(w->token);
	free(w);
}

int watch_del(struct conn *c, const char *path, const char *token)
{
	for (struct watch **at = &c->watches; *at; at = &(*at)->next) {
		struct watch *w = *at;

		if (strcmp(w->path, path) || strcmp(w->token, token))
			continue;
		*at = w->next;
		watch_free(w);
		return 0;
	}
	return -ENOENT;
}

static void watches_clear(struct conn *c)
{
	struct watch *w;

	while ((w = c->watches)) {
		c->watches = w->next;
		watch_free(w);
	}
}

void conn_clear(struct conn *c)
{
	watches_clear(c);
	while (c->transactions)
		transaction_end(NULL, c, c->transactions->id, false);
}
