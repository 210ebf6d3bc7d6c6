/* SPDX-License-Identifier: BSD-2-Clause */
#include "tree.h"

#include <stdlib.h>
#include <string.h>

static uint64_t generations;

/* Out of memory is the end of a simulator. */
static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

static void *copy_of(const void *from, size_t bytes)
{
	void *to = need(malloc(bytes + 1));

	if (bytes)
		memcpy(to, from, bytes);
	return to;
}

static struct node *node_create(const char *name, size_t len)
{
	struct node *n = need(calloc(1, sizeof(*n)));

	n->refs = 1;
	n->generation = ++generations;
	n->name = need(strndup(name, len));
	return n;
}

struct node *tree_create(void)
{
	struct node *n = node_create("", 0);

	n->perms[0] = (struct xs_permissions){ .id = 0, .perms = XS_PERM_NONE };
	n->nr_perms = 1;
	return n;
}

struct node *tree_get(struct node *root)
{
	root->refs++;
	return root;
}

void tree_put(struct node *n)
{
	if (--n->refs)
		return;
	for (uint32_t i = 0; i < n->nr_children; i++)
		tree_put(n->children[i]);
	free(n->children);
	free(n->value);
	free(n->name);
	free(n);
}

/* Makes *@slot ours alone. */
static struct node *own(struct node **slot)
{
	struct node *old = *slot, *n;

	if (old->refs == 1)
		return old;
	n = copy_of(old, sizeof(*old));
	n->refs = 1;
	n->name = need(strdup(old->name));
	n->value = copy_of(old->value, old->len);
	n->children = copy_of(old->children, old->nr_children * sizeof(*n->children));
	for (uint32_t i = 0; i < n->nr_children; i++)
		n->children[i]->refs++;
	old->refs--;
	*slot = n;
	return n;
}

static int name_cmp(const char *name, size_t len, const char *other)
{
	int d = strncmp(name, other, len);

	return d ? d : other[len] ? -1 : 0;
}

/* Where a child is, or would have to be. */
static uint32_t child_place(const struct node *n, const char *name, size_t len, bool *found)
{
	uint32_t low = 0, high = n->nr_children;

	*found = false;
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		int d = name_cmp(name, len, n->children[mid]->name);

		if (!d) {
			*found = true;
			return mid;
		}
		if (d < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static const struct node *walk(const struct node *n, const char *path, bool nearest)
{
	bool found;

	while (*(path += strspn(path, "/"))) {
		size_t len = strcspn(path, "/");
		uint32_t i = child_place(n, path, len, &found);

		if (!found)
			return nearest ? n : NULL;
		n = n->children[i];
		path += len;
	}
	return n;
}

const struct node *tree_find(const struct node *root, const char *path)
{
	return walk(root, path, false);
}

const struct node *tree_nearest(const struct node *root, const char *path)
{
	return walk(root, path, true);
}

static void child_insert(struct node *n, uint32_t i, struct node *child)
{
	n->children = need(realloc(n->children, (n->nr_children + 1) * sizeof(*n->children)));
	memmove(n->children + i + 1, n->children + i, (n->nr_children - i) * sizeof(*n->children));
	n->children[i] = child;
	n->nr_children++;
	n->generation = ++generations;
}

struct node *tree_make(struct node **root, const char *path, uint32_t domid)
{
	struct node *n = own(root), *child;
	bool found;

	while (*(path += strspn(path, "/"))) {
		size_t len = strcspn(path, "/");
		uint32_t i = child_place(n, path, len, &found);

		if (!found) {
			child = node_create(path, len);
			memcpy(child->perms, n->perms, sizeof(n->perms));
			child->nr_perms = n->nr_perms;
			if (domid)
				child->perms[0].id = domid;
			child_insert(n, i, child);
		}
		n = own(&n->children[i]);
		path += len;
	}
	return n;
}

void tree_set_value(struct node *n, const void *value, uint32_t len)
{
	void *old = n->value;

	n->value = copy_of(value, len);
	n->len = len;
	n->generation = ++generations;
	free(old);
}

void tree_set_perms(struct node *n, const struct xs_permissions *perms, uint32_t nr)
{
	memcpy(n->perms, perms, nr * sizeof(*perms));
	n->nr_perms = nr;
	n->generation = ++generations;
}

void tree_remove(struct node **root, const char *path)
{
	struct node *n = own(root);
	bool found;

	for (;;) {
		size_t len = strcspn(path += strspn(path, "/"), "/");
		uint32_t i = child_place(n, path, len, &found);

		path += len;
		if (!found)
			return;
		if (path[strspn(path, "/")]) {
			n = own(&n->children[i]);
			continue;
		}
		tree_put(n->children[i]);
		n->nr_children--;
		memmove(n->children + i, n->children + i + 1,
			(n->nr_children - i) * sizeof(*n->children));
		n->generation = ++generations;
		return;
	}
}

uint32_t tree_owned(const struct node *root, uint32_t domid)
{
	uint32_t nr = root->perms[0].id == domid;

	for (uint32_t i = 0; i < root->nr_children; i++)
		nr += tree_owned(root->children[i], domid);
	return nr;
}

unsigned int node_allows(const struct node *n, uint32_t domid)
{
	if (!domid || n->perms[0].id == domid)
		return XS_PERM_READ | XS_PERM_WRITE | XS_PERM_OWNER;
	for (uint32_t i = 1; i < n->nr_perms; i++) {
		if (n->perms[i].id == domid)
			return n->perms[i].perms;
	}
	return n->perms[0].perms;
}

size_t node_bytes(const struct node *n)
{
	size_t bytes = n->len + n->nr_perms * sizeof(n->perms[0]);

	for (uint32_t i = 0; i < n->nr_children; i++)
		bytes += strlen(n->children[i]->name) + 1;
	return bytes;
}
