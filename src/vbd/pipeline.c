/* SPDX-License-Identifier: BSD-2-Clause */
#include "pipeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <xen/io/blkif.h>

#include "clock.h"
#include "log.h"
#include "queue.h"

/* Operations of a kind in one hypercall at most: 93 requests of 11 segments, or 4 of 256. */
#define BATCH_OPS 1024u

/* Indirect requests in flight at most, each of up to 1 MiB. */
#define TABLES 256u

_Static_assert(BATCH_OPS >= TABLE_SEGMENTS, "the largest request fits");

/* Ports read at one go; there is always a next turn. */
#define MAX_PORTS_PER_TURN 64

/* Between two looks at what has become idle. */
#define TRIM_S 1

void pipeline_keeps(struct pipeline *pl)
{
	struct itimerspec in = { .it_value.tv_sec = TRIM_S };

	if (pl->idle_armed)
		return;
	pl->idle_armed = true;
	timerfd_settime(pl->idle_fd.fd, 0, &in, NULL);
}

static void idle_ready(struct reactor_fd *rfd)
{
	struct pipeline *pl = container_of(rfd, struct pipeline, idle_fd);
	uint64_t now_ns = clock_ns();
	uint32_t kept = 0;
	uint64_t count;

	if (read(rfd->fd, &count, sizeof(count)) < 0)
		return;
	pl->idle_armed = false;
	for (uint32_t i = 0; i < pl->nr_ports; i++) {
		struct queue *q = pl->by_port[i];

		if (q && q->persistent)
			kept += persistent_trim(q->persistent, now_ns);
	}
	if (kept)
		pipeline_keeps(pl);
}

static void evtchn_ready(struct reactor_fd *rfd)
{
	struct pipeline *pl = container_of(rfd, struct pipeline, evtchn_fd);

	for (int i = 0; i < MAX_PORTS_PER_TURN; i++) {
		int port = evtchn_next(pl->evtchn);

		if (port < 0)
			return;
		/* Unmasked before the ring is looked at: what comes after is a new event. */
		evtchn_unmask(pl->evtchn, (uint32_t)port);
		if ((uint32_t)port < pl->nr_ports && pl->by_port[port])
			pipeline_activate(pl, pl->by_port[port]);
		/* The others are looked at in any case; the descriptor stays readable for them. */
		if (!pl->reactor->nr_asleep)
			return;
	}
}

void pipeline_activate(struct pipeline *pl, struct queue *q)
{
	if (!list_linked(&q->link)) {
		list_add_tail(&pl->active, &q->link);
		pl->reactor->nr_asleep--;
	}
	q->last_work_ns = pl->reactor->now_ns;
}

void pipeline_deactivate(struct pipeline *pl, struct queue *q)
{
	if (list_linked(&q->link)) {
		list_del(&q->link);
		pl->reactor->nr_asleep++;
	}
}

bool pipeline_has_room_indirect(const struct pipeline *pl, const struct request *req)
{
	uint32_t indirect_pages = request_indirect_pages(req);

	/* What is fetched is brought in by a batch of its own. */
	return pl->pool.nr_free >= pl->promised + req->nr_segments + indirect_pages &&
	       grant_batch_room_in(&pl->batch) >= indirect_pages &&
	       pl->promised + req->nr_segments <= BATCH_OPS && !list_empty(&pl->tables.free);
}

void pipeline_fetch(struct pipeline *pl, struct io *io)
{
	const struct request *req = &io->record->request;

	io->first_op = pl->batch.nr_copies;
	for (uint32_t i = 0; i < request_indirect_pages(req); i++) {
		struct grant_copy copy = {
			.domid = io->queue->domid,
			.gref = req->indirect_grefs[i],
			.page = dmem_get(&pl->pool),
			.len_bytes = request_indirect_bytes(req, i),
		};

		io->few_pages[i] = copy.page;
		grant_batch_copy_in(&pl->batch, &copy);
	}
	pl->promised += req->nr_segments;
	list_add_tail(&pl->fetching, &io->bio.link);
}

/* The segments are there, or not. The request goes on, or is answered. */
static void fetched(struct pipeline *pl, struct io *io)
{
	const struct request *req = &io->record->request;
	uint32_t nr = request_indirect_pages(req);
	const struct raw_segments *pages[REQUEST_MAX_INDIRECT_PAGES];
	int16_t status = BLKIF_RSP_ERROR;

	for (uint32_t i = 0; i < nr; i++)
		pages[i] = io->few_pages[i];
	if (grant_batch_copied(&pl->batch, io->first_op, nr))
		status = queue_parse_segments(io->queue, io, pages);
	for (uint32_t i = 0; i < nr; i++)
		dmem_put(&pl->pool, io->few_pages[i]);
	if (status == BLKIF_RSP_OKAY) {
		list_add_tail(&pl->incoming, &io->bio.link);
	} else {
		POINT();
		list_del(&io->link);
		queue_refuse(io->queue, io, status);
	}
}

/* The batch of those in incoming was flushed. */
static void brought_in(struct pipeline *pl)
{
	struct io *io;

	list_for_each (io, &pl->incoming, bio.link) {
		POINT();
		io->status = io->xfer->brought_in(pl, io);
		POINT();
		if (__builtin_expect(!io->status, 1))
			continue;
		/* Not for the device, but what it holds still has to be let go. */
		list_del(&io->link);
		list_add_tail(&pl->outgoing, &io->link);
	}
	list_init(&pl->incoming);
}

/* Operations for what is to be brought out, as far as there is room. Return: requests. */
static uint32_t bring_out_some(struct pipeline *pl)
{
	uint32_t nr = 0;
	struct io *io;

	list_for_each (io, &pl->outgoing, link) {
		if (grant_batch_room_out(&pl->batch) < io->record->request.nr_segments)
			break;
		io->xfer->bring_out(pl, io);
		nr++;
	}
	return nr;
}

/* Of the batch, which was flushed, what the first @nr in outgoing wanted. */
static void brought_out(struct pipeline *pl, uint32_t nr)
{
	while (nr--) {
		struct io *io = list_entry(list_pop(&pl->outgoing), struct io, link);

		io->status = io->xfer->brought_out(pl, io);
		POINT();
		queue_answer(io->queue, io);
	}
}

/*
 * What was taken and what the device is done with, in one hypercall; of the latter as much as there is
 * room for. Return: requests brought out.
 */
static uint32_t exchange(struct pipeline *pl)
{
	uint32_t nr = bring_out_some(pl);

	POINT();
	if (grant_batch_flush(&pl->batch))
		pl->late = true;
	POINT();
	brought_out(pl, nr);
	grant_batch_let_go(&pl->batch);
	brought_in(pl);
	return nr;
}

/* The segments of indirect requests are there: now their data. */
static void bring_in_fetched(struct pipeline *pl)
{
	struct list_node *n;
	struct io *io;

	while ((n = list_pop(&pl->fetching)))
		fetched(pl, list_entry(n, struct io, bio.link));
	pl->promised = 0;
	grant_batch_reset(&pl->batch);
	if (list_empty(&pl->incoming))
		return;
	list_for_each (io, &pl->incoming, bio.link)
		io->xfer->bring_in(pl, io);
	exchange(pl);
	grant_batch_reset(&pl->batch);
}

static void bring_out(struct pipeline *pl)
{
	exchange(pl);
	grant_batch_reset(&pl->batch);
}

/* Whether more is on the rings, with which what is to be brought out can go in the next turn. */
static bool more_is_coming(const struct pipeline *pl)
{
	const struct queue *q;

	list_for_each (q, &pl->active, link) {
		if (queue_has_more(q))
			return true;
	}
	return false;
}

static void tell(struct pipeline *pl)
{
	pl->news_ns = pl->reactor->now_ns + PIPELINE_NEWS_NS;
	if (pl->news && !__atomic_exchange_n(&pl->news_sent, true, __ATOMIC_ACQUIRE))
		reactor_send(pl->control, pl->news);
}

static uint32_t pipeline_poll(struct poller *p)
{
	struct pipeline *pl = container_of(p, struct pipeline, poller);
	struct queue *q, *tmp;
	struct list_node *first;
	uint32_t work = 0;
	bool full;

	/* Each turn begins with another queue: the batch may fill before the last has its turn. */
	first = list_pop(&pl->active);
	if (!first)
		return 0;
	list_add_tail(&pl->active, first);
	pl->turn++;
	pl->submit_ns = 0;
	pl->reap_ns = 0;
	pl->late = false;

	list_for_each (q, &pl->active, link)
		work += queue_take(q);
	/* What is done by now goes with what was taken: one hypercall for both. */
	if (work) {
		list_for_each (q, &pl->active, link)
			work += q->nr_at_bdev ? queue_reap(q) : 0;
	}
	work += exchange(pl);
	bring_in_fetched(pl);
	pl->reap_ns = 0;
	full = !list_empty(&pl->outgoing);
	list_for_each (q, &pl->active, link)
		work += queue_submit_and_reap(q);
	if (full || !more_is_coming(pl)) {
		while (!list_empty(&pl->outgoing))
			bring_out(pl);
	}
	list_for_each_safe (q, tmp, &pl->active, link) {
		queue_respond(q);
		queue_settle(q);
	}
	if (work && pl->reactor->now_ns >= pl->news_ns)
		tell(pl);
	return work;
}

static void timer_ready(struct reactor_fd *rfd)
{
	uint64_t expirations;

	/* The turn that follows looks at all queues that are in the list. */
	if (read(rfd->fd, &expirations, sizeof(expirations)) < 0)
		return;
}

static void wake_at(struct pipeline *pl, uint64_t at_ns)
{
	struct itimerspec at = {
		.it_value = { (time_t)(at_ns / NS_PER_S), (long)(at_ns % NS_PER_S) },
	};

	timerfd_settime(pl->timer_fd.fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static bool pipeline_arm(struct poller *p)
{
	struct pipeline *pl = container_of(p, struct pipeline, poller);
	uint64_t due_ns = UINT64_MAX;
	struct queue *q;

	/* None is armed, and its guest sends no events, while we go on polling. */
	list_for_each (q, &pl->active, link) {
		if (queue_polls(q))
			return false;
	}
	list_for_each (q, &pl->active, link) {
		if (!queue_arm(q))
			return false;
		if (q->due_ns < due_ns)
			due_ns = q->due_ns;
	}
	if (due_ns != UINT64_MAX)
		wake_at(pl, due_ns);
	return true;
}

int pipeline_reserve_port(struct pipeline *pl, uint32_t port)
{
	uint32_t nr = port + 64;
	struct queue **grown;

	if (port < pl->nr_ports)
		return 0;
	grown = reallocarray(pl->by_port, nr, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + pl->nr_ports, 0, (nr - pl->nr_ports) * sizeof(*grown));
	pl->by_port = grown;
	pl->nr_ports = nr;
	return 0;
}

void pipeline_add_queue(struct pipeline *pl, struct queue *q)
{
	pl->by_port[q->port] = q;
	pl->reactor->nr_asleep++;
	pipeline_activate(pl, q);
}

void pipeline_del_queue(struct pipeline *pl, struct queue *q)
{
	pipeline_deactivate(pl, q);
	pl->by_port[q->port] = NULL;
	pl->reactor->nr_asleep--;
	if (pl->hungry == q)
		pl->hungry = NULL;
}

static int make_records(struct pipeline *pl, const char *dir, struct error *e)
{
	char name[32];
	int err;

	snprintf(name, sizeof(name), "batch-%u", pl->number);
	err = record_create(&pl->record, dir, name, RECORD_BATCH, BATCH_OPS,
			    grant_batch_bytes(BATCH_OPS));
	if (err)
		return error_set(e, -err, "cannot make %s/%s: %s", dir, name, strerror(-err));
	err = grant_batch_init(&pl->batch, pl->dmem, pl->record.mem, BATCH_OPS);
	if (err) {
		error_set(e, -err, "cannot use the grant table: %s", strerror(-err));
		goto destroy_record;
	}
	POINT();
	record_commit(&pl->record);
	POINT();
	snprintf(name, sizeof(name), "tables-%u", pl->number);
	err = table_pool_create(&pl->tables, dir, name, TABLES);
	if (!err)
		return 0;
	error_set(e, -err, "cannot make %s/%s: %s", dir, name, strerror(-err));
	grant_batch_fini(&pl->batch);
destroy_record:
	record_destroy(&pl->record);
	return err;
}

static void destroy_records(struct pipeline *pl)
{
	table_pool_destroy(&pl->tables);
	grant_batch_fini(&pl->batch);
	record_destroy(&pl->record);
}

int pipeline_create(struct pipeline *pl, const struct pipeline_args *args, struct error *e)
{
	int err;

	*pl = (struct pipeline){ .reactor = args->reactor,
				 .number = args->number,
				 .dmem = args->dmem,
				 .news = args->news,
				 .control = args->control,
				 .poller = { .poll = pipeline_poll, .arm = pipeline_arm } };
	list_init(&pl->active);
	list_init(&pl->fetching);
	list_init(&pl->incoming);
	list_init(&pl->outgoing);

	err = evtchn_open(&pl->evtchn);
	if (err)
		return error_set(e, -err, "cannot open /dev/xen/evtchn: %s", strerror(-err));
	err = dmem_pool_create(&pl->pool, pl->dmem, args->buffer_pages);
	if (err) {
		error_set(e, -err, "no memory for %u pages of data", args->buffer_pages);
		goto close_evtchn;
	}
	err = make_records(pl, args->state_dir, e);
	if (err)
		goto destroy_pool;
	pl->evtchn_fd = (struct reactor_fd){ xenevtchn_fd(pl->evtchn), evtchn_ready };
	reactor_add_poller(pl->reactor, &pl->poller);
	err = reactor_add_fd(pl->reactor, &pl->evtchn_fd);
	if (err) {
		error_set(e, -err, "cannot wait for event channels: %s", strerror(-err));
		goto del_poller;
	}
	err = reactor_add_timer(pl->reactor, &pl->idle_fd, idle_ready);
	if (err)
		goto del_evtchn;
	err = reactor_add_timer(pl->reactor, &pl->timer_fd, timer_ready);
	if (!err)
		return 0;
	reactor_del_timer(pl->reactor, &pl->idle_fd);
del_evtchn:
	error_set(e, -err, "cannot make a timer: %s", strerror(-err));
	reactor_del_fd(pl->reactor, &pl->evtchn_fd);
del_poller:
	reactor_del_poller(pl->reactor, &pl->poller);
	destroy_records(pl);
destroy_pool:
	dmem_pool_destroy(&pl->pool);
close_evtchn:
	xenevtchn_close(pl->evtchn);
	return err;
}

void pipeline_destroy(struct pipeline *pl)
{
	const struct reactor_stats *stats = &pl->reactor->stats;

	log_info("reactor %u: %" PRIu64 " grant calls with %" PRIu64 " operations, %" PRIu64
		 " turns, %" PRIu64 " sleeps, %" PRIu64 " ms busy; %" PRIu64
		 " calls were multicalls",
		 pl->number, pl->batch.nr_calls, pl->batch.nr_ops, stats->turns, stats->sleeps,
		 stats->busy_ns / 1000000, pl->batch.nr_multicalls);
	reactor_del_timer(pl->reactor, &pl->timer_fd);
	reactor_del_timer(pl->reactor, &pl->idle_fd);
	reactor_del_fd(pl->reactor, &pl->evtchn_fd);
	reactor_del_poller(pl->reactor, &pl->poller);
	destroy_records(pl);
	dmem_pool_destroy(&pl->pool);
	xenevtchn_close(pl->evtchn);
	free(pl->by_port);
}
