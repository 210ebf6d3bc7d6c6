/* SPDX-License-Identifier: BSD-2-Clause */
#include "queue_parts.h"

#include <xen/io/blkif.h>

/* Where what is known of its segments lies. */
static void io_place(struct io *io, struct table *t)
{
	struct io_record *r = io->record;

	io->table = t;
	io->segments = t ? t->record->segments : r->request.segments;
	io->maps = t ? t->record->maps : r->maps;
	r->table = t ? table_number(&io->queue->pipeline->tables, t) + 1 : 0;
}

static inline bool goes_direct(const struct queue *q, const struct io *io)
{
	const struct request *req = &io->record->request;
	uint32_t block_bytes = q->bdev->info.logical_block_bytes;
	uint64_t bits = req->offset_bytes;

	if (!req->nr_segments ||
	    req->len_bytes < __atomic_load_n(&q->direct_from_bytes, __ATOMIC_RELAXED))
		return false;
	if (block_bytes == SECTOR_BYTES)
		return true;
	for (uint32_t i = 0; i < req->nr_segments; i++)
		bits |= io->segments[i].offset_bytes | io->segments[i].len_bytes;
	/* What is not whole blocks will be merged, for which it has to be in memory of ours. */
	return !(bits & (block_bytes - 1));
}

/* Its segments are known. */
static inline void io_choose_xfer(struct queue *q, struct io *io)
{
	bool direct = !q->persistent && goes_direct(q, io);

	io->xfer = q->persistent ? &xfer_map : direct ? &xfer_direct : &xfer_copy;
	if (!q->persistent)
		counter_add(direct ? &q->stats.mapped : &q->stats.copied,
			    io->record->request.nr_segments);
	queue_hold(q, io, direct ? 0 : io->record->request.nr_segments);
}

int16_t queue_parse_segments(struct queue *q, struct io *io,
			     const struct raw_segments *const *pages)
{
	int16_t status =
		request_parse_segments(&io->record->request, pages, &q->limits, io->segments);

	if (status == BLKIF_RSP_OKAY)
		io_choose_xfer(q, io);
	return status;
}

static void io_begin(struct queue *q, struct io *io)
{
	const struct request *req = &io->record->request;
	struct pipeline *pl = q->pipeline;

	io->status = 0;
	io->flushed = false;
	io->submitted_ns = 0;
	if (io->record->settled) {
		io_place(io, NULL);
		list_add_tail(&q->settled, &io->link);
		return;
	}
	list_add_tail(&q->pending, &io->link);
	if (__builtin_expect(req->indirect, 0)) {
		queue_hold(q, io, req->nr_segments);
		counter_add(&q->stats.indirect, 1);
		q->share->tables++;
		io_place(io, table_get(&pl->tables));
		pipeline_fetch(pl, io);
		return;
	}
	io_place(io, NULL);
	io_choose_xfer(q, io);
	if (!req->nr_segments)
		return;
	io->xfer->bring_in(pl, io);
	list_add_tail(&pl->incoming, &io->bio.link);
}

static bool changes_the_disk(const struct request *req)
{
	return req->op == REQUEST_DISCARD || (req->op != REQUEST_READ && req->nr_segments);
}

/*
 * Whether there is room for it in this turn, and its guest may have it. If not, it waits; and only for
 * room do others wait with it, not for what its own guest has to give back first.
 */
static inline bool may_begin(struct queue *q, const struct io_record *r)
{
	if (r->settled)
		return true;
	if (!pipeline_has_room(q->pipeline, &r->request)) {
		q->short_of_room = true;
		return false;
	}
	return pipeline_is_fair(q->pipeline, q->share, &r->request);
}

static enum throttle_way way_of(const struct request *req)
{
	return req->op == REQUEST_READ ? THROTTLE_READS : THROTTLE_WRITES;
}

static uint64_t limited_bytes(const struct request *req)
{
	return req->nr_segments ? req->len_bytes : 0;
}

/* Whether the limits let it go now; it is paid for then. */
static inline bool may_go(struct queue *q, const struct request *req)
{
	enum throttle_way way = way_of(req);

	return !throttle_is_limited(q->throttle, way) ||
	       throttle_take(q->throttle, q->number, way, limited_bytes(req),
			     q->pipeline->reactor->now_ns, &q->due_ns);
}

/* What to do with a request that is first on the ring. */
enum taking {
	TAKE_AND_BEGIN,
	TAKE_AND_PARK, /* it waits for a limit, where it does not keep others from going */
	TAKE_NOT,
};

static enum taking choose(struct queue *q, const struct io_record *r)
{
	const struct request *req = &r->request;

	if (r->settled)
		return TAKE_AND_BEGIN;
	/* All before it have begun when it does, and nothing behind it has. */
	if (req->op == REQUEST_BARRIER)
		return !q->nr_parked && may_go(q, req) ? TAKE_AND_BEGIN : TAKE_NOT;
	return list_empty(&q->parked[way_of(req)]) && may_go(q, req) ? TAKE_AND_BEGIN
								     : TAKE_AND_PARK;
}

static void park(struct queue *q, struct io *io)
{
	counter_add(&q->stats.limited, 1);
	list_add_tail(&q->parked[way_of(&io->record->request)], &io->link);
	q->nr_parked++;
}

/* One request off the ring. Return: false if it has to stay there for now. */
static bool take_one(struct queue *q)
{
	struct io *io = list_entry(q->free.head.next, struct io, link);
	struct io_record *r = io->record;
	int16_t status = request_peek(&q->ring, &q->limits, &r->request);
	enum taking taking;

	if (status == BLKIF_RSP_OKAY && changes_the_disk(&r->request) && queue_flush_failed(q))
		status = BLKIF_RSP_ERROR;
	/* A bad one is answered too, and that has an effect. */
	r->settled = status != BLKIF_RSP_OKAY;
	r->answer = status;
	if (!may_begin(q, r)) {
		q->starved = true;
		return false;
	}
	taking = choose(q, r);
	if (taking == TAKE_NOT) {
		q->held = true;
		return false;
	}
	if (r->settled)
		counter_add(&q->stats.refused, 1);
	RECORD(r->req_idx = q->ring.req_cons);
	record_order();
	RECORD(r->state = IO_TAKEN);
	POINT();
	list_del(&io->link);
	q->in_flight++;
	ring_consume(&q->ring);
	io->taken_ns = q->pipeline->reactor->now_ns;
	if (taking == TAKE_AND_PARK)
		park(q, io);
	else
		io_begin(q, io);
	return true;
}

/* What ends is not kept waiting by a limit: those that come pay for it. */
static bool goes_in_any_case(struct queue *q, const struct request *req)
{
	if (!q->stopping && !q->paused && !q->broken)
		return false;
	throttle_charge(q->throttle, way_of(req), limited_bytes(req), q->pipeline->reactor->now_ns);
	return true;
}

/* Of those that wait for a limit, in their order. Return: requests begun. */
static uint32_t take_parked(struct queue *q, enum throttle_way way)
{
	uint32_t taken = 0;

	for (; !list_empty(&q->parked[way]); taken++) {
		struct io *io = list_entry(q->parked[way].head.next, struct io, link);
		struct io_record *r = io->record;

		if (!may_begin(q, r)) {
			q->starved = true;
			return taken;
		}
		if (!goes_in_any_case(q, &r->request) && !may_go(q, &r->request))
			return taken;
		/* A flush may have failed since it was taken. */
		if (changes_the_disk(&r->request) && queue_flush_failed(q)) {
			r->answer = BLKIF_RSP_ERROR;
			record_order();
			r->settled = true;
		}
		list_del(&io->link);
		q->nr_parked--;
		io_begin(q, io);
	}
	return taken;
}

/* Those that wait for a limit. Return: requests begun. */
static uint32_t take_all_parked(struct queue *q)
{
	uint32_t taken = 0;

	q->due_ns = UINT64_MAX;
	if (q->nr_parked)
		reactor_now_ns(q->pipeline->reactor);
	for (uint32_t way = 0; way < THROTTLE_NR_WAYS; way++)
		taken += take_parked(q, way);
	return taken;
}

/* Of a limit that it does not wait for any more it says so, or others would wait for it. */
static void leave_limits(struct queue *q)
{
	for (uint32_t way = 0; way < THROTTLE_NR_WAYS; way++) {
		if (list_empty(&q->parked[way]) && !(q->held && way == THROTTLE_WRITES))
			throttle_leave(q->throttle, q->number, way);
	}
}

/* What a predecessor had in flight, in the order of the ring. Return: requests begun. */
static uint32_t take_again(struct queue *q)
{
	uint32_t taken = 0;

	for (; !list_empty(&q->again); taken++) {
		struct io *io = list_entry(q->again.head.next, struct io, link);

		if (!may_begin(q, io->record)) {
			q->starved = true;
			break;
		}
		list_del(&io->link);
		POINT();
		io->taken_ns = q->pipeline->reactor->now_ns;
		io_begin(q, io);
	}
	return taken;
}

/* Return: requests taken. */
static uint32_t take_pending(struct queue *q)
{
	struct pipeline *pl = q->pipeline;
	uint32_t taken = 0, most;
	int pending;

	q->held = false;
	if (q->stopping || q->broken || q->paused)
		return 0;
	pending = ring_pending(&q->ring);
	if (pending < 0) {
		queue_break(q);
		return 0;
	}
	if (!pending)
		return 0;
	reactor_now_ns(pl->reactor);
	most = share_of_turn(&pl->shares, q->share, pl->turn, q, (uint32_t)pending);
	/*
	 * As many as were there when we looked, and no more: a guest that refills its ring as
	 * fast as we empty it must not keep us here. Each of them has an io, since the ring has as
	 * many slots and an io is free again before its slot is.
	 */
	for (; taken < most; taken++) {
		if (!take_one(q))
			break;
	}
	q->share->taken += taken;
	return taken;
}

bool queue_has_more(const struct queue *q)
{
	return !q->starved && !q->held && !q->stopping && !q->broken && !q->paused &&
	       ring_pending(&q->ring) > 0;
}

uint32_t queue_take(struct queue *q)
{
	struct pipeline *pl = q->pipeline;
	uint32_t taken;

	if (pl->hungry && pl->hungry != q) {
		q->starved = true;
		q->due_ns = UINT64_MAX;
		return 0;
	}
	q->starved = false;
	q->short_of_room = false;
	taken = take_again(q) + take_all_parked(q);
	if (list_empty(&q->again) && !q->starved)
		taken += take_pending(q);
	leave_limits(q);
	if (taken)
		q->last_work_ns = pl->reactor->now_ns;
	pl->hungry = q->short_of_room && !taken ? q : NULL;
	/* Nothing of what was taken has been acted on: that begins with the next stage. */
	record_order();
	RECORD(q->in_record->req_cons = q->ring.req_cons);
	record_order();
	return taken;
}
