/* SPDX-License-Identifier: BSD-2-Clause */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/blkif.h>

#include "leftover.h"
#include "log.h"

/* Says so to the control thread, once; the queue takes nothing more. */
static void queue_break(struct queue *q)
{
	if (q->broken)
		return;
	q->broken = true;
	reactor_send(q->control, &q->broken_msg);
}

static void io_done(struct bdev_io *bio, int status)
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

/* Where what is known of its segments lies. */
static void io_place(struct io *io, struct table *t)
{
	struct io_record *r = io->record;

	io->table = t;
	io->segments = t ? t->record->segments : r->request.segments;
	io->maps = t ? t->record->maps : r->maps;
	r->table = t ? table_number(&io->queue->pipeline->tables, t) + 1 : 0;
}

/* Of its guest's share; given back by no more. */
static void io_hold(struct queue *q, struct io *io, uint32_t pages)
{
	q->share->pages += pages - io->held_pages;
	io->held_pages = pages;
}

static inline void io_free(struct queue *q, struct io *io)
{
	if (io->table) {
		table_put(&q->pipeline->tables, io->table);
		q->share->tables--;
	}
	if (io->held_pages)
		io_hold(q, io, 0);
	/* The one used last is the one in the cache. */
	list_add_head(&q->free, &io->link);
	q->in_flight--;
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
	io_hold(q, io, direct ? 0 : io->record->request.nr_segments);
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
		io_hold(q, io, req->nr_segments);
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

void queue_refuse(struct queue *q, struct io *io, int16_t status)
{
	counter_add(&q->stats.refused, 1);
	respond(q, io, status);
	io_free(q, io);
}

static bool changes_the_disk(const struct request *req)
{
	return req->op == REQUEST_DISCARD || (req->op != REQUEST_READ && req->nr_segments);
}

/* A guest that has seen the flush fail on one queue may write on another. */
static bool flush_failed(const struct queue *q)
{
	return __atomic_load_n(q->flush_failed, __ATOMIC_ACQUIRE);
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

	if (status == BLKIF_RSP_OKAY && changes_the_disk(&r->request) && flush_failed(q))
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
		if (changes_the_disk(&r->request) && flush_failed(q)) {
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
	if (is_flush(req) && io->status && io->status != -EFAULT && !flush_failed(q)) {
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

static void unbind(struct queue *q)
{
	struct pipeline *pl = q->pipeline;

	if (q->channel_fd.fd >= 0)
		reactor_del_fd(pl->reactor, &q->channel_fd);
	q->bdev->ops->channel_destroy(q->channel);
	evtchn_unbind(pl->evtchn, q->port);
}

/* The last of a queue on the reactor. */
static void queue_end(struct queue *q)
{
	pipeline_del_queue(q->pipeline, q);
	unbind(q);
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

static void channel_ready(struct reactor_fd *rfd)
{
	/* The queue is in the list of the active ones for as long as it has anything in flight. */
	(void)rfd;
}

static int open_channel(struct queue *q)
{
	const struct bdev_ops *ops = q->bdev->ops;
	int err = ops->channel_create(q->bdev, q->ring.nr_entries, &q->channel);

	if (err)
		return err;
	q->channel_fd = (struct reactor_fd){ -1, channel_ready };
	if (!ops->fd)
		return 0;
	q->channel_fd.fd = ops->fd(q->channel);
	err = reactor_add_fd(q->pipeline->reactor, &q->channel_fd);
	if (err)
		ops->channel_destroy(q->channel);
	return err;
}

static int bind_fn(void *arg)
{
	struct queue *q = arg;
	struct pipeline *pl = q->pipeline;
	int port = evtchn_bind(pl->evtchn, q->domid, q->remote_port);
	int err;

	if (port < 0)
		return port;
	q->port = (uint32_t)port;
	err = pipeline_reserve_port(pl, q->port);
	if (!err)
		err = open_channel(q);
	if (err)
		evtchn_unbind(pl->evtchn, q->port);
	return err;
}

int queue_bind(struct queue *q)
{
	return reactor_call(q->pipeline->reactor, bind_fn, q);
}

static int unbind_fn(void *arg)
{
	unbind(arg);
	return 0;
}

void queue_unbind(struct queue *q)
{
	reactor_call(q->pipeline->reactor, unbind_fn, q);
}

static int start_fn(void *arg)
{
	struct queue *q = arg;

	POINT();
	pipeline_add_queue(q->pipeline, q);
	if (q->persistent)
		pipeline_keeps(q->pipeline);
	/*
	 * The ring may have been served before: what our predecessor answered, the guest may not
	 * have heard of.
	 */
	evtchn_notify(q->pipeline->evtchn, q->port);
	return 0;
}

void queue_start(struct queue *q)
{
	reactor_call(q->pipeline->reactor, start_fn, q);
}

struct resize {
	struct queue *queue;
	uint64_t size_bytes;
};

static int resize_fn(void *arg)
{
	struct resize *r = arg;

	r->queue->limits.size_bytes = r->size_bytes;
	return 0;
}

void queue_resize(struct queue *q, uint64_t size_bytes)
{
	struct resize r = { q, size_bytes };

	reactor_call(q->pipeline->reactor, resize_fn, &r);
}

static void stop_fn(struct reactor_msg *msg)
{
	struct queue *q = container_of(msg, struct queue, stop_msg);

	q->stopping = true;
	pipeline_activate(q->pipeline, q);
}

void queue_stop(struct queue *q)
{
	if (q->homeless || q->parted) {
		q->parted = false;
		reactor_send(q->control, &q->drained_msg);
	} else if (q->move_to || q->parting) {
		/* It is being stopped already, and goes nowhere after that. */
		q->move_to = NULL;
		q->parting = false;
	} else {
		reactor_send(q->pipeline->reactor, &q->stop_msg);
	}
}

void queue_move(struct queue *q, struct pipeline *to)
{
	queue_stop(q);
	q->move_to = to;
}

void queue_part(struct queue *q)
{
	if (!q->move_to)
		queue_stop(q);
	q->move_to = NULL;
	q->parting = true;
}

/* Of a queue that is nobody's. Return: 0, or -errno and it still is. */
static int resume(struct queue *q)
{
	int err;

	q->stopping = q->ended = q->starved = q->short_of_room = q->held = false;
	q->due_ns = UINT64_MAX;
	err = queue_bind(q);
	if (!err)
		queue_start(q);
	return err;
}

int queue_rejoin(struct queue *q, const struct queue_args *args)
{
	int err;

	q->parted = false;
	q->bdev = args->bdev;
	q->limits = args->limits;
	q->direct_from_bytes = args->direct_from_bytes;
	err = resume(q);
	q->homeless = err;
	return err;
}

/* Likewise. */
static int settle_at(struct queue *q, struct pipeline *to)
{
	struct share *share = share_get(&to->shares, q->domid);

	if (!share)
		return -ENOMEM;
	share_put(&q->pipeline->shares, q->share);
	q->pipeline->nr_queues--;
	to->nr_queues++;
	q->share = share;
	q->pipeline = to;
	return resume(q);
}

static void moved(struct queue *q)
{
	struct pipeline *from = q->pipeline, *to = q->move_to;

	q->move_to = NULL;
	if (!settle_at(q, to) || !settle_at(q, from))
		return;
	q->homeless = true;
	q->events.broken(q->events.arg);
}

struct pause_call {
	struct queue *q;
	bool paused;
};

static int pause_fn(void *arg)
{
	struct pause_call *call = arg;

	call->q->paused = call->paused;
	if (!call->q->ended)
		pipeline_activate(call->q->pipeline, call->q);
	return 0;
}

void queue_pause(struct queue *q, bool paused)
{
	struct pause_call call = { q, paused };

	reactor_call(q->pipeline->reactor, pause_fn, &call);
}

void queue_set_transfer(struct queue *q, uint32_t direct_from_bytes)
{
	__atomic_store_n(&q->direct_from_bytes, direct_from_bytes, __ATOMIC_RELAXED);
}

struct trace_call {
	struct queue *q;
	struct trace *trace; /* in: the new one, out: the old one */
};

static int trace_fn(void *arg)
{
	struct trace_call *call = arg;
	struct trace *old = call->q->trace;

	call->q->trace = call->trace;
	call->trace = old;
	return 0;
}

int queue_trace(struct queue *q, const struct trace_filter *filter)
{
	struct trace_call call = { q, NULL };

	if (filter) {
		call.trace = trace_create(filter);
		if (!call.trace)
			return -ENOMEM;
	}
	reactor_call(q->pipeline->reactor, trace_fn, &call);
	trace_destroy(call.trace);
	return 0;
}

void queue_set_poll(struct queue *q, uint64_t poll_ns)
{
	counter_set(&q->poll_ns, poll_ns);
}

static void broken_fn(struct reactor_msg *msg)
{
	struct queue *q = container_of(msg, struct queue, broken_msg);

	q->events.broken(q->events.arg);
}

static void drained_fn(struct reactor_msg *msg)
{
	struct queue *q = container_of(msg, struct queue, drained_msg);

	if (q->move_to) {
		moved(q);
	} else if (q->parting) {
		q->parting = false;
		q->parted = true;
		q->events.parted(q->events.arg);
	} else {
		q->events.drained(q->events.arg);
	}
}

static int by_req_idx(const void *a, const void *b)
{
	const struct io_record *const *x = a, *const *y = b;
	int32_t distance = (int32_t)((*x)->req_idx - (*y)->req_idx);

	return (distance > 0) - (distance < 0);
}

uint32_t queue_record_in_flight(const struct queue_record *q, uint32_t nr_ios,
				const struct io_record **out)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < nr_ios; i++) {
		const struct io_record *r = &q->ios[i];
		bool taken = r->state == IO_TAKEN && (int32_t)(r->req_idx - q->req_cons) < 0;
		bool answering = r->state == IO_ANSWERED && r->rsp_idx == q->rsp_prod;

		if (taken || answering)
			out[nr++] = r;
	}
	qsort(out, nr, sizeof(*out), by_req_idx);
	return nr;
}

/* What was in flight is taken, here as well, and begins with the first turn. */
static void inherit(struct queue *q, const struct queue_inherited *from)
{
	for (uint32_t i = 0; i < from->nr; i++) {
		struct io *io = list_entry(list_pop(&q->free), struct io, link);
		const struct io_record *r = from->ios[i];

		io->record->request = r->request;
		io->record->req_idx = r->req_idx;
		io->record->settled = r->settled || r->state == IO_ANSWERED;
		io->record->answer = r->answer;
		if (point_unexecuted() && !io->record->settled) {
			io->record->settled = true;
			io->record->answer = BLKIF_RSP_OKAY;
		}
		/* The disk may have become another in the meantime. */
		if (!io->record->settled && !request_is_allowed(&r->request, &q->limits)) {
			io->record->settled = true;
			io->record->answer = BLKIF_RSP_ERROR;
		}
		POINT();
		io->record->state = IO_TAKEN;
		list_add_tail(&q->again, &io->link);
		q->in_flight++;
	}
	q->in_record->flush_failed = from->record->flush_failed;
}

int queue_create(const struct queue_args *args, struct queue **out)
{
	struct queue *q = calloc(1, sizeof(*q));
	int err = -ENOMEM;

	if (!q)
		return err;
	q->pipeline = args->pipeline;
	q->control = args->control;
	q->events = args->events;
	q->ring = args->ring;
	q->disk = args->disk;
	q->flush_failed = args->flush_failed;
	q->domid = args->domid;
	q->remote_port = args->remote_port;
	q->limits = args->limits;
	q->bdev = args->bdev;
	q->direct_from_bytes = args->direct_from_bytes;
	q->poll_ns = args->poll_ns;
	q->throttle = args->throttle;
	q->number = args->number;
	q->paused = args->paused;
	q->due_ns = UINT64_MAX;
	q->stop_msg.fn = stop_fn;
	q->broken_msg.fn = broken_fn;
	q->drained_msg.fn = drained_fn;
	list_node_init(&q->link);
	list_init(&q->free);
	list_init(&q->pending);
	list_init(&q->again);
	list_init(&q->settled);
	for (uint32_t way = 0; way < THROTTLE_NR_WAYS; way++)
		list_init(&q->parked[way]);

	q->share = share_get(&q->pipeline->shares, q->domid);
	if (!q->share)
		goto free_queue;
	q->ios = aligned_alloc(_Alignof(struct io), q->ring.nr_entries * sizeof(*q->ios));
	if (!q->ios)
		goto put_share;
	memset(q->ios, 0, q->ring.nr_entries * sizeof(*q->ios));
	if (args->persistent) {
		err = persistent_create(q->domid, &q->persistent);
		if (err)
			goto free_ios;
	}
	err = record_create(&q->record, args->state_dir, args->name, RECORD_QUEUE,
			    q->ring.nr_entries, queue_record_bytes(q->ring.nr_entries));
	if (err)
		goto destroy_persistent;
	q->in_record = q->record.mem;
	q->in_record->req_cons = q->ring.req_cons;
	q->in_record->rsp_prod = q->ring.rsp_prod;
	q->in_record->identity = args->identity;
	for (uint32_t i = 0; i < q->ring.nr_entries; i++) {
		q->ios[i].queue = q;
		q->ios[i].record = &q->in_record->ios[i];
		q->ios[i].bio.done = io_done;
		list_add_tail(&q->free, &q->ios[i].link);
	}
	if (args->inherited)
		inherit(q, args->inherited);
	POINT();
	record_commit(&q->record);
	POINT();
	q->pipeline->nr_queues++;
	*out = q;
	return 0;
destroy_persistent:
	if (q->persistent)
		persistent_destroy(q->persistent);
free_ios:
	free(q->ios);
put_share:
	share_put(&q->pipeline->shares, q->share);
free_queue:
	free(q);
	return err;
}

static void free_all(struct queue *q)
{
	q->pipeline->nr_queues--;
	share_put(&q->pipeline->shares, q->share);
	if (q->persistent)
		persistent_destroy(q->persistent);
	trace_destroy(q->trace);
	free(q->ios);
	free(q);
}

void queue_destroy(struct queue *q)
{
	record_destroy(&q->record);
	free_all(q);
}

void queue_leave(struct queue *q)
{
	q->in_record->flush_failed = flush_failed(q);
	leftover_put_aside(&q->record);
	free_all(q);
}
