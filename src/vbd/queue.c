/* SPDX-License-Identifier: BSD-2-Clause */
#include "queue_parts.h"

#include <errno.h>
#include <string.h>
#include <xen/io/blkif.h>

#include "log.h"

void queue_break(struct queue *q)
{
	if (q->broken)
		return;
	q->broken = true;
	reactor_send(q->control, &q->broken_msg);
}

void queue_io_done(struct bdev_io *bio, int status)
{
	struct io *io = container_of(bio, struct io, bio);
	struct queue *q = io->queue;
	struct pipeline *pl = q->pipeline;

	q->nr_at_bdev--;
	/* Before all others: it is the rest of what was begun. */
	if (bio->op == BDEV_FLUSH && !status && io->record->request.nr_segments) {
		io->flushed = true;
		list_add_head(&q->pending, &io->link);
		return;
	}
	if (q->barrier == io)
		q->barrier = NULL;
	io->status = status;
	/* Another queue may have asked for the time of this stage before this one was submitted. */
	io->done_ns = pipeline_stage_ns(pl, &pl->reap_ns);
	if (io->done_ns < io->submitted_ns)
		io->done_ns = io->submitted_ns;
	list_add_tail(&pl->outgoing, &io->link);
}

/* In the order that io.h asks for. */
static inline void respond(struct queue *q, struct io *io, int16_t status)
{
	struct io_record *r = io->record;

	RECORD(r->answer = status);
	RECORD(r->rsp_idx = q->ring.rsp_prod);
	record_order();
	RECORD(r->state = IO_ANSWERED);
	record_order();
	ring_respond(&q->ring, r->request.id, r->request.operation, status);
	record_order();
	RECORD(q->in_record->rsp_prod = q->ring.rsp_prod);
	record_order();
	RECORD(r->state = IO_FREE);
	POINT();
	q->responses++;
}

static inline void io_free(struct queue *q, struct io *io)
{
	if (io->table) {
		table_put(&q->pipeline->tables, io->table);
		q->share->tables--;
	}
	if (io->held_pages)
		queue_hold(q, io, 0);
	/* The one used last is the one in the cache. */
	list_add_head(&q->free, &io->link);
	q->in_flight--;
}

void queue_refuse(struct queue *q, struct io *io, int16_t status)
{
	counter_add(&q->stats.refused, 1);
	respond(q, io, status);
	io_free(q, io);
}

/* What the bdev has to do next for it. */
static void io_aim(struct io *io)
{
	const struct request *req = &io->record->request;
	struct bdev_io *bio = &io->bio;

	bio->fua = false;
	bio->secure = req->secure;
	bio->offset_bytes = req->offset_bytes;
	bio->len_bytes = req->len_bytes;
	bio->iov = io_iov(io);
	bio->nr_iov = req->nr_segments;
	switch (req->op) {
	case REQUEST_READ:
		bio->op = BDEV_READ;
		break;
	case REQUEST_WRITE:
		bio->op = BDEV_WRITE;
		break;
	case REQUEST_DISCARD:
		bio->op = BDEV_DISCARD;
		break;
	case REQUEST_FLUSH:
	case REQUEST_BARRIER:
		/* What comes with a flush is durable too when it is answered. */
		bio->op = io->flushed ? BDEV_WRITE : BDEV_FLUSH;
		bio->fua = io->flushed;
		break;
	}
	if (bio->op == BDEV_FLUSH) {
		bio->offset_bytes = 0;
		bio->len_bytes = 0;
		bio->nr_iov = 0;
	}
}

/* A barrier runs when all before it have ended, and all behind it when it has. */
static bool has_to_wait(const struct queue *q, const struct io *io)
{
	if (q->barrier)
		return io != q->barrier;
	return io->record->request.op == REQUEST_BARRIER && q->nr_at_bdev;
}

static bool submit_one(struct queue *q, struct io *io)
{
	struct pipeline *pl = q->pipeline;

	if (has_to_wait(q, io))
		return false;
	io_aim(io);
	if (bdev_submit(q->channel, &io->bio) == -EAGAIN)
		return false;
	POINT();
	q->nr_at_bdev++;
	if (!io->submitted_ns)
		io->submitted_ns = pipeline_stage_ns(pl, &pl->submit_ns);
	if (io->record->request.op == REQUEST_BARRIER)
		q->barrier = io;
	return true;
}

uint32_t queue_reap(struct queue *q)
{
	return q->in_flight ? bdev_poll(q->channel) : 0;
}

uint32_t queue_submit_and_reap(struct queue *q)
{
	struct list_node *n;

	while ((n = list_pop(&q->pending))) {
		struct io *io = list_entry(n, struct io, link);

		if (!submit_one(q, io)) {
			/* It goes first next time: a queue keeps the order it was given. */
			list_add_head(&q->pending, &io->link);
			break;
		}
		q->pipeline->late = true;
	}
	return queue_reap(q);
}

static void count_bytes(uint64_t *bytes, const struct io *io)
{
	if (!io->status)
		counter_add(bytes, io->record->request.len_bytes);
}

/* Return: what its times count as. */
static enum stats_kind count(struct queue_stats *stats, const struct io *io)
{
	switch (io->record->request.op) {
	case REQUEST_READ:
		counter_add(&stats->reads, 1);
		count_bytes(&stats->bytes_read, io);
		return STATS_READ;
	case REQUEST_WRITE:
		counter_add(&stats->writes, 1);
		count_bytes(&stats->bytes_written, io);
		return STATS_WRITE;
	case REQUEST_FLUSH:
		counter_add(&stats->flushes, 1);
		count_bytes(&stats->bytes_written, io);
		break;
	case REQUEST_BARRIER:
		counter_add(&stats->barriers, 1);
		count_bytes(&stats->bytes_written, io);
		break;
	case REQUEST_DISCARD:
		counter_add(&stats->discards, 1);
		break;
	}
	return STATS_OTHER;
}

/* Times are those of requests that the device has had. */
static void account(struct queue *q, const struct io *io)
{
	enum stats_kind kind = count(&q->stats, io);

	if (__builtin_expect(!!q->trace, 0))
		trace_add(q->trace, io);
	if (io->status)
		counter_add(&q->stats.errors, 1);
	if (!io->submitted_ns)
		return;
	stats_time_add(&q->stats.queued, io->submitted_ns - io->taken_ns);
	stats_time_add(&q->stats.device[kind], io->done_ns - io->submitted_ns);
}

static bool is_flush(const struct request *req)
{
	return req->op == REQUEST_FLUSH || req->op == REQUEST_BARRIER;
}

/*
 * Linux takes BLKIF_RSP_ERROR for an empty flush or barrier as "not supported", and EOPNOTSUPP for
 * any: it reports success to whoever called fsync() and never flushes again. Any other number it
 * reports as the I/O error that it is, and other frontends know OKAY from the rest.
 */
#define RSP_FLUSH_FAILED (-5)

static int16_t response_status(const struct io *io)
{
	if (!io->status)
		return BLKIF_RSP_OKAY;
	if (is_flush(&io->record->request))
		return RSP_FLUSH_FAILED;
	return io->status == -EOPNOTSUPP ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR;
}

void queue_answer(struct queue *q, struct io *io)
{
	const struct request *req = &io->record->request;

	/*
	 * What was written and acknowledged before a flush that failed may be lost, and the guest
	 * may not flush again: no further write may seem to have succeeded. (With a bad grant,
	 * nothing was begun.)
	 */
	if (is_flush(req) && io->status && io->status != -EFAULT && !queue_flush_failed(q)) {
		__atomic_store_n(q->flush_failed, true, __ATOMIC_RELEASE);
		q->in_record->flush_failed = true;
		POINT();
		log_error("%s: a %s failed (%s): no more writes until it is connected anew",
			  q->disk, req->op == REQUEST_FLUSH ? "flush" : "barrier",
			  strerror(-io->status));
	}
	account(q, io);
	respond(q, io, response_status(io));
	io_free(q, io);
}

void queue_respond(struct queue *q)
{
	struct list_node *n;
	bool notify;

	while ((n = list_pop(&q->settled))) {
		struct io *io = list_entry(n, struct io, link);

		respond(q, io, io->record->answer);
		io_free(q, io);
	}
	if (!q->responses)
		return;
	q->responses = 0;
	if (q->persistent && persistent_map_wished(q->persistent, q->pipeline->reactor->now_ns))
		pipeline_keeps(q->pipeline);
	q->last_work_ns = q->pipeline->reactor->now_ns;
	POINT();
	notify = ring_push(&q->ring);
	POINT();
	if (notify) {
		counter_add(&q->stats.notifies, 1);
		evtchn_notify(q->pipeline->evtchn, q->port);
		POINT();
	}
}

/* The last of a queue on the reactor. */
static void queue_end(struct queue *q)
{
	pipeline_del_queue(q->pipeline, q);
	queue_release(q);
	q->ended = true;
	reactor_send(q->control, &q->drained_msg);
}

bool queue_polls(const struct queue *q)
{
	const struct reactor *r = q->pipeline->reactor;
	uint64_t poll_ns = counter_read(&q->poll_ns);

	if (poll_ns == QUEUE_POLL_REACTORS)
		poll_ns = reactor_poll_ns(r);
	/* What a device has comes back, and most of them are quick. */
	if (q->nr_at_bdev)
		poll_ns *= QUEUE_PATIENCE;
	return r->now_ns - q->last_work_ns < poll_ns;
}

void queue_settle(struct queue *q)
{
	struct pipeline *pl = q->pipeline;

	counter_set(&q->stats.in_flight, q->in_flight);
	if (q->in_flight)
		return;
	if (q->stopping) {
		queue_end(q);
		return;
	}
	if (q->starved || q->held || queue_polls(q))
		return;
	if (q->broken || queue_arm(q))
		pipeline_deactivate(pl, q);
}

bool queue_arm(struct queue *q)
{
	int pending;

	/* A device that cannot wake us has to be polled. */
	if (q->in_flight > q->nr_parked && q->channel_fd.fd < 0)
		return false;
	/*
	 * There are requests for which there is no room: completions wake us, and make it. Or that
	 * wait for a limit: a timer does. Or for resume.
	 */
	if (q->starved || q->held || q->paused || q->stopping || q->broken)
		return true;
	pending = ring_arm(&q->ring);
	if (pending < 0)
		queue_break(q);
	return pending <= 0;
}
