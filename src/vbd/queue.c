/* SPDX-License-Identifier: BSD-2-Clause */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/blkif.h>

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
	list_add_tail(&q->pipeline->outgoing, &io->link);
}

/* In the order that io.h asks for. */
static void respond(struct queue *q, struct io *io, int16_t status)
{
	struct io_record *r = io->record;

	r->answer = status;
	r->rsp_idx = q->ring.rsp_prod;
	record_order();
	r->state = IO_ANSWERED;
	record_order();
	ring_respond(&q->ring, r->request.id, r->request.operation, status);
	record_order();
	q->in_record->rsp_prod = q->ring.rsp_prod;
	record_order();
	r->state = IO_FREE;
	q->responses++;
}

/* What the bdev has to do next for it. */
static void io_aim(struct io *io)
{
	const struct request *req = &io->record->request;
	struct bdev_io *bio = &io->bio;

	bio->fua = false;
	bio->offset_bytes = req->offset_bytes;
	bio->len_bytes = req->len_bytes;
	bio->iov = io->iov;
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
	io->pages = t ? t->pages : io->few_pages;
	io->iov = t ? t->iov : io->few_iov;
	r->table = t ? table_number(&io->queue->pipeline->tables, t) + 1 : 0;
}

static void io_free(struct queue *q, struct io *io)
{
	if (io->table)
		table_put(&q->pipeline->tables, io->table);
	/* The one used last is the one in the cache. */
	list_add_head(&q->free, &io->link);
	q->in_flight--;
}

static bool goes_direct(const struct queue *q, const struct io *io)
{
	const struct request *req = &io->record->request;
	uint32_t block_bytes = q->bdev->info.logical_block_bytes;
	uint64_t bits = req->offset_bytes;

	if (!req->nr_segments || req->len_bytes < q->direct_from_bytes)
		return false;
	if (block_bytes == SECTOR_BYTES)
		return true;
	for (uint32_t i = 0; i < req->nr_segments; i++)
		bits |= io->segments[i].offset_bytes | io->segments[i].len_bytes;
	/* What is not whole blocks will be merged, for which it has to be in memory of ours. */
	return !(bits & (block_bytes - 1));
}

/* Its segments are known. */
static void io_choose_xfer(const struct queue *q, struct io *io)
{
	io->xfer = goes_direct(q, io) ? &xfer_direct : &xfer_copy;
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
	if (io->record->settled) {
		io_place(io, NULL);
		list_add_tail(&q->settled, &io->link);
		return;
	}
	list_add_tail(&q->pending, &io->link);
	if (req->indirect) {
		q->stats.indirect++;
		io_place(io, table_get(&pl->tables));
		pipeline_fetch(pl, io);
		return;
	}
	io_place(io, NULL);
	io_choose_xfer(q, io);
	if (!req->nr_segments)
		return;
	io->xfer->bring_in(pl, io);
	list_add_tail(&pl->incoming, &io->step);
}

void queue_refuse(struct queue *q, struct io *io, int16_t status)
{
	q->stats.refused++;
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

/* Whether there is room for it in this turn. */
static bool may_begin(const struct queue *q, const struct io_record *r)
{
	return r->settled || pipeline_has_room(q->pipeline, &r->request);
}

/* One request off the ring. Return: false if it has to stay there for now. */
static bool take_one(struct queue *q)
{
	struct io *io = list_entry(q->free.head.next, struct io, link);
	struct io_record *r = io->record;
	int16_t status = request_peek(&q->ring, &q->limits, &r->request);

	if (status == BLKIF_RSP_OKAY && changes_the_disk(&r->request) && flush_failed(q))
		status = BLKIF_RSP_ERROR;
	/* A bad one is answered too, and that has an effect. */
	r->settled = status != BLKIF_RSP_OKAY;
	r->answer = status;
	if (!may_begin(q, r))
		return false;
	q->stats.refused += r->settled;
	r->req_idx = q->ring.req_cons;
	record_order();
	r->state = IO_TAKEN;
	list_del(&io->link);
	q->in_flight++;
	ring_consume(&q->ring);
	io_begin(q, io);
	return true;
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
		io_begin(q, io);
	}
	return taken;
}

/* Return: requests taken. */
static uint32_t take_pending(struct queue *q)
{
	uint32_t taken = 0;
	int pending;

	if (q->stopping || q->broken)
		return 0;
	pending = ring_pending(&q->ring);
	if (pending < 0) {
		queue_break(q);
		return 0;
	}
	/*
	 * As many as were there when we looked, and no more: a guest that refills its ring as
	 * fast as we empty it must not keep us here. Each of them has an io, since the ring has as
	 * many slots and an io is free again before its slot is.
	 */
	for (; taken < (uint32_t)pending; taken++) {
		if (!take_one(q)) {
			q->starved = true;
			break;
		}
	}
	return taken;
}

uint32_t queue_take(struct queue *q)
{
	struct pipeline *pl = q->pipeline;
	uint32_t taken;

	if (pl->hungry && pl->hungry != q) {
		q->starved = true;
		return 0;
	}
	q->starved = false;
	taken = take_again(q);
	if (list_empty(&q->again))
		taken += take_pending(q);
	pl->hungry = q->starved && !taken ? q : NULL;
	/* Nothing of what was taken has been acted on: that begins with the next stage. */
	record_order();
	q->in_record->req_cons = q->ring.req_cons;
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
	if (has_to_wait(q, io))
		return false;
	io_aim(io);
	if (bdev_submit(q->channel, &io->bio) == -EAGAIN)
		return false;
	q->nr_at_bdev++;
	if (io->record->request.op == REQUEST_BARRIER)
		q->barrier = io;
	return true;
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
	}
	return q->in_flight ? bdev_poll(q->channel) : 0;
}

static void count(struct queue *q, const struct io *io)
{
	const struct request *req = &io->record->request;
	struct queue_stats *stats = &q->stats;

	stats->errors += io->status != 0;
	switch (req->op) {
	case REQUEST_READ:
		stats->reads++;
		stats->bytes_read += io->status ? 0 : req->len_bytes;
		break;
	case REQUEST_WRITE:
		stats->writes++;
		stats->bytes_written += io->status ? 0 : req->len_bytes;
		break;
	case REQUEST_FLUSH:
		stats->flushes++;
		stats->bytes_written += io->status ? 0 : req->len_bytes;
		break;
	case REQUEST_BARRIER:
		stats->barriers++;
		stats->bytes_written += io->status ? 0 : req->len_bytes;
		break;
	case REQUEST_DISCARD:
		stats->discards++;
		break;
	}
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
		log_error("%s: a %s failed (%s): no more writes until it is connected anew",
			  q->disk, req->op == REQUEST_FLUSH ? "flush" : "barrier",
			  strerror(-io->status));
	}
	count(q, io);
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
	q->last_work_ns = q->pipeline->reactor->now_ns;
	notify = ring_push(&q->ring);
	if (notify) {
		q->stats.notifies++;
		evtchn_notify(q->pipeline->evtchn, q->port);
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
	reactor_send(q->control, &q->drained_msg);
}

void queue_settle(struct queue *q)
{
	struct pipeline *pl = q->pipeline;

	if (q->in_flight)
		return;
	if (q->stopping) {
		queue_end(q);
		return;
	}
	if (q->starved || pl->reactor->now_ns - q->last_work_ns < pl->reactor->poll_ns)
		return;
	if (q->broken || queue_arm(q))
		pipeline_deactivate(pl, q);
}

bool queue_arm(struct queue *q)
{
	int pending;

	/* A device that cannot wake us has to be polled. */
	if (q->in_flight && q->channel_fd.fd < 0)
		return false;
	/* There are requests for which there is no room: completions wake us, and make it. */
	if (q->starved || q->stopping || q->broken)
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

	pipeline_add_queue(q->pipeline, q);
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

static void stop_fn(struct reactor_msg *msg)
{
	struct queue *q = container_of(msg, struct queue, stop_msg);

	q->stopping = true;
	pipeline_activate(q->pipeline, q);
}

void queue_stop(struct queue *q)
{
	reactor_send(q->pipeline->reactor, &q->stop_msg);
}

static void broken_fn(struct reactor_msg *msg)
{
	struct queue *q = container_of(msg, struct queue, broken_msg);

	q->events.broken(q->events.arg);
}

static void drained_fn(struct reactor_msg *msg)
{
	struct queue *q = container_of(msg, struct queue, drained_msg);

	q->events.drained(q->events.arg);
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
		/* The disk may have become another in the meantime. */
		if (!io->record->settled && !request_is_allowed(&r->request, &q->limits)) {
			io->record->settled = true;
			io->record->answer = BLKIF_RSP_ERROR;
		}
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
	q->stop_msg.fn = stop_fn;
	q->broken_msg.fn = broken_fn;
	q->drained_msg.fn = drained_fn;
	list_node_init(&q->link);
	list_init(&q->free);
	list_init(&q->pending);
	list_init(&q->again);
	list_init(&q->settled);

	q->ios = calloc(q->ring.nr_entries, sizeof(*q->ios));
	if (!q->ios)
		goto free_queue;
	err = record_create(&q->record, args->state_dir, args->name, RECORD_QUEUE,
			    q->ring.nr_entries, queue_record_bytes(q->ring.nr_entries));
	if (err)
		goto free_ios;
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
	record_commit(&q->record);
	q->pipeline->nr_queues++;
	*out = q;
	return 0;
free_ios:
	free(q->ios);
free_queue:
	free(q);
	return err;
}

void queue_destroy(struct queue *q)
{
	q->pipeline->nr_queues--;
	record_destroy(&q->record);
	free(q->ios);
	free(q);
}
