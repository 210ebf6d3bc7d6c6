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

	io->status = status;
	if (bio->op == BDEV_FLUSH)
		queue_answer(q, io);
	else
		list_add_tail(&q->pipeline->outgoing, &io->link);
}

static void respond(struct queue *q, const struct request *req, int16_t status)
{
	ring_respond(&q->ring, req->id, req->operation, status);
	q->responses++;
}

static enum bdev_op bdev_op_of(enum request_op op)
{
	switch (op) {
	case REQUEST_READ:
		return BDEV_READ;
	case REQUEST_WRITE:
		return BDEV_WRITE;
	case REQUEST_FLUSH:
		break;
	}
	return BDEV_FLUSH;
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

/* All of the request is known. */
static void io_describe(struct queue *q, struct io *io)
{
	const struct request *req = &io->record->request;

	io->bio.op = bdev_op_of(req->op);
	io->bio.offset_bytes = req->offset_bytes;
	io->bio.len_bytes = req->len_bytes;
	io->bio.iov = io->iov;
	io->bio.nr_iov = req->nr_segments;
	io->xfer = req->len_bytes >= q->direct_from_bytes ? &xfer_direct : &xfer_copy;
}

int16_t queue_parse_segments(struct queue *q, struct io *io,
			     const struct raw_segments *const *pages)
{
	int16_t status =
		request_parse_segments(&io->record->request, pages, &q->limits, io->segments);

	if (status == BLKIF_RSP_OKAY)
		io_describe(q, io);
	return status;
}

static void io_begin(struct queue *q, struct io *io)
{
	const struct request *req = &io->record->request;
	struct pipeline *pl = q->pipeline;

	q->in_flight++;
	io->status = 0;
	list_add_tail(&q->pending, &io->link);
	if (req->indirect) {
		q->stats.indirect++;
		io_place(io, table_get(&pl->tables));
		pipeline_fetch(pl, io);
		return;
	}
	io_place(io, NULL);
	io_describe(q, io);
	if (req->op == REQUEST_FLUSH)
		return;
	io->xfer->bring_in(pl, io);
	list_add_tail(&pl->incoming, &io->step);
}

void queue_refuse(struct queue *q, struct io *io, int16_t status)
{
	q->stats.refused++;
	respond(q, &io->record->request, status);
	io_free(q, io);
}

/* A guest that has seen the flush fail on one queue may write on another. */
static bool flush_failed(const struct queue *q)
{
	return __atomic_load_n(q->flush_failed, __ATOMIC_ACQUIRE);
}

/* One request off the ring. Return: false if there is no room for it: it stays there. */
static bool take_one(struct queue *q)
{
	struct io *io = list_entry(q->free.head.next, struct io, link);
	struct request *req = &io->record->request;
	int16_t status = request_peek(&q->ring, &q->limits, req);

	if (status == BLKIF_RSP_OKAY && req->op == REQUEST_WRITE && flush_failed(q))
		status = BLKIF_RSP_ERROR;
	if (status != BLKIF_RSP_OKAY) {
		ring_consume(&q->ring);
		q->stats.refused++;
		respond(q, req, status);
		return true;
	}
	if (!pipeline_has_room(q->pipeline, req))
		return false;
	list_del(&io->link);
	ring_consume(&q->ring);
	io_begin(q, io);
	return true;
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
	taken = take_pending(q);
	pl->hungry = q->starved && !taken ? q : NULL;
	/* Nothing of what was taken has been acted on: that begins with the next stage. */
	q->in_record->req_cons = q->ring.req_cons;
	return taken;
}

uint32_t queue_submit_and_reap(struct queue *q)
{
	struct list_node *n;

	while ((n = list_pop(&q->pending))) {
		struct io *io = list_entry(n, struct io, link);

		if (bdev_submit(q->channel, &io->bio) == -EAGAIN) {
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
		break;
	}
}

/*
 * Linux takes BLKIF_RSP_ERROR for an empty flush as "not supported": it reports success to whoever
 * called fsync() and never flushes again. Any other number it reports as the I/O error that it is,
 * and other frontends know OKAY from the rest.
 */
#define RSP_FLUSH_FAILED (-5)

static int16_t response_status(const struct io *io)
{
	if (!io->status)
		return BLKIF_RSP_OKAY;
	if (io->record->request.op == REQUEST_FLUSH)
		return RSP_FLUSH_FAILED;
	return io->status == -EOPNOTSUPP ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR;
}

void queue_answer(struct queue *q, struct io *io)
{
	const struct request *req = &io->record->request;

	/*
	 * What was written and acknowledged before a flush that failed may be lost, and the guest
	 * may not flush again: no further write may seem to have succeeded.
	 */
	if (req->op == REQUEST_FLUSH && io->status && !flush_failed(q)) {
		__atomic_store_n(q->flush_failed, true, __ATOMIC_RELEASE);
		log_error("%s: a flush failed (%s): no more writes until it is connected anew",
			  q->disk, strerror(-io->status));
	}
	count(q, io);
	respond(q, req, response_status(io));
	io_free(q, io);
}

void queue_respond(struct queue *q)
{
	bool notify;

	if (!q->responses)
		return;
	q->responses = 0;
	q->last_work_ns = q->pipeline->reactor->now_ns;
	notify = ring_push(&q->ring);
	q->in_record->rsp_pushed = q->ring.rsp_pushed;
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
		list_del(&q->link);
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

	q->ios = calloc(q->ring.nr_entries, sizeof(*q->ios));
	if (!q->ios)
		goto free_queue;
	err = record_create(&q->record, args->state_dir, args->name, RECORD_QUEUE,
			    q->ring.nr_entries, queue_record_bytes(q->ring.nr_entries));
	if (err)
		goto free_ios;
	q->in_record = q->record.mem;
	q->in_record->req_cons = q->ring.req_cons;
	q->in_record->rsp_pushed = q->ring.rsp_pushed;
	for (uint32_t i = 0; i < q->ring.nr_entries; i++) {
		q->ios[i].queue = q;
		q->ios[i].record = &q->in_record->ios[i];
		q->ios[i].bio.done = io_done;
		list_add_tail(&q->free, &q->ios[i].link);
	}
	record_commit(&q->record);
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
	record_destroy(&q->record);
	free(q->ios);
	free(q);
}
