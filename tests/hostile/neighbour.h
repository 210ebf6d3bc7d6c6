/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * neighbour - a guest that behaves, on another disk of the same daemon.
 *
 * It writes a page and reads it back, one after the other, and looks at what came back; and it knows
 * how long each request took. It should see nothing of what others do.
 *
 * Thread: its own; these functions are for another.
 */
#ifndef HOSTILE_NEIGHBOUR_H
#define HOSTILE_NEIGHBOUR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "front.h"
#include "histogram.h"

struct neighbour {
	struct store store;
	struct front_device device;
	struct front front;
	struct front_pages page;
	pthread_t thread;
	atomic_bool stop;
	bool given; /* somebody else has made its disk, and removes it */
	uint32_t timeout_ms;

	pthread_mutex_t lock; /* for these: */
	struct histogram window;
	uint64_t done;
	char why[120]; /* what it saw; empty: nothing */
};

/*
 * neighbour_start - makes its disk, or finds that which args->target names, connects it, and begins
 *
 * Return: 0 or -errno and *@e.
 */
int neighbour_start(struct neighbour *n, const struct front_device_args *args,
		    const struct front_wishes *wishes, struct error *e);

/* neighbour_stop - ends, and removes the disk. Return: 0, or -errno and *@e. */
int neighbour_stop(struct neighbour *n, struct error *e);

/* neighbour_window - begins a new one. @out: latencies since the last, or NULL. */
void neighbour_window(struct neighbour *n, struct histogram *out);

/**
 * neighbour_is_well - waits until it has done @nr more requests in this window
 *
 * Return: true; false if it saw something, or does not come to it in time: then *@why says so.
 */
bool neighbour_is_well(struct neighbour *n, uint64_t nr, char *why, size_t size);

#endif
