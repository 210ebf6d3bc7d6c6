/* SPDX-License-Identifier: BSD-2-Clause */
#include "trace.h"

#include <stdlib.h>

#include "counter.h"
#include "io.h"

struct trace {
	struct trace_filter filter;
	uint32_t head; /* the reactor's: where the next record goes */
	uint32_t tail; /* the control thread's: the oldest */
	uint64_t lost; /* the reactor's */
	uint64_t lost_seen; /* the control thread's */
	struct trace_record records[TRACE_RECORDS];
};

struct trace *trace_create(const struct trace_filter *filter)
{
	struct trace *t = calloc(1, sizeof(*t));

	if (t)
		t->filter = *filter;
	return t;
}

void trace_destroy(struct trace *t)
{
	free(t);
}

static bool fits(const struct trace_filter *f, const struct io *io)
{
	uint64_t took_ns = io->submitted_ns ? io->done_ns - io->taken_ns : 0;

	return f->ops & 1u << io->record->request.op && took_ns >= f->min_ns &&
	       (io->status || !f->errors_only);
}

void trace_add(struct trace *t, const struct io *io)
{
	const struct request *r = &io->record->request;

	if (!fits(&t->filter, io))
		return;
	/* Acquire: the record that was there has been read. */
	if (t->head - __atomic_load_n(&t->tail, __ATOMIC_ACQUIRE) == TRACE_RECORDS) {
		counter_add(&t->lost, 1);
		return;
	}
	t->records[t->head % TRACE_RECORDS] = (struct trace_record){
		.taken_ns = io->taken_ns,
		.submitted_ns = io->submitted_ns,
		.done_ns = io->submitted_ns ? io->done_ns : 0,
		.offset_bytes = r->offset_bytes,
		.len_bytes = r->len_bytes,
		.status = io->status,
		.nr_segments = r->nr_segments,
		.op = (uint8_t)r->op,
		.indirect = r->indirect,
	};
	/* Release: the record is there before it counts. */
	__atomic_store_n(&t->head, t->head + 1, __ATOMIC_RELEASE);
}

uint32_t trace_read(struct trace *t, struct trace_record *out, uint32_t max, uint64_t *lost)
{
	uint64_t lost_now = counter_read(&t->lost);
	uint32_t head = __atomic_load_n(&t->head, __ATOMIC_ACQUIRE), nr = 0;

	while (t->tail != head && nr < max) {
		out[nr++] = t->records[t->tail % TRACE_RECORDS];
		__atomic_store_n(&t->tail, t->tail + 1, __ATOMIC_RELEASE);
	}
	*lost += lost_now - t->lost_seen;
	t->lost_seen = lost_now;
	return nr;
}
