/* SPDX-License-Identifier: BSD-2-Clause */
#include "throttle.h"

#include "clock.h"
#include "counter.h"

/* A queue that waits is looked at again so much later than it has to be: several go at once then. */
#define SLACK_NS (500 * NS_PER_US)

static void bucket_set(struct throttle_bucket *b, uint64_t rate, uint64_t now_ns)
{
	counter_set(&b->paid_ns, now_ns);
	counter_set(&b->rate, rate);
}

void throttle_set(struct throttle *t, const struct throttle_limits *limits, uint64_t now_ns)
{
	counter_set(&t->burst_ns, limits->burst_ms * 1000 * NS_PER_US);
	for (uint32_t way = 0; way < THROTTLE_NR_WAYS; way++) {
		bucket_set(&t->requests[way], limits->iops[way], now_ns);
		bucket_set(&t->bytes[way], limits->bps[way], now_ns);
		__atomic_store_n(&t->limited[way], limits->iops[way] || limits->bps[way],
				 __ATOMIC_RELAXED);
	}
}

/* When it is paid for; 0 without a limit. */
static uint64_t bucket_paid_ns(const struct throttle_bucket *b)
{
	return counter_read(&b->rate) ? counter_read(&b->paid_ns) : 0;
}

static void bucket_charge(struct throttle_bucket *b, uint64_t units, uint64_t burst_ns,
			  uint64_t now_ns)
{
	uint64_t rate = counter_read(&b->rate), paid_ns = counter_read(&b->paid_ns), next_ns;

	if (!rate)
		return;
	do {
		next_ns = paid_ns + burst_ns < now_ns ? now_ns - burst_ns : paid_ns;
		next_ns += (units * NS_PER_S + rate / 2) / rate;
	} while (!__atomic_compare_exchange_n(&b->paid_ns, &paid_ns, next_ns, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

void throttle_charge(struct throttle *t, enum throttle_way way, uint64_t bytes, uint64_t now_ns)
{
	uint64_t burst_ns = counter_read(&t->burst_ns);

	bucket_charge(&t->requests[way], 1, burst_ns, now_ns);
	bucket_charge(&t->bytes[way], bytes, burst_ns, now_ns);
}

/* Whether @queue is the next of those that wait. */
static bool has_turn(uint32_t waiting, uint32_t queue, uint32_t last)
{
	for (uint32_t i = 1; i <= 32; i++) {
		uint32_t next = (last + i) % 32;

		if (next == queue)
			return true;
		if (waiting >> next & 1)
			return false;
	}
	return true;
}

static void wait_until(uint64_t *due_ns, uint64_t at_ns)
{
	if (at_ns < *due_ns)
		*due_ns = at_ns;
}

bool throttle_take(struct throttle *t, uint32_t queue, enum throttle_way way, uint64_t bytes,
		   uint64_t now_ns, uint64_t *due_ns)
{
	uint64_t requests_ns = bucket_paid_ns(&t->requests[way]);
	uint64_t bytes_ns = bucket_paid_ns(&t->bytes[way]);
	uint64_t paid_ns = requests_ns > bytes_ns ? requests_ns : bytes_ns;
	uint64_t burst_ns = counter_read(&t->burst_ns);
	uint64_t slack_ns = burst_ns / 2 < SLACK_NS ? burst_ns / 2 : SLACK_NS;
	uint32_t waiting = __atomic_load_n(&t->waiting[way], __ATOMIC_RELAXED);
	uint32_t last = __atomic_load_n(&t->last[way], __ATOMIC_RELAXED);

	if (paid_ns > now_ns) {
		wait_until(due_ns, paid_ns + slack_ns);
	} else if (!has_turn(waiting, queue, last) && now_ns - paid_ns < burst_ns / 2) {
		wait_until(due_ns, now_ns + SLACK_NS);
	} else {
		if (waiting)
			__atomic_store_n(&t->last[way], queue, __ATOMIC_RELAXED);
		throttle_charge(t, way, bytes, now_ns);
		return true;
	}
	if (!(waiting >> queue & 1))
		__atomic_fetch_or(&t->waiting[way], 1u << queue, __ATOMIC_RELAXED);
	return false;
}

void throttle_leave(struct throttle *t, uint32_t queue, enum throttle_way way)
{
	if (__atomic_load_n(&t->waiting[way], __ATOMIC_RELAXED) >> queue & 1)
		__atomic_fetch_and(&t->waiting[way], ~(1u << queue), __ATOMIC_RELAXED);
}
