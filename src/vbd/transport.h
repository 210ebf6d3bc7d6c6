/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport - how a frontend wants to talk: its ABI, its rings and their event channels.
 *
 * A disk has one queue or several, each with a ring of one or several pages. With one queue the nodes
 * are in the frontend's directory, with several in queue-0, queue-1 ... below it; some frontends put
 * a single queue into queue-0. A ring of one page is "ring-ref", one of several "ring-ref0" and
 * so on, with their number as "ring-page-order" or, in an older scheme, "num-ring-pages".
 *
 * Source: <xen/io/blkif.h>. Everything read here is the guest's.
 *
 * Thread: control.
 */
#ifndef XENBLKD_TRANSPORT_H
#define XENBLKD_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "abi.h"
#include "error.h"
#include "store.h"

#define TRANSPORT_MAX_QUEUES	 16u
#define TRANSPORT_MAX_RING_ORDER 4u
#define TRANSPORT_MAX_RING_PAGES (1u << TRANSPORT_MAX_RING_ORDER)

struct transport_queue {
	uint32_t ring_refs[TRANSPORT_MAX_RING_PAGES];
	uint32_t event_channel;
};

struct transport {
	const struct abi *abi;
	uint32_t nr_queues; /* 1 to TRANSPORT_MAX_QUEUES */
	uint32_t nr_ring_pages; /* of each queue; a power of two */
	bool persistent; /* the frontend keeps its grants */
	struct transport_queue queues[TRANSPORT_MAX_QUEUES];
};

/**
 * transport_read - what stands in the frontend's directory
 *
 * @max_queues: as offered
 *
 * Return: 0, or -EPROTO and *@e.
 */
int transport_read(struct store *s, const char *frontend, uint32_t max_queues,
		   struct transport *out, struct error *e);

#endif
