/* SPDX-License-Identifier: BSD-2-Clause */
/* More of everything than is good: events, bad requests, good ones. */
#include "ask_cases.h"

#include <string.h>
#include <time.h>

/* Many events, of a ring that has nothing. */
static void events(struct hostile *h, const struct hostile_case *k)
{
	for (uint64_t i = 0; i < k->number; i++)
		front_queue_notify(hostile_queue(h));
}

/* An event for each request, wanted or not, and requests one by one. */
static void events_and_requests(struct hostile *h, const struct hostile_case *k)
{
	for (uint64_t i = 0; i < k->number; i++) {
		front_queue_notify(hostile_queue(h));
		h->seen |= ask_serves(h) ? OKAY : NO_ANSWER;
		front_queue_notify(hostile_queue(h));
	}
}

static uint32_t fill(struct hostile *h, struct front_queue *q, const struct ask *ask, uint32_t max)
{
	uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
	uint64_t id;
	uint32_t nr = 0;

	ask_encode(h, ask, entry, &id, &operation);
	while (nr < max && !front_queue_put_raw(q, entry))
		nr++;
	front_queue_push(q);
	return nr;
}

/* Rings full of the same, k->number of them. */
static void rings_of(struct hostile *h, const struct hostile_case *k)
{
	for (uint64_t i = 0; i < k->number && !(h->seen & NO_ANSWER); i++)
		h->seen |= ask_collect(h, hostile_queue(h),
				       fill(h, hostile_queue(h), &k->ask, UINT32_MAX));
	if (k->ask.op != R)
		ask_restore(h, k->disk);
}

/* On all the queues that it can have, each with the largest ring; as many in each as k->number. */
static void all_queues(struct hostile *h, const struct hostile_case *k)
{
	struct front_wishes before = h->wishes;
	uint32_t nr[FRONT_MAX_QUEUES];

	h->wishes.exact = false;
	h->wishes.nr_queues = 16;
	h->wishes.ring_order = 4;
	if (session_connect(h, NULL, 0)) {
		hostile_wrong(h, "it is not connected");
	} else {
		for (uint32_t i = 0; i < h->front->nr_queues; i++)
			nr[i] = fill(h, &h->front->queues[i], &k->ask, (uint32_t)k->number);
		for (uint32_t i = 0; i < h->front->nr_queues; i++)
			h->seen |= ask_collect(h, &h->front->queues[i], nr[i]);
		session_disconnect(h);
	}
	h->wishes = before;
}

/* Answers that nobody takes off the ring: it stands still, and nobody else. */
static void never_takes(struct hostile *h, const struct hostile_case *k)
{
	struct timespec pause = { .tv_nsec = 20000000 };
	struct front_queue *q = hostile_queue(h);
	uint32_t nr = fill(h, q, &k->ask, UINT32_MAX);

	nanosleep(&pause, NULL);
	for (int i = 0; i < 100; i++)
		front_queue_notify(q);
	h->seen |= ask_collect(h, q, nr);
}

#define RINGS(name_, does_, answers_, number_, ...)                                 \
	{                                                                           \
		.name = name_, .does = does_, .answers = answers_, .run = rings_of, \
		.number = number_,                                                  \
		.ask = { __VA_ARGS__ }                                              \
	}

#define QUEUES(name_, does_, answers_, number_, ...)                                  \
	{                                                                             \
		.name = name_, .does = does_, .answers = answers_, .run = all_queues, \
		.closed = true, .number = number_,                                    \
		.ask = { __VA_ARGS__ }                                                \
	}

static const struct hostile_case cases[] = {
	{ .name = "events",
	  .does = "5000 events without a request",
	  .run = events,
	  .number = 5000 },
	{ .name = "events-and-requests",
	  .does = "two events for each request",
	  .answers = OKAY,
	  .run = events_and_requests,
	  .number = 200 },
	RINGS("unknown", "100 rings of unknown operations", UNSUPPORTED, 100, .op = 99, .nr = 1),
	RINGS("refused", "100 rings of requests beyond the disk", ERROR, 100, .op = R, .nr = 11,
	      .sector = UINT64_MAX),
	RINGS("bad-grants", "50 rings of requests with bad grants", ERROR, 50, .op = R, .nr = 11,
	      .odd = true, .odd_at = 10, .last = 7, .page = PAGE_BEYOND),
	RINGS("bad-indirect", "50 rings of indirect requests without a page", ERROR, 50, .op = R,
	      .indirect = true, .nr = 256, .segments_in = PAGE_BEYOND),
	RINGS("bad-segments", "20 rings of indirect requests whose 256th segment is bad", ERROR, 20,
	      .op = R, .indirect = true, .nr = 256, .odd = true, .odd_at = 255, .last = 8),
	RINGS("flushes", "10 rings of flushes", OKAY, 10, .op = F),
	RINGS("barriers", "3 rings of barriers", OKAY, 3, .op = B, .nr = 1),
	RINGS("discards", "20 rings of discards", OKAY | UNSUPPORTED, 20, .op = D, .sector = 1024,
	      .nr_sectors = 8),
	RINGS("indirect", "4 rings of indirect reads of 1 MiB", OKAY, 4, .op = R, .indirect = true,
	      .nr = 256),
	{ .name = "never-takes",
	  .does = "a full ring whose answers nobody takes",
	  .answers = OKAY,
	  .run = never_takes,
	  .ask = { .op = R, .nr = 11 } },
	QUEUES("queues", "16 rings of 16 pages, all full of small reads", OKAY, 512, .op = R,
	       .nr = 1),
	QUEUES("queues-11", "20 reads of 11 pages in each", OKAY, 20, .op = R, .nr = 11),
	QUEUES("queues-indirect", "16 reads of 1 MiB in each", OKAY, 16, .op = R, .indirect = true,
	       .nr = 256),
	QUEUES("queues-barriers", "16 barriers in each", OKAY, 16, .op = B),
	QUEUES("queues-bad", "all full of unknown operations", UNSUPPORTED, 512, .op = 77),
};

const struct hostile_group floods_group = { "flood", cases, NR(cases) };
