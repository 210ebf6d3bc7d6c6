/* SPDX-License-Identifier: BSD-2-Clause */
#include "queue_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/blkif.h>

#include "aside.h"

void queue_release(struct queue *q)
{
	struct pipeline *pl = q->pipeline;

	if (q->channel_fd.fd >= 0)
		reactor_del_fd(pl->reactor, &q->channel_fd);
	q->bdev->ops->channel_destroy(q->channel);
	evtchn_unbind(pl->evtchn, q->port);
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
	queue_release(arg);
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
		q->ios[i].bio.done = queue_io_done;
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
	q->in_record->flush_failed = queue_flush_failed(q);
	aside_put(&q->record);
	free_all(q);
}
