/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tree - the nodes of the store, copied on write.
 *
 * A tree is the pointer to its root. Taking a reference to it is a snapshot, as cheap as that: who
 * changes a node then copies it and those above it. A node's generation changes with its value, its
 * permissions and the names below it, so two snapshots can be compared node by node.
 */
#ifndef XENSIM_TREE_H
#define XENSIM_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xenstore_lib.h>

#define TREE_PERMS_MAX 32u

struct node {
	uint32_t refs;
	uint64_t generation;
	char *name;
	void *value;
	uint32_t len;
	uint32_t nr_perms, nr_children;
	struct xs_permissions perms[TREE_PERMS_MAX];
	struct node **children; /* in order of their names */
};

/* tree_create - a root that domain 0 owns. */
struct node *tree_create(void);
struct node *tree_get(struct node *root);
void tree_put(struct node *root);

/* tree_find - Return: the node of an absolute path, or NULL. */
const struct node *tree_find(const struct node *root, const char *path);

/* tree_nearest - Return: the node, or the nearest one above it that is there. */
const struct node *tree_nearest(const struct node *root, const char *path);

/**
 * tree_make - a node, and all above it, if they are not there
 *
 * A new one has the permissions of the one above it, and is @domid's if that is not domain 0.
 *
 * Return: the node, which may be changed until the next call.
 */
struct node *tree_make(struct node **root, const char *path, uint32_t domid);

/* tree_set_value, tree_set_perms - of what tree_make() returned */
void tree_set_value(struct node *n, const void *value, uint32_t len);
void tree_set_perms(struct node *n, const struct xs_permissions *perms, uint32_t nr);

/* tree_remove - a node that is there, and all below it. */
void tree_remove(struct node **root, const char *path);

/* tree_owned - how many nodes are @domid's. */
uint32_t tree_owned(const struct node *root, uint32_t domid);

/* node_allows - what @domid may do with it: XS_PERM_* */
unsigned int node_allows(const struct node *n, uint32_t domid);

/* node_bytes - its size for the quota. */
size_t node_bytes(const struct node *n);

#endif
