/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inherit - what a queue goes on with whose daemon was killed.
 *
 * leftover_release() puts the killed daemon's record of each queue aside. When its disk is connected
 * again, the same ring is served on from there: what was in flight is taken as it was written
 * down, not from the ring, where responses are written over requests. A frontend that has made its
 * rings anew in the meantime has no use for that.
 *
 * Thread: control.
 */
#ifndef XENBLKD_INHERIT_H
#define XENBLKD_INHERIT_H

#include "error.h"
#include "queue.h"
#include "record.h"

struct inherit {
	struct record record;
	struct queue_inherited inherited;
};

/**
 * inherit_ring - attaches @ring, and finds what was in flight on it
 *
 * @name:   of the queue's record in @dir
 * @shared: the ring's pages
 * @abi, @id: how the frontend describes it now
 * @out:    on success; inherited.record is NULL if it was not served by a daemon that was killed
 *
 * Return: 0; or -errno and *@e: it was, but what is written down cannot be true.
 */
int inherit_ring(const char *dir, const char *name, const struct abi *abi, void *shared,
		 const struct queue_identity *id, struct ring *ring, struct inherit *out,
		 struct error *e);

/* inherit_end - the record stays: see aside_forget(). */
void inherit_end(struct inherit *in);

#endif
