/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace - what a queue tells of each request that it answers, while somebody wants to know.
 *
 * A ring of records: the reactor writes, the control thread reads, and neither waits. When it is full
 * requests are counted and not kept. A queue that is not traced has none, and looks at a pointer.
 */
#ifndef XENBLKD_TRACE_H
#define XENBLKD_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#define TRACE_RECORDS 4096u /* of a queue; a power of two */

/* What is kept: all that fits every member. */
struct trace_filter {
	uint32_t ops; /* bit n: enum request_op n */
	uint64_t min_ns; /* took so long, or longer, from the ring to the answer */
	bool errors_only;
};

struct trace_record {
	uint64_t taken_ns; /* off the ring; clock_ns() */
	uint64_t submitted_ns; /* 0: the device never had it */
	uint64_t done_ns;
	uint64_t offset_bytes, len_bytes;
	int32_t status; /* 0 or -errno */
	uint16_t nr_segments;
	uint8_t op; /* enum request_op */
	bool indirect;
};

struct io;
struct trace;

/* Thread: control. trace_create: Return: the trace, or NULL without memory. */
struct trace *trace_create(const struct trace_filter *filter);
void trace_destroy(struct trace *t);

/* trace_add - an io that is about to be answered. Thread: the reactor's. */
void trace_add(struct trace *t, const struct io *io);

/**
 * trace_read - takes the oldest records, @max at the most
 *
 * @lost: grows by how many were not kept since the last look
 *
 * Thread: control. Return: how many there are.
 */
uint32_t trace_read(struct trace *t, struct trace_record *out, uint32_t max, uint64_t *lost);

#endif
