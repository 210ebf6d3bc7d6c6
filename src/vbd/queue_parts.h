/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue_parts - what the three files of a queue have in common: nobody else's.
 *
 *   queue_take.c   off the ring: validated, within its guest's share and its limits, begun
 *   queue.c        to the bdev and back, answered
 *   queue_life.c   made, bound, started, moved, stopped, freed
 */
#ifndef XENBLKD_QUEUE_PARTS_H
#define XENBLKD_QUEUE_PARTS_H

#include "queue.h"

/* queue_io_done - bdev_io.done of all its ios. Thread: the reactor's. */
void queue_io_done(struct bdev_io *bio, int status);

/* queue_break - says so to the control thread, once; the queue takes nothing more. Thread: the reactor's. */
void queue_break(struct queue *q);

/* queue_release - of its bdev and its port. Thread: the reactor's. */
void queue_release(struct queue *q);

/* A guest that has seen the flush fail on one queue may write on another. */
static inline bool queue_flush_failed(const struct queue *q)
{
	return __atomic_load_n(q->flush_failed, __ATOMIC_ACQUIRE);
}

/* queue_hold - @io has so many pages of its guest's share, of which it gives back none before it is freed. */
static inline void queue_hold(struct queue *q, struct io *io, uint32_t pages)
{
	q->share->pages += pages - io->held_pages;
	io->held_pages = pages;
}

#endif
