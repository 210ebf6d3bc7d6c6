/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * throttle - what a disk may do in a second: requests and bytes, reads and writes apart.
 *
 * Each of the four limits is a token bucket, kept as one number: the time up to which what was done is
 * paid for. A request may go when that time has come, and moves it on by what it costs; it never lies
 * further back than the burst, which is what can be saved up. So a request that is larger than the
 * bucket goes, and those behind it wait until it is paid for: what is done in the long run is exact.
 *
 * The disk's queues share it, on whichever reactors they are: nothing is locked. Two that take at the
 * same instant may both go, and what was too much is paid for by whoever comes next. Queues that wait
 * take turns, request by request; one that does not come though it is its turn keeps the others waiting
 * for half of the burst at most.
 *
 * Thread: throttle_set() from the control thread, the rest from any reactor.
 */
#ifndef XENBLKD_THROTTLE_H
#define XENBLKD_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_BURST_MS     100u /* if nobody says */
#define THROTTLE_MAX_BURST_MS 60000u

enum throttle_way {
	THROTTLE_READS,
	THROTTLE_WRITES, /* and flushes, barriers, discards, which have no bytes but those they bring */
	THROTTLE_NR_WAYS,
};

/* As an operator says it; 0: no limit. */
struct throttle_limits {
	uint64_t iops[THROTTLE_NR_WAYS];
	uint64_t bps[THROTTLE_NR_WAYS]; /* bytes a second */
	uint64_t burst_ms; /* so much of each limit can be saved up */
};

struct throttle_bucket {
	uint64_t rate; /* units a second; 0: no limit */
	uint64_t paid_ns;
};

struct throttle {
	struct throttle_bucket requests[THROTTLE_NR_WAYS], bytes[THROTTLE_NR_WAYS];
	uint64_t burst_ns;
	bool limited[THROTTLE_NR_WAYS];
	uint32_t waiting[THROTTLE_NR_WAYS]; /* bit n: queue n has something that waits */
	uint32_t last[THROTTLE_NR_WAYS]; /* the queue that went last while others waited */
};

/* throttle_set - from now on; what is owed by then is forgotten. Thread: control. */
void throttle_set(struct throttle *t, const struct throttle_limits *limits, uint64_t now_ns);

/* throttle_is_limited - whether there is any limit. */
static inline bool throttle_is_limited(const struct throttle *t, enum throttle_way way)
{
	return __atomic_load_n(&t->limited[way], __ATOMIC_RELAXED);
}

/**
 * throttle_take - may a request of @bytes go now?
 *
 * @queue: whose it is, 0 to 31; if it may not, that queue counts as waiting
 * @due_ns: if it may not, when to ask again, if that is sooner than what stands there
 *
 * Return: true, and it is paid for.
 */
bool throttle_take(struct throttle *t, uint32_t queue, enum throttle_way way, uint64_t bytes,
		   uint64_t now_ns, uint64_t *due_ns);

/* throttle_charge - it goes in any case, and is paid for by those that come. */
void throttle_charge(struct throttle *t, enum throttle_way way, uint64_t bytes, uint64_t now_ns);

/* throttle_leave - nothing of this queue waits any more. */
void throttle_leave(struct throttle *t, uint32_t queue, enum throttle_way way);

#endif
