/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * front - a blkif frontend in user space: a guest's side of a disk, for tests and measurements.
 *
 * It speaks to any backend, in the same domain or another one, and uses gntalloc, the event channel
 * device and xenstore alone. A disk is made by front_device, connected here, used through its
 * queues (front_queue) with data in granted pages (front_pages), closed and connected again:
 *
 *	front_device_create(&store, &device_args, &device, &e);
 *	front_open(&f, &store, &device);
 *	front_connect(&f, &wishes, &e);
 *	... front_queue_put(), front_queue_push(), front_queue_poll() on f.queues[i] ...
 *	front_close(&f, &e);        (or front_abandon(), as a guest that crashes)
 *	front_fini(&f);
 *	front_device_remove(&store, &device, 10000, &e);
 *
 * Source: <xen/io/blkif.h>; states as Linux' xen-blkfront goes through them.
 *
 * Thread: one, that of the store; the queues may be given to others while connected.
 */
#ifndef XENBLKD_FRONT_H
#define XENBLKD_FRONT_H

#include <stdbool.h>
#include <stdint.h>
#include <xengnttab.h>

#include "error.h"
#include "front_device.h"
#include "front_queue.h"
#include "store.h"

#define FRONT_MAX_QUEUES     64u
#define FRONT_MAX_RING_ORDER 8u
#define FRONT_MAX_DIRECT     11u /* segments without an indirect page */
#define FRONT_MAX_INDIRECT   (8u * FRONT_SEGMENTS_PER_PAGE)

/* What the backend says of itself and of the disk. */
struct front_offer {
	/* Read before connecting. */
	uint32_t max_ring_order;
	uint32_t max_queues;
	uint32_t max_indirect_segments; /* 0: no indirect requests */
	bool persistent;
	/* Read when connected. */
	uint64_t sectors; /* of 512 bytes */
	uint32_t sector_size, physical_sector_size; /* bytes */
	uint32_t info; /* VDISK_* */
	bool flush, barrier, discard, discard_secure;
	uint32_t discard_granularity, discard_alignment; /* bytes */
};

/* What is wished for, bounded by what is offered. */
struct front_wishes {
	enum front_abi abi;
	uint32_t ring_order; /* the ring has 1 << ring_order pages */
	uint32_t nr_queues;
	bool persistent;
	bool exact; /* not bounded: to offend a backend, or to insist */
	bool skip_initialised; /* straight to state 4, as firmware does */
	uint32_t timeout_ms; /* for each step of the backend's */
	const struct front_node *spoilt; /* what these nodes are to say instead of the truth */
	uint32_t nr_spoilt;
};

struct front {
	struct store *store;
	struct front_device device;
	xengntshr_handle *gntshr;
	struct front_offer offer;
	uint32_t ring_order, nr_queues; /* what it came to; nr_queues 0: not connected */
	uint32_t timeout_ms;
	struct front_queue queues[FRONT_MAX_QUEUES];
};

/* front_open - Return: 0 or -errno: gntalloc cannot be opened. @store stays the caller's. */
int front_open(struct front *f, struct store *store, const struct front_device *device);
void front_fini(struct front *f);

/**
 * front_connect - negotiates and comes to state 4 on both sides
 *
 * Also after front_close(), after front_abandon(), or for a disk that another process left at any
 * state: what is not at state 1 begins anew there.
 *
 * Return: 0; -ETIMEDOUT; -ECONNREFUSED if the backend closes; -errno. *@e says why, in the
 * backend's words where it has some. Nothing stays allocated then.
 */
int front_connect(struct front *f, const struct front_wishes *wishes, struct error *e);

/**
 * front_close - closes in order: state 5, wait, state 6, wait; then takes the grants back
 *
 * Return: 0; -ETIMEDOUT if the backend does not follow. All is freed in any case.
 */
int front_close(struct front *f, struct error *e);

/* front_abandon - frees all without a word to the backend: what is left when a guest dies. */
void front_abandon(struct front *f);

/* front_backend_state - XenbusState* as it stands now. */
static inline uint32_t front_backend_state(struct front *f)
{
	return front_device_state(f->store, f->device.backend);
}

#endif
