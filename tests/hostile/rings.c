/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings: their indices, and the pages they are in. */
#include "ask_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/xenbus.h>

static struct blkif_sring *sring(const struct front_queue *q)
{
	return q->ring.shared;
}

static void store_index(uint32_t *index, uint32_t value)
{
	__atomic_store_n(index, value, __ATOMIC_SEQ_CST);
}

/* ----- indices */

/* The producer goes so far beyond what was consumed. */
static void producer_jumps(struct hostile *h, const struct hostile_case *k)
{
	struct front_queue *q = hostile_queue(h);

	store_index(&sring(q)->req_prod, q->ring.req_prod + (uint32_t)k->number);
	front_queue_notify(q);
}

/* To this place, wherever the ring stands. */
static void producer_is(struct hostile *h, const struct hostile_case *k)
{
	/* Further from 0 than any ring is long. */
	for (int i = 0; i < 100; i++)
		if (!ask_serves(h))
			hostile_wrong(h, "requests are not answered");
	store_index(&sring(hostile_queue(h))->req_prod, (uint32_t)k->number);
	front_queue_notify(hostile_queue(h));
}

/* As many requests as the ring has slots, that nobody wrote. */
static void stale_entries(struct hostile *h, const struct hostile_case *k)
{
	struct front_queue *q = hostile_queue(h);
	uint32_t nr = q->ring.nr_entries;

	memset((uint8_t *)q->ring.shared + 64, (int)k->number, nr * q->ring.entry_bytes);
	q->ring.req_prod += nr;
	h->seen |= ask_collect(h, q, nr);
}

/* A full ring, and one more behind it. */
static void full_and_one(struct hostile *h, const struct hostile_case *k)
{
	struct front_queue *q = hostile_queue(h);
	uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
	uint64_t id;

	(void)k;
	while (front_ring_free(&q->ring)) {
		ask_encode(h, &(struct ask){ .op = R, .nr = 1 }, entry, &id, &operation);
		front_queue_put_raw(q, entry);
	}
	/* Two slots' worth more, so that it is too many whatever was answered meanwhile. */
	store_index(&sring(q)->req_prod, q->ring.req_prod + 2 * q->ring.nr_entries);
	front_queue_notify(q);
}

/* What is the backend's to write, or is only looked at, is written by the guest. */
static void other_indices(struct hostile *h, const struct hostile_case *k)
{
	struct front_queue *q = hostile_queue(h);
	uint32_t *const words[] = { &sring(q)->rsp_prod, &sring(q)->req_event,
				    &sring(q)->rsp_event };
	uint32_t *word = words[k->number >> 32];
	uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
	uint64_t id;

	for (int i = 0; i < 20; i++) {
		ask_encode(h, &(struct ask){ .op = R, .nr = 1 }, entry, &id, &operation);
		front_queue_put_raw(q, entry);
		/* It writes where its responses are with the next one. */
		store_index(word, (uint32_t)k->number);
		front_ring_push(&q->ring);
		front_queue_notify(q);
		for (int wait = 0; wait < 1000 && sring(q)->rsp_prod != q->ring.rsp_cons + 1;
		     wait++)
			front_device_state(&h->store, h->front->device.backend);
		h->seen |= ask_collect(h, q, 1);
	}
}

/* Bytes around the indices, in which nothing is. */
static void padding(struct hostile *h, const struct hostile_case *k)
{
	(void)k;
	memset((uint8_t *)hostile_queue(h)->ring.shared + 16, 0xff, 48);
	h->seen |= ask_serves(h) ? OKAY : NO_ANSWER;
}

/* ----- a ring that is not as it should be when it is connected */

static bool text_of(char *text, size_t size, uint32_t value)
{
	return snprintf(text, size, "%u", value) < (int)size;
}

/* A ring in a page of ours: its indices as in k->number. Return: whether it was connected. */
static bool connect_page(struct hostile *h, struct front_pages *page, uint32_t req_prod,
			 uint32_t rsp_prod)
{
	char ref[12];
	const struct front_node node = { "ring-ref", ref };
	struct blkif_sring *ring = (void *)page->mem;

	text_of(ref, sizeof(ref), page->grefs[0]);
	*ring = (struct blkif_sring){ .req_prod = req_prod,
				      .req_event = req_prod + 1,
				      .rsp_prod = rsp_prod,
				      .rsp_event = rsp_prod + 1 };
	return !session_connect(h, &node, 1);
}

/* In turn: request, response index. */
static void begins_at(struct hostile *h, const struct hostile_case *k)
{
	struct front_pages page;

	if (front_pages_create(&page, h->gntshr, 0, 1, true))
		return;
	if (connect_page(h, &page, (uint32_t)(k->number >> 32), (uint32_t)k->number) &&
	    k->fate == FATE_REFUSED)
		hostile_wrong(h, "it was connected");
	session_disconnect(h);
	front_pages_destroy(&page);
}

/* One that is served from just before 2^32 on, and across it. */
static void wraps(struct hostile *h, const struct hostile_case *k)
{
	uint32_t start = (uint32_t)-40;
	struct front_queue *q = hostile_queue(h);
	struct front_pages page;
	void *own;

	(void)k;
	if (front_pages_create(&page, h->gntshr, 0, 1, true))
		return;
	if (!connect_page(h, &page, start, start)) {
		hostile_wrong(h, "it is not connected");
	} else {
		own = q->ring.shared;
		q->ring.shared = page.mem;
		q->ring.req_prod = q->ring.req_pushed = q->ring.rsp_cons = start;
		for (int i = 0; i < 100; i++)
			h->seen |= ask_serves(h) ? OKAY : NO_ANSWER;
		q->ring.shared = own;
	}
	session_disconnect(h);
	front_pages_destroy(&page);
}

/* ----- pages */

/* The ring is in such a page. */
static void in_page(struct hostile *h, const struct hostile_case *k)
{
	char ref[12];
	const struct front_node node = { "ring-ref", ref };
	/* There is no ring of our own yet. */
	uint32_t gref = ask_gref(h, (enum page)k->number, h->pages.grefs[0]);

	text_of(ref, sizeof(ref), gref);
	if (!session_connect(h, &node, 1))
		hostile_wrong(h, "it was connected");
}

/* Two pages of a ring are one. */
static void same_page_twice(struct hostile *h, const struct hostile_case *k)
{
	char ref[12];
	const struct front_node nodes[] = { { "ring-page-order", "1" },
					    { "ring-ref0", ref },
					    { "ring-ref1", ref } };
	struct front_queue *q = hostile_queue(h);

	(void)k;
	text_of(ref, sizeof(ref), h->pages.grefs[1]);
	memset(front_page(&h->pages, 1), 0, FRONT_PAGE_BYTES);
	if (!session_connect(h, nodes, NR(nodes))) {
		memset(front_page(&h->pages, 1), 0x5a, FRONT_PAGE_BYTES);
		front_queue_notify(q);
	}
}

/* Both queues have one ring, or one port. */
static void shared_by_queues(struct hostile *h, const struct hostile_case *k)
{
	char value[12];
	const struct front_node nodes[] = { { "queue-0/ring-ref", value },
					    { "queue-1/ring-ref", value },
					    { "queue-1/event-channel", "1" } };
	struct front_wishes before = h->wishes;
	struct front_queue *q = hostile_queue(h);

	text_of(value, sizeof(value), h->pages.grefs[1]);
	h->wishes.nr_queues = 2;
	memset(front_page(&h->pages, 1), 0, FRONT_PAGE_BYTES);
	if (!session_connect(h, nodes, (uint32_t)k->number)) {
		struct blkif_sring *ring = front_page(&h->pages, 1);

		/* Twenty reads of nothing, that each of them may take. */
		memset(ring + 1, 0, 20 * 112);
		store_index(&ring->req_prod, 20);
		for (uint32_t i = 0; i < h->front->nr_queues; i++)
			front_queue_notify(&q[i]);
	}
	h->wishes = before;
}

/* The pages of a ring are taken back while it is in use: they stay until they are let go of. */
static void revoked_in_use(struct hostile *h, const struct hostile_case *k)
{
	struct front_pages page;
	struct front_queue *q = hostile_queue(h);

	if (front_pages_create(&page, h->gntshr, 0, 1, true))
		return;
	if (!connect_page(h, &page, 0, 0)) {
		hostile_wrong(h, "it is not connected");
	} else {
		/* Requests that are answered into a page that the guest has no more. */
		memset(page.mem + 64, 0, 32 * 112);
		store_index(&((struct blkif_sring *)(void *)page.mem)->req_prod,
			    (uint32_t)k->number);
		front_queue_notify(q);
	}
	front_pages_destroy(&page);
	front_queue_notify(q);
	session_disconnect(h);
}

#define INDEX(name_, does_, number_)                                                   \
	{                                                                              \
		.name = name_, .does = does_, .fate = FATE_CUT, .run = producer_jumps, \
		.number = (uint32_t)(number_)                                          \
	}

#define OTHER(name_, does_, word, value)                                             \
	{                                                                            \
		.name = name_, .does = does_, .answers = OKAY, .run = other_indices, \
		.number = (uint64_t)(word) << 32 | (uint32_t)(value)                 \
	}

#define IN_PAGE(name_, does_, page)                                                 \
	{                                                                           \
		.name = name_, .does = does_, .fate = FATE_REFUSED, .run = in_page, \
		.closed = true, .number = page                                      \
	}

#define BEGINS(name_, does_, fate_, req, rsp)                                                  \
	{                                                                                      \
		.name = name_, .does = does_, .fate = fate_, .run = begins_at, .closed = true, \
		.number = (uint64_t)(req) << 32 | (uint32_t)(rsp)                              \
	}

static const struct hostile_case cases[] = {
	INDEX("producer+33", "one request more than the ring has slots", 33),
	INDEX("producer+64", "twice as many", 64),
	INDEX("producer+2^16", "2^16 requests", 1 << 16),
	INDEX("producer+2^31-1", "2^31 - 1 requests", INT32_MAX),
	INDEX("producer+2^31", "2^31 requests", 1u << 31),
	INDEX("producer-1", "one request less than were answered", -1),
	INDEX("producer-32", "a ring less", -32),
	{ .name = "producer-0",
	  .does = "the producer begins anew at 0",
	  .fate = FATE_CUT,
	  .run = producer_is },
	{ .name = "producer-max",
	  .does = "the producer is 2^32 - 1",
	  .fate = FATE_CUT,
	  .run = producer_is,
	  .number = UINT32_MAX },
	{ .name = "producer-full+",
	  .does = "a full ring, and two more of them behind it",
	  .fate = FATE_CUT,
	  .run = full_and_one },
	{ .name = "entries-zero",
	  .does = "a ring full of zeroes, which are reads of nothing",
	  .answers = ERROR,
	  .run = stale_entries },
	{ .name = "entries-ones",
	  .does = "a ring full of ones",
	  .answers = UNSUPPORTED,
	  .run = stale_entries,
	  .number = 0xff },
	OTHER("rsp_prod-0", "the backend's response index is overwritten with 0", 0, 0),
	OTHER("rsp_prod-max", "with 2^32 - 1", 0, UINT32_MAX),
	OTHER("req_event-0", "where it wants an event is overwritten with 0", 1, 0),
	OTHER("req_event-far", "with a place far away", 1, 1u << 31),
	OTHER("rsp_event-far", "an event is wanted at a place far away", 2, 1u << 31),
	OTHER("rsp_event-past", "at one long past", 2, UINT32_MAX),
	{ .name = "padding",
	  .does = "ones where nothing is meant to be",
	  .answers = OKAY,
	  .run = padding },

	BEGINS("begins-ahead", "connects with 33 requests in a fresh ring", FATE_REFUSED, 33, 0),
	BEGINS("begins-far-ahead", "connects with 2^31 requests", FATE_REFUSED, 1u << 31, 0),
	BEGINS("begins-behind", "connects with more responses than requests", FATE_REFUSED, 0, 1),
	BEGINS("begins-full", "connects with a full ring of zeroes", FATE_ANY, 32, 0),
	{ .name = "wraps",
	  .does = "a ring that has come to 2^32",
	  .answers = OKAY,
	  .run = wraps,
	  .closed = true },

	IN_PAGE("page-not-granted", "the ring is in a page that is not granted", PAGE_NOT_GRANTED),
	IN_PAGE("page-beyond", "its reference is beyond any table", PAGE_BEYOND),
	IN_PAGE("page-max", "its reference is 2^32 - 1", PAGE_MAX),
	IN_PAGE("page-high-bit", "its reference is a good one plus 2^31", PAGE_HIGH_BIT),
	IN_PAGE("page-foreign", "it is granted to another domain", PAGE_FOREIGN),
	IN_PAGE("page-read-only", "it may only be read", PAGE_READABLE),
	IN_PAGE("page-revoked", "it was granted once", PAGE_REVOKED),
	{ .name = "page-twice",
	  .does = "both pages of a ring are one, and full of noise",
	  .fate = FATE_ANY,
	  .run = same_page_twice,
	  .closed = true },
	{ .name = "shared-by-queues",
	  .does = "two queues have one ring",
	  .fate = FATE_ANY,
	  .run = shared_by_queues,
	  .closed = true,
	  .number = 2 },
	{ .name = "shared-and-no-port",
	  .does = "two queues have one ring, and one of them no port",
	  .fate = FATE_REFUSED,
	  .run = shared_by_queues,
	  .closed = true,
	  .number = 3 },
	{ .name = "revoked-in-use",
	  .does = "the ring is revoked while it is in use",
	  .fate = FATE_ANY,
	  .run = revoked_in_use,
	  .closed = true,
	  .number = 32 },
	{ .name = "revoked-and-broken",
	  .does = "the ring is revoked, and claims too many requests",
	  .fate = FATE_ANY,
	  .run = revoked_in_use,
	  .closed = true,
	  .number = 1000 },
};

const struct hostile_group rings_group = { "ring", cases, NR(cases) };
