/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * share - what one guest has of what all guests of a reactor share: pages for data, tables, and its turns.
 *
 * A guest may have at most as much of each as is left for all others: one that asks for all it can
 * get is given half, two such a third each, and with the next one that comes there is always
 * something left, though none of what they hold be ever given back because their devices hang. Who
 * holds nothing may have whatever there is, so that the largest request goes through.
 *
 * Of a turn it may have so many requests: the turn is over then, for all who wait for its responses, and
 * a ring of nonsense takes time too, though it holds nothing. Who is alone may have as many as there are.
 * Of a guest's queues the one for which there was nothing left goes first in the next turn.
 *
 * A guest counts as one, however many disks and queues it has.
 *
 * Thread: got and put on the control thread; the numbers are the reactor's.
 */
#ifndef XENBLKD_SHARE_H
#define XENBLKD_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Requests of one guest that are taken in one turn, if there are others. */
#define SHARE_TURN_REQUESTS 64u

struct share {
	struct share *next; /* atomic: see share_is_alone() */
	uint32_t domid;
	uint32_t nr_queues;
	uint32_t pages, tables; /* held */
	uint32_t turn, taken; /* requests in that turn */
	const void *first,
		*cut; /* queues that go first, in that turn and the next; only compared */
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

/* share_is_alone - whether no other guest has queues here. @all: as for share_get(); it may change meanwhile. */
static inline bool share_is_alone(struct share *const *all, const struct share *s)
{
	return __atomic_load_n(all, __ATOMIC_RELAXED) == s &&
	       !__atomic_load_n(&s->next, __ATOMIC_RELAXED);
}

/**
 * share_of_turn - how many requests may be taken in @turn of those that there are
 *
 * Who takes them counts them in s->taken.
 *
 * @queue: whose, of the guest's
 */
static inline uint32_t share_of_turn(struct share *const *all, struct share *s, uint32_t turn,
				     const void *queue, uint32_t wanted)
{
	if (s->turn != turn) {
		s->first = s->turn + 1 == turn ? s->cut : NULL;
		s->cut = NULL;
		s->turn = turn;
		s->taken = 0;
	}
	if (share_is_alone(all, s))
		return wanted;
	if (s->first && s->first != queue)
		return 0;
	s->first = NULL;
	if (s->taken >= SHARE_TURN_REQUESTS) {
		s->cut = s->cut ? s->cut : queue;
		return 0;
	}
	return wanted < SHARE_TURN_REQUESTS - s->taken ? wanted : SHARE_TURN_REQUESTS - s->taken;
}

#endif
