/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats - what a queue counts: counters (counter.h) that its reactor writes and any thread may read.
 *
 * All of them are 64-bit numbers and nothing else, so that those of several queues can be added up
 * without a word about what they are.
 */
#ifndef XENBLKD_STATS_H
#define XENBLKD_STATS_H

#include <stdint.h>

#include "counter.h"

/* Times in buckets of powers of two: up to 1.024 us, 2.048 us ... 68.7 s, and all above. */
#define STATS_BUCKETS	  28u
#define STATS_FIRST_BITS  10u
#define STATS_BOUND_NS(i) (1ull << (STATS_FIRST_BITS + (i))) /* of all but the last: at most */

struct stats_times {
	uint64_t buckets[STATS_BUCKETS];
	uint64_t sum_ns;
};

static inline void stats_time_add(struct stats_times *t, uint64_t ns)
{
	/* 2^n itself is the last of its bucket; all that is below those of the first falls into that. */
	uint64_t units = (ns - (ns > 0)) >> (STATS_FIRST_BITS - 1);
	uint32_t i = 63u ^ (uint32_t)__builtin_clzll(units | 1);

	counter_add(&t->buckets[i < STATS_BUCKETS ? i : STATS_BUCKETS - 1], 1);
	counter_add(&t->sum_ns, ns);
}

/* What times are told apart by. */
enum stats_kind {
	STATS_READ,
	STATS_WRITE,
	STATS_OTHER, /* flushes, barriers, discards */
	STATS_NR_KINDS,
};

struct queue_stats {
	uint64_t reads, writes, discards, barriers, flushes; /* answered, whatever the status */
	uint64_t bytes_read, bytes_written; /* of those that succeeded */
	uint64_t errors; /* failed at the device or at a grant */
	uint64_t refused; /* not a valid request */
	uint64_t indirect; /* of all these, those with segments in the guest's pages */
	uint64_t limited; /* had to wait for a limit */
	uint64_t notifies; /* events sent to the guest */
	uint64_t copied, mapped; /* grants, by the way that data took */
	uint64_t kept; /* segments that went through pages that were still mapped */
	uint64_t in_flight; /* taken and not answered, at the end of the queue's last turn */
	struct stats_times queued; /* from the ring to the device */
	struct stats_times device[STATS_NR_KINDS]; /* and there */
};

/* queue_stats_add - Thread: any; @sum is the caller's own. */
static inline void queue_stats_add(struct queue_stats *sum, const struct queue_stats *st)
{
	const uint64_t *from = (const uint64_t *)st;
	uint64_t *to = (uint64_t *)sum;

	for (uint32_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += counter_read(&from[i]);
}

#endif
