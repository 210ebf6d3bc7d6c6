/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of the tree, and transactions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

/* Whether @domid may do it. Return: 0, or -errno as Xen's would say. */
static int check_access(const struct node *root, const char *path, uint32_t domid,
			unsigned int want)
{
	const struct node *n = tree_find(root, path);

	if (n)
		return node_allows(n, domid) & want ? 0 : -EACCES;
	/* Who may not look there is not told that nothing is. */
	return node_allows(tree_nearest(root, path), domid) & want ? -ENOENT : -EACCES;
}

static int make(struct node **root, uint32_t domid, const char *path, struct node **out)
{
	int err = check_access(*root, path, domid, XS_PERM_WRITE);

	if (err && err != -ENOENT)
		return err;
	if (err && domid && tree_owned(*root, domid) >= STORE_MAX_NODES)
		return -ENOSPC;
	*out = tree_make(root, path, domid);
	return 0;
}

static int apply_write(struct node **root, uint32_t domid, const struct change *ch)
{
	struct node *n;
	int err;

	if (domid && ch->len > STORE_MAX_NODE_BYTES - sizeof(n->perms[0]))
		return -ENOSPC;
	err = make(root, domid, ch->path, &n);
	if (!err)
		tree_set_value(n, ch->data, ch->len);
	return err;
}

static int apply_rm(struct store *st, struct node **root, uint32_t domid, bool fire,
		    const struct change *ch)
{
	const struct node *n = tree_find(*root, ch->path);
	int err = check_access(*root, ch->path, domid, XS_PERM_WRITE);

	if (!strcmp(ch->path, "/"))
		return -EINVAL;
	if (err == -ENOENT) {
		char *parent = strdup(ch->path);

		/* It is well if it is not there; but what it would be in has to be. */
		*strrchr(parent, '/') = '\0';
		err = tree_find(*root, parent) ? 0 : -ENOENT;
		free(parent);
		return err;
	}
	if (err)
		return err;
	if (fire)
		watch_fire_removed(st, ch->path, n);
	tree_remove(root, ch->path);
	return 0;
}

static int apply_perms(struct node **root, uint32_t domid, const struct change *ch)
{
	const struct xs_permissions *perms = ch->data;
	int err = check_access(*root, ch->path, domid, XS_PERM_OWNER);
	struct node *n;

	if (err)
		return err;
	n = tree_make(root, ch->path, domid);
	if (domid && perms[0].id != n->perms[0].id)
		return -EPERM;
	tree_set_perms(n, perms, ch->len / (uint32_t)sizeof(*perms));
	return 0;
}

int change_apply(struct store *st, uint32_t domid, struct node **root, bool fire,
		 const struct change *ch)
{
	struct node *n;
	int err;

	switch (ch->type) {
	case XS_WRITE:
		err = apply_write(root, domid, ch);
		break;
	case XS_MKDIR:
		if (tree_find(*root, ch->path))
			return check_access(*root, ch->path, domid, XS_PERM_WRITE);
		err = make(root, domid, ch->path, &n);
		break;
	case XS_SET_PERMS:
		err = apply_perms(root, domid, ch);
		break;
	default:
		return apply_rm(st, root, domid, fire, ch);
	}
	if (!err && fire)
		watch_fire(st, ch->path, tree_find(*root, ch->path));
	return err;
}

struct transaction *transaction_find(struct conn *c, uint32_t id)
{
	struct transaction *t = c->transactions;

	while (t && t->id != id)
		t = t->next;
	return t;
}

int transaction_start(struct store *st, struct conn *c)
{
	struct transaction *t;
	uint32_t nr = 0;

	for (t = c->transactions; t; t = t->next)
		nr++;
	if (c->domid && nr >= STORE_MAX_TRANSACTIONS)
		return -ENOSPC;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->id = ++c->last_transaction;
	t->base = tree_get(st->root);
	t->root = tree_get(st->root);
	t->last = &t->changes;
	t->next = c->transactions;
	c->transactions = t;
	return (int)t->id;
}

void transaction_saw(struct transaction *t, const char *path)
{
	struct access *a;

	for (a = t->accesses; a; a = a->next) {
		if (!strcmp(a->path, path))
			return;
	}
	a = malloc(sizeof(*a) + strlen(path) + 1);
	if (!a)
		abort();
	strcpy(a->path, path);
	a->next = t->accesses;
	t->accesses = a;
}

void transaction_add(struct transaction *t, const struct change *ch)
{
	struct change *copy = malloc(sizeof(*copy));

	if (!copy)
		abort();
	*copy = *ch;
	copy->next = NULL;
	*t->last = copy;
	t->last = &copy->next;
}

static uint64_t generation(const struct node *root, const char *path)
{
	const struct node *n = tree_find(root, path);

	return n ? n->generation : 0;
}

static bool has_conflict(const struct store *st, const struct transaction *t)
{
	if (st->root == t->base)
		return false;
	for (const struct access *a = t->accesses; a; a = a->next) {
		if (generation(st->root, a->path) != generation(t->base, a->path))
			return true;
	}
	return false;
}

static void transaction_free(struct transaction *t)
{
	struct change *ch;
	struct access *a;

	while ((ch = t->changes)) {
		t->changes = ch->next;
		free(ch->path);
		free(ch->data);
		free(ch);
	}
	while ((a = t->accesses)) {
		t->accesses = a->next;
		free(a);
	}
	tree_put(t->base);
	tree_put(t->root);
	free(t);
}

int transaction_end(struct store *st, struct conn *c, uint32_t id, bool commit)
{
	struct transaction **at = &c->transactions, *t;
	int err = 0;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	t = *at;
	if (!t)
		return -ENOENT;
	*at = t->next;
	if (commit && (sim_fault(&sim()->controls.store_again) || has_conflict(st, t)))
		err = -EAGAIN;
	if (commit && !err) {
		for (struct change *ch = t->changes; ch; ch = ch->next)
			change_apply(st, c->domid, &st->root, true, ch);
	}
	transaction_free(t);
	return err;
}
