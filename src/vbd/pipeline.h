/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pipeline - the datapath of one reactor: a few stages over all its queues.
 *
 *   take      copy requests off the rings, validate
 *   exchange  in one grant hypercall: what was taken is brought in (copied or mapped), segments of
 *             indirect requests are fetched, and what the devices are done with is brought out
 *   bring in  one more, for the data of what was fetched
 *   submit    to the block devices
 *   reap      completions from the block devices, here and, if anything was taken, before the exchange
 *   bring out in one grant hypercall; with the next turn's exchange if more is on the rings
 *   respond   push responses, notify each guest at most once
 *
 * Each turn of the reactor moves whatever is there through all of them. Only queues with work are
 * visited: an idle one arms its ring and leaves the list until its event channel fires.
 *
 * Thread: create and destroy on the control thread while the reactor does not run; the rest on the
 * reactor.
 */
#ifndef XENBLKD_PIPELINE_H
#define XENBLKD_PIPELINE_H

#include "clock.h"
#include "dmem.h"
#include "evtchn.h"
#include "grant.h"
#include "list.h"
#include "reactor.h"
#include "record.h"
#include "share.h"
#include "table.h"

struct io;
struct queue;

/* So often a reactor with work says so. */
#define PIPELINE_NEWS_NS NS_PER_S

/* The least that pipeline_args.buffer_pages may be: one request of the largest kind. */
#define PIPELINE_MIN_PAGES (TABLE_SEGMENTS + REQUEST_MAX_INDIRECT_PAGES)

struct pipeline {
	struct reactor *reactor;
	struct poller poller;
	uint32_t number;
	uint32_t nr_queues; /* that were made for it, served or not; the control thread's */

	xenevtchn_handle *evtchn;
	struct reactor_fd evtchn_fd;
	struct reactor_fd timer_fd; /* wakes it for what waits for a limit */
	struct queue **by_port; /* nr_ports entries, indexed by local port */
	uint32_t nr_ports;

	struct dmem *dmem; /* the process's */
	struct dmem_pool pool; /* pages for data, shared by all queues */
	struct record record; /* holds the batch's operations */
	struct grant_batch batch;
	struct table_pool tables; /* for indirect requests, shared by all queues */
	struct share *
		shares; /* of pages, tables and turns: a guest's; the list is the control thread's */
	uint32_t turn; /* counts them */

	/* Segments of those in fetching: each will want an operation, and perhaps a page. */
	uint32_t promised;
	/*
	 * Found no room for what is first on its ring: nobody else takes anything until it has
	 * had what it needs, or small requests would keep a large one from it for ever.
	 */
	struct queue *hungry;

	struct list active; /* queues with work, the next to be served first */
	struct reactor_msg *news; /* see pipeline_args */
	struct reactor *control;
	bool news_sent; /* and not looked at yet; both threads */
	uint64_t news_ns; /* when there is more */
	struct reactor_fd idle_fd; /* a timer, while pages of guests stay mapped */
	bool idle_armed;
	/* The time of this turn's submissions, and completions; 0: there was none yet. */
	uint64_t submit_ns, reap_ns;
	bool late; /* some time has gone by since this turn began: a hypercall, a submission */
	struct list fetching; /* ios (by bio.link) whose segments are fetched in this turn */
	struct list
		incoming; /* ios (by bio.link) with operations in the batch of this turn's bring in */
	struct list outgoing; /* ios that the device is done with */
};

struct pipeline_args {
	struct reactor *reactor; /* stays the caller's, outlives the pipeline */
	uint32_t number; /* of the reactor, for the names of its records */
	const char *state_dir; /* where they go */
	/*
	 * What @control is sent while there is work, once in a while, if it has looked at the last:
	 * see pipeline_heard(). NULL: nothing.
	 */
	struct reactor_msg *news;
	struct reactor *control;
	struct dmem *dmem; /* stays the caller's, outlives the pipeline */
	uint32_t
		buffer_pages; /* of it, for data in flight over its queues; at least PIPELINE_MIN_PAGES */
};

/**
 * pipeline_create - gives the reactor a datapath
 *
 * Return: 0, or -errno and *@e.
 */
int pipeline_create(struct pipeline *pl, const struct pipeline_args *args, struct error *e);

/* pipeline_destroy - the reverse; no queue is left. */
void pipeline_destroy(struct pipeline *pl);

/**
 * pipeline_reserve_port - makes room for a queue with this local port; may allocate
 *
 * Return: 0 or -ENOMEM.
 */
int pipeline_reserve_port(struct pipeline *pl, uint32_t port);

/* pipeline_add_queue - starts serving a queue whose port is bound and has room. */
void pipeline_add_queue(struct pipeline *pl, struct queue *q);
void pipeline_del_queue(struct pipeline *pl, struct queue *q);

bool pipeline_has_room_indirect(const struct pipeline *pl, const struct request *req);

/* pipeline_has_room - true if there is what one more request like this may need. */
static inline bool pipeline_has_room(const struct pipeline *pl, const struct request *req)
{
	if (__builtin_expect(req->indirect, 0))
		return pipeline_has_room_indirect(pl, req);
	return pl->pool.nr_free >= pl->promised + req->nr_segments &&
	       grant_batch_room_in(&pl->batch) >= req->nr_segments;
}

/* pipeline_is_fair - true if a guest may have what this needs, for which there is room. */
static inline bool pipeline_is_fair(const struct pipeline *pl, const struct share *s,
				    const struct request *req)
{
	if (__builtin_expect(req->indirect, 0) && !share_allows(s->tables, 1, pl->tables.nr_free))
		return false;
	return share_allows(s->pages, req->nr_segments, pl->pool.nr_free - pl->promised);
}

/* pipeline_fetch - the segments of an indirect request; there is room for it. */
void pipeline_fetch(struct pipeline *pl, struct io *io);

/* pipeline_heard - the news have come; there may be more. Thread: control. */
static inline void pipeline_heard(struct pipeline *pl)
{
	__atomic_store_n(&pl->news_sent, false, __ATOMIC_RELEASE);
}

/* pipeline_stage_ns - the time of a stage of this turn, which asks the clock once, if at all. */
static inline uint64_t pipeline_stage_ns(struct pipeline *pl, uint64_t *stage_ns)
{
	if (!*stage_ns)
		*stage_ns = pl->late ? clock_ns() : reactor_now_ns(pl->reactor);
	return *stage_ns;
}

/* pipeline_keeps - a queue has pages of its guest's that stay mapped: to be trimmed when idle. */
void pipeline_keeps(struct pipeline *pl);

/* pipeline_activate - the queue has work: it is visited from the next turn on. */
void pipeline_activate(struct pipeline *pl, struct queue *q);

/* pipeline_deactivate - it is visited no more until its event comes. */
void pipeline_deactivate(struct pipeline *pl, struct queue *q);

#endif
