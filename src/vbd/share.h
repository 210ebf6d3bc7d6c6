/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * share - what one guest holds of what all guests of a reactor share: pages for data, and tables.
 *
 * A guest may have at most as much of each as is left for all others: one that asks for all it can
 * get is given half, two such a third each, and with the next one that comes there is always
 * something left, though none of what they hold be ever given back because their devices hang. Who
 * holds nothing may have whatever there is, so that the largest request goes through.
 *
 * A guest counts as one, however many disks and queues it has.
 *
 * Thread: got and put on the control thread; the numbers are the reactor's.
 */
#ifndef XENBLKD_SHARE_H
#define XENBLKD_SHARE_H

#include <stdbool.h>
#include <stdint.h>

struct share {
	struct share *next;
	uint32_t domid;
	uint32_t nr_queues;
	uint32_t pages, tables; /* held */
};

/**
 * share_get - of that guest, for another queue of it
 *
 * @all: a reactor's; NULL at first
 *
 * Return: NULL without memory.
 */
struct share *share_get(struct share **all, uint32_t domid);

/* share_put - the reverse; the last queue of a guest holds nothing. */
void share_put(struct share **all, struct share *s);

/* share_allows - whether who holds @held may have @more of @left, which is enough for that. */
static inline bool share_allows(uint32_t held, uint32_t more, uint32_t left)
{
	return !held || held + more <= left - more;
}

#endif
