/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * balance - moves queues from a reactor that has more to do than it can to one that has not.
 *
 * Queues are spread by number when they are made, and guests do not ask for the same. While there is
 * work, reactors say so once in a while; the control thread then looks how busy each has been since the
 * last time, and which of its queues asked for how much. One queue moves at a time, and only if both
 * reactors together are better off for it.
 *
 * Thread: control.
 */
#ifndef XENBLKD_BALANCE_H
#define XENBLKD_BALANCE_H

#include <stdint.h>

#include "datapath.h"
#include "list.h"
#include "reactor.h"

/* Of CPU time, in percent: who is above is relieved, by one who is below. */
#define BALANCE_BUSY 85u
#define BALANCE_FREE 60u

/* After a queue has moved: until it is clear what came of it. */
#define BALANCE_REST_NS (3 * NS_PER_S)

struct balance_reactor {
	struct reactor_msg msg; /* its news */
	struct balance *balance;
	struct pipeline *pipeline;
	uint64_t busy_ns; /* as of the last look */
};

struct balance {
	struct balance_reactor reactors[DATAPATH_MAX_REACTORS];
	uint32_t nr;
	struct list *vbds;
	uint64_t looked_ns, rest_until_ns;
};

/* balance_init - @control: whose thread it is. What balance_news() gives is for datapath_create(). */
void balance_init(struct balance *b, uint32_t nr_reactors);

/* balance_start - there are reactors, and @vbds. */
void balance_start(struct balance *b, struct datapath *dp, struct list *vbds);

/* balance_stop - the disks are gone; what reactors still say is of no use. */
void balance_stop(struct balance *b);

/* What a queue asked for, in any unit, and where it is served. */
struct balance_queue {
	uint32_t reactor;
	uint64_t cost;
};

struct balance_move {
	uint32_t queue, to;
};

/**
 * balance_choose - which queue should go where
 *
 * @busy: of each reactor, in percent
 *
 * Return: true and *@move, or false: none should.
 */
bool balance_choose(const uint32_t *busy, uint32_t nr_reactors, const struct balance_queue *queues,
		    uint32_t nr_queues, struct balance_move *move);

#endif
