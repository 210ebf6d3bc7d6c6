/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load - what one queue's thread does: keeps requests in flight, and looks at what comes back.
 *
 * A load has a part of the disk to itself. Its pages and what it counted stay from connection to
 * connection; load_connect() gives it the next one.
 *
 * With verification no two requests are in flight whose outcome depends on their order; what a
 * sector must hold then follows from the shadow alone.
 *
 * Thread: load_run() on the thread of the queue; the rest on the main thread while that is not
 * running.
 */
#ifndef BLKLOAD_LOAD_H
#define BLKLOAD_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "front.h"
#include "histogram.h"
#include "load_options.h"
#include "plan.h"
#include "shadow.h"
#include "stamp.h"

enum load_phase {
	LOAD_FILL, /* everything is written once, in order */
	LOAD_MAIN, /* as the options say; this alone is measured */
	LOAD_READBACK, /* what is known to be written is read, in order */
};

struct load_kind_result {
	struct histogram latency; /* of what succeeded */
	uint64_t bytes; /* of what succeeded */
	uint64_t errors, unsupported; /* BLKIF_RSP_EOPNOTSUPP is the second kind */
};

struct load_result {
	struct load_kind_result kinds[OP_NR_KINDS];
	uint64_t failed; /* requests answered with anything but OKAY, in all phases */
	uint64_t protocol_errors; /* responses to nothing, twice, or with another operation */
	uint64_t lost; /* requests that were not answered in time */
	uint64_t checked; /* sectors that were compared with the shadow */
	uint64_t wrong[STAMP_NR_VERDICTS]; /* of these; STAMP_GOOD stays 0 */
	uint64_t touched; /* pages in which something beside the data was changed */
};

struct load_slot {
	struct op op;
	uint64_t id, start_ns;
	bool busy;
	uint32_t number;
	uint16_t nr_segments;
	struct front_segment *segments;
	uint32_t first_page; /* of data; one for each segment */
	struct front_indirect_page indirect[8];
};

struct load {
	const struct load_options *options;
	uint32_t index, nr_queues;
	struct shadow *shadow; /* NULL: nothing is verified */
	struct plan plan;
	struct front_pages pages; /* of all slots: data, then indirect pages */
	uint32_t pages_per_slot, max_segments, nr_indirect;
	struct load_slot *slots;
	uint32_t *free, nr_free; /* slots; the one used last goes first */
	struct extent *extents; /* scratch */
	const atomic_bool *stop; /* set by a signal */

	struct front_queue *queue; /* of this connection */
	uint32_t depth;
	bool abandon; /* the measured phase ends with requests in flight */
	enum load_phase phase;
	uint64_t first_sector, end_sector, cursor;
	struct op held; /* conflicts with one in flight */
	bool holds;
	uint64_t sequence, started_ns, deadline_ns, next_issue_ns, progress_ns;
	uint64_t issue_ns; /* when those that go together were begun */
	uint64_t issued;
	int error; /* why it ended, or 0 */

	uint64_t completed, completed_bytes; /* read by the progress display meanwhile */
	struct load_result result;
};

/**
 * load_create - the load of queue @index of @f on the sectors @first to @first + @nr_sectors - 1
 *
 * @max_segments: that a request may have
 *
 * Return: 0 or -errno, and *@e.
 */
int load_create(struct load *l, const struct load_options *o, struct front *f, uint32_t index,
		uint64_t first, uint64_t nr_sectors, uint32_t max_segments, struct shadow *shadow,
		const atomic_bool *stop, struct error *e);
void load_destroy(struct load *l);

/**
 * load_connect - @q is what it goes by from now on; what was in flight before is forgotten
 *
 * @abandon: the measured phase is to end with requests in flight
 */
void load_connect(struct load *l, struct front_queue *q, bool abandon);

/**
 * load_run - one phase, until its end or until something goes wrong
 *
 * Return: 0, or -errno: the backend does not answer or broke the protocol, and this connection is of
 * no further use. That requests failed or sectors are wrong is in the result alone.
 */
int load_run(struct load *l, enum load_phase phase);

/* load_wrong - whether the result has anything that should not be there. */
bool load_wrong(const struct load_result *r);

#endif
