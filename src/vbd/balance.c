/* SPDX-License-Identifier: BSD-2-Clause */
#include "balance.h"

#include <string.h>

#include "log.h"
#include "vbd.h"

/* Looked at together; further ones stay where they are. */
#define MAX_QUEUES 256u

/* A look at less than this is one at noise. */
#define MIN_LOOK_NS (NS_PER_S / 2)

/* A request costs as much as the copy of so many bytes, about. */
#define BYTES_PER_COST 16384u

/*
 * What is moved is taken to cost its share of its reactor's time. The best one leaves both equally busy;
 * one that would only make the other the busier stays.
 */
bool balance_choose(const uint32_t *busy, uint32_t nr_reactors, const struct balance_queue *queues,
		    uint32_t nr_queues, struct balance_move *move)
{
	uint32_t from = 0, to = 0, best = UINT32_MAX;
	uint64_t sum = 0;

	for (uint32_t i = 1; i < nr_reactors; i++) {
		from = busy[i] > busy[from] ? i : from;
		to = busy[i] < busy[to] ? i : to;
	}
	if (busy[from] < BALANCE_BUSY || busy[to] > BALANCE_FREE)
		return false;
	for (uint32_t i = 0; i < nr_queues; i++)
		sum += queues[i].reactor == from ? queues[i].cost : 0;
	for (uint32_t i = 0; i < nr_queues; i++) {
		uint64_t share, now, then;

		if (queues[i].reactor != from || !queues[i].cost)
			continue;
		share = busy[from] * queues[i].cost / sum;
		/* The busier of the two, before and after. */
		then = busy[from] - share > busy[to] + share ? busy[from] - share
							     : busy[to] + share;
		now = best == UINT32_MAX ? busy[from] : best;
		if (!share || then >= now)
			continue;
		best = (uint32_t)then;
		*move = (struct balance_move){ i, to };
	}
	return best != UINT32_MAX;
}

static uint64_t cost_of(const struct queue_stats *st)
{
	return counter_read(&st->reads) + counter_read(&st->writes) +
	       (counter_read(&st->bytes_read) + counter_read(&st->bytes_written)) / BYTES_PER_COST;
}

static uint32_t number_of(const struct balance *b, const struct pipeline *pl)
{
	return pl->number < b->nr ? pl->number : 0;
}

struct place {
	struct vbd *vbd;
	uint32_t queue;
};

/* What each has asked for since the last look. Return: how many there are. */
static uint32_t look_at_queues(struct balance *b, struct balance_queue *queues,
			       struct place *places)
{
	uint32_t nr = 0;
	struct vbd *v;

	list_for_each (v, b->vbds, link) {
		for (uint32_t i = 0; i < v->nr_queues && nr < MAX_QUEUES; i++) {
			struct vbd_queue *vq = &v->queues[i];
			uint64_t cost = cost_of(&vq->queue->stats), before = vq->cost;

			vq->cost = cost;
			if (v->state != NEGOTIATE_CONNECTED || queue_moves(vq->queue))
				continue;
			queues[nr] = (struct balance_queue){ number_of(b, vq->queue->pipeline),
							     /* Another one since. */
							     cost < before ? cost : cost - before };
			places[nr++] = (struct place){ v, i };
		}
	}
	return nr;
}

static void look_at_reactors(struct balance *b, uint64_t ns, uint32_t *busy)
{
	for (uint32_t i = 0; i < b->nr; i++) {
		struct balance_reactor *r = &b->reactors[i];
		uint64_t now_ns = counter_read(&r->pipeline->reactor->stats.busy_ns);

		busy[i] = (uint32_t)(100 * (now_ns - r->busy_ns) / ns);
		r->busy_ns = now_ns;
	}
}

static void look(struct balance *b)
{
	static struct balance_queue queues[MAX_QUEUES];
	static struct place places[MAX_QUEUES];
	uint32_t busy[DATAPATH_MAX_REACTORS], nr;
	uint64_t now_ns = clock_ns(), ns = now_ns - b->looked_ns;
	struct balance_move move;
	const struct place *p;

	if (ns < MIN_LOOK_NS)
		return;
	b->looked_ns = now_ns;
	look_at_reactors(b, ns, busy);
	nr = look_at_queues(b, queues, places);
	/* After a long silence it is an average over that. */
	if (ns > 2 * PIPELINE_NEWS_NS || now_ns < b->rest_until_ns ||
	    !balance_choose(busy, b->nr, queues, nr, &move))
		return;
	p = &places[move.queue];
	log_info("%s: queue %u goes from reactor %u to reactor %u: these are busy for %u and %u %% "
		 "of the time",
		 p->vbd->name, p->queue, queues[move.queue].reactor, move.to,
		 busy[queues[move.queue].reactor], busy[move.to]);
	b->rest_until_ns = now_ns + BALANCE_REST_NS;
	queue_move(p->vbd->queues[p->queue].queue, b->reactors[move.to].pipeline);
}

static void news(struct reactor_msg *msg)
{
	struct balance_reactor *r = container_of(msg, struct balance_reactor, msg);

	/* Before the look: what comes after it is news again. */
	pipeline_heard(r->pipeline);
	if (r->balance->vbds)
		look(r->balance);
}

void balance_init(struct balance *b, uint32_t nr_reactors)
{
	*b = (struct balance){ .nr = nr_reactors };
	for (uint32_t i = 0; i < nr_reactors; i++)
		b->reactors[i] = (struct balance_reactor){ .msg.fn = news, .balance = b };
}

void balance_start(struct balance *b, struct datapath *dp, struct list *vbds)
{
	for (uint32_t i = 0; i < b->nr; i++)
		b->reactors[i].pipeline = &dp->reactors[i].pipeline;
	b->looked_ns = clock_ns();
	b->vbds = vbds;
}

void balance_stop(struct balance *b)
{
	b->vbds = NULL;
}
