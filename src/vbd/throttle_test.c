/* SPDX-License-Identifier: BSD-2-Clause */
#include "throttle.h"

#include "clock.h"
#include "tap.h"

#define START_NS (1000 * NS_PER_S)

static struct throttle throttle;
static uint64_t now_ns;

static void limit(uint64_t iops, uint64_t bps, uint64_t burst_ms)
{
	struct throttle_limits l = { .iops = { iops, 0 }, .bps = { bps, 0 }, .burst_ms = burst_ms };

	throttle = (struct throttle){ 0 };
	now_ns = START_NS;
	throttle_set(&throttle, &l, now_ns);
}

static bool take(uint32_t queue, uint64_t bytes)
{
	uint64_t due_ns = UINT64_MAX;

	return throttle_take(&throttle, queue, THROTTLE_READS, bytes, now_ns, &due_ns);
}

/* A queue that always has more, looked at when it asks to be. Return: requests in that time. */
static uint32_t run(uint64_t ns, uint64_t bytes)
{
	uint64_t end_ns = now_ns + ns;
	uint32_t done = 0;

	while (now_ns < end_ns) {
		uint64_t due_ns = UINT64_MAX;

		if (throttle_take(&throttle, 0, THROTTLE_READS, bytes, now_ns, &due_ns))
			done++;
		else
			now_ns = due_ns;
	}
	return done;
}

static void requests_go_at_their_rate(void)
{
	limit(1000, 0, 10);
	check_eq(run(10 * NS_PER_S, 4096), 10000);
	limit(7, 0, 100);
	check_eq(run(10 * NS_PER_S, 4096), 70);
	limit(200000, 0, 10);
	/* Those of the last half millisecond are still due. */
	check(run(10 * NS_PER_S, 4096) >= 1999900);
}

static void bytes_go_at_their_rate(void)
{
	limit(0, 10000000, 100);
	check_eq(run(10 * NS_PER_S, 65536) * 65536 / 1000000, 100);
}

static void the_lower_limit_counts(void)
{
	limit(1000, 1000000, 10);
	check_eq(run(10 * NS_PER_S, 10000), 1000);
	limit(100, 100000000, 10);
	check_eq(run(10 * NS_PER_S, 10000), 1000);
}

static void what_was_saved_up_goes_at_once(void)
{
	uint32_t at_once = 0;

	limit(1000, 0, 200);
	now_ns += 60 * NS_PER_S;
	while (take(0, 512))
		at_once++;
	check_eq(at_once, 201);
}

static void without_burst_one_goes_at_a_time(void)
{
	limit(100, 0, 0);
	now_ns += 60 * NS_PER_S;
	check(take(0, 512));
	check(!take(0, 512));
	now_ns += NS_PER_S / 100;
	check(take(0, 512));
	check(!take(0, 512));
}

static void a_large_request_goes_and_is_paid_for(void)
{
	limit(0, 1000, 100);
	check(take(0, 60000));
	now_ns += 59 * NS_PER_S;
	check(!take(0, 1));
	now_ns += 2 * NS_PER_S;
	check(take(0, 1));
}

static void what_goes_in_any_case_is_paid_for(void)
{
	limit(100, 0, 10);
	for (int i = 0; i < 100; i++)
		throttle_charge(&throttle, THROTTLE_READS, 512, now_ns);
	now_ns += 9 * NS_PER_S / 10;
	check(!take(0, 512));
	now_ns += NS_PER_S / 10;
	check(take(0, 512));
}

static void ways_are_apart(void)
{
	uint64_t due_ns = UINT64_MAX;

	limit(1, 0, 0);
	check(take(0, 512));
	check(!take(0, 512));
	check(!throttle_is_limited(&throttle, THROTTLE_WRITES));
	check(throttle_take(&throttle, 0, THROTTLE_WRITES, 512, now_ns, &due_ns));
}

static void queues_that_wait_take_turns(void)
{
	uint32_t done[3] = { 0 };

	limit(1000, 0, 100);
	/* Looked at in the same order each time, and one of them more often. */
	for (int i = 0; i < 10000; i++, now_ns += NS_PER_S / 1000) {
		done[0] += take(0, 4096);
		done[0] += take(0, 4096);
		done[2] += take(2, 4096);
		done[1] += take(1, 4096);
	}
	check_eq(done[0] + done[1] + done[2], 10000);
	check(done[0] >= 3330 && done[0] <= 3336);
	check(done[1] >= 3330 && done[1] <= 3336);
}

static void one_that_does_not_come_is_not_waited_for(void)
{
	uint32_t done = 0;

	limit(1000, 0, 100);
	check(take(0, 512));
	check(!take(1, 512));
	check(!take(0, 512));
	/* Queue 1 is next, and has gone to sleep. */
	for (int i = 0; i < 1000; i++, now_ns += NS_PER_S / 1000)
		done += take(0, 512);
	check(done > 900);
}

static void one_that_leaves_is_not_waited_for(void)
{
	limit(1000, 0, 100);
	check(take(0, 512));
	check(!take(1, 512));
	check(!take(0, 512));
	now_ns += NS_PER_S / 1000;
	throttle_leave(&throttle, 1, THROTTLE_READS);
	check(take(0, 512));
}

static void a_limit_that_is_lifted_is_gone(void)
{
	limit(1, 0, 0);
	check(take(0, 512));
	check(!take(0, 512));
	throttle_set(&throttle, &(struct throttle_limits){ 0 }, now_ns);
	check(!throttle_is_limited(&throttle, THROTTLE_READS));
	for (int i = 0; i < 1000; i++)
		check(take(0, 512));
}

int main(void)
{
	tap_run(requests_go_at_their_rate);
	tap_run(bytes_go_at_their_rate);
	tap_run(the_lower_limit_counts);
	tap_run(what_was_saved_up_goes_at_once);
	tap_run(without_burst_one_goes_at_a_time);
	tap_run(a_large_request_goes_and_is_paid_for);
	tap_run(what_goes_in_any_case_is_paid_for);
	tap_run(ways_are_apart);
	tap_run(queues_that_wait_take_turns);
	tap_run(one_that_does_not_come_is_not_waited_for);
	tap_run(one_that_leaves_is_not_waited_for);
	tap_run(a_limit_that_is_lifted_is_gone);
	return tap_end();
}
