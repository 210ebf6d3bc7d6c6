/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list - a doubly linked list whose links live in the listed objects.
 *
 * A list is a struct list; an object takes part through a struct list_node of its own. A node that
 * is in no list points to itself, so list_del() may be called twice and list_linked() tells.
 *
 * Thread: none of its own; whoever owns the list.
 */
#ifndef XENBLKD_LIST_H
#define XENBLKD_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
	struct list_node *prev, *next;
};

struct list {
	struct list_node head;
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void list_node_init(struct list_node *n)
{
	n->prev = n->next = n;
}

static inline void list_init(struct list *l)
{
	list_node_init(&l->head);
}

static inline bool list_empty(const struct list *l)
{
	return l->head.next == &l->head;
}

static inline bool list_linked(const struct list_node *n)
{
	return n->next != n;
}

static inline void list_add_tail(struct list *l, struct list_node *n)
{
	n->prev = l->head.prev;
	n->next = &l->head;
	n->prev->next = n;
	l->head.prev = n;
}

static inline void list_add_head(struct list *l, struct list_node *n)
{
	n->next = l->head.next;
	n->prev = &l->head;
	n->next->prev = n;
	l->head.next = n;
}

static inline void list_del(struct list_node *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_node_init(n);
}

/* list_pop - takes the first node out. Return: the node, or NULL if @l is empty. */
static inline struct list_node *list_pop(struct list *l)
{
	struct list_node *n = l->head.next;

	if (n == &l->head)
		return NULL;
	list_del(n);
	return n;
}

#define list_entry(node, type, member) container_of(node, type, member)

/* The node of @pos, which behind the last one is no object, and may not be looked into as one. */
#define list_node_of(pos, member) \
	((struct list_node *)((char *)(pos) + offsetof(__typeof__(*(pos)), member)))

#define list_for_each(pos, l, member)                                    \
	for (pos = list_entry((l)->head.next, __typeof__(*pos), member); \
	     list_node_of(pos, member) != &(l)->head;                    \
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))

/* As list_for_each; the body may take @pos (and only @pos) out of the list. */
#define list_for_each_safe(pos, tmp, l, member)                           \
	for (pos = list_entry((l)->head.next, __typeof__(*pos), member),  \
	    tmp = list_entry(pos->member.next, __typeof__(*pos), member); \
	     list_node_of(pos, member) != &(l)->head;                     \
	     pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*pos), member))

#endif
