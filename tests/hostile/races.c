/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is changed while it is read. A second thread stores two values, one after the other, in the same
 * places, and does nothing else; whoever reads twice meets both.
 */
#include "ask_cases.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "clock.h"

#define SLOTS_AT 64u /* in a ring */

/* Requests of each case: turns of a whole ring. */
#define TURNS 40

struct flipper {
	pthread_t thread;
	atomic_bool stop;
	uint8_t *first; /* of the places */
	size_t step; /* from one to the next */
	uint32_t nr;
	size_t bytes; /* 1, 2, 4 or 8 at each */
	uint64_t values[2];
};

/* As a whole: half of a reference would be somebody else's page. */
static void flip_one(uint8_t *at, size_t bytes, uint64_t value)
{
	switch (bytes) {
	case 1:
		__atomic_store_n(at, (uint8_t)value, __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n((uint16_t *)(void *)at, (uint16_t)value, __ATOMIC_RELAXED);
		break;
	case 4:
		__atomic_store_n((uint32_t *)(void *)at, (uint32_t)value, __ATOMIC_RELAXED);
		break;
	default:
		__atomic_store_n((uint64_t *)(void *)at, value, __ATOMIC_RELAXED);
	}
}

static void flip_all(struct flipper *f, int which)
{
	for (uint32_t i = 0; i < f->nr; i++)
		flip_one(f->first + i * f->step, f->bytes, f->values[which]);
}

/* Each value stands for as long as the other: whoever reads once meets either. */
static void *flip(void *arg)
{
	struct flipper *f = arg;

	for (int which = 1; !f->stop; which = !which)
		flip_all(f, which);
	flip_all(f, 0);
	return NULL;
}

static void flipper_start(struct flipper *f)
{
	f->stop = false;
	pthread_create(&f->thread, NULL, flip, f);
}

static void flipper_stop(struct flipper *f)
{
	f->stop = true;
	pthread_join(f->thread, NULL);
}

static bool both_seen(const struct hostile *h, const struct hostile_case *k)
{
	return (h->seen & k->answers & OKAY) && (h->seen & k->answers & ~OKAY);
}

/*
 * One ring of such requests after the other, until they were met with either value; then it is known
 * that they did change in time.
 */
static void ask_meanwhile(struct hostile *h, const struct hostile_case *k)
{
	uint64_t end_ns = clock_ns() + h->options.timeout_ms * 1000000ull;
	bool either =
		!k->number && k->answers != OKAY && (k->ask.op != D || h->front->offer.discard);
	struct front_queue *q = hostile_queue(h);
	uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
	uint64_t id;

	for (int turn = 0; turn < TURNS || (either && !both_seen(h, k)); turn++) {
		uint32_t nr = 0;

		if (h->seen & NO_ANSWER || clock_ns() > end_ns)
			break;
		for (; front_ring_free(&q->ring) && nr < 16; nr++) {
			ask_encode(h, &k->ask, entry, &id, &operation);
			front_queue_put_raw(q, entry);
		}
		h->seen |= ask_collect(h, q, nr);
	}
	if (either && !both_seen(h, k))
		hostile_wrong(h, "it was never met with both values");
}

/* A flip within all entries: at k->number, of k->bytes, between what text means. */
struct entry_flip {
	const char *name;
	size_t at, bytes;
	uint64_t values[2];
};

static const struct entry_flip entry_flips[] = {
	{ "operation", 0, 1, { R, 255 } },
	{ "operation-write", 0, 1, { R, W } },
	{ "operation-indirect", 0, 1, { R, BLKIF_OP_INDIRECT } },
	{ "nr", 1, 1, { 1, 255 } },
	{ "nr-0", 1, 1, { 11, 0 } },
	{ "id", 8, 8, { 1, UINT64_MAX } },
	{ "sector", 16, 8, { 0, UINT64_MAX } },
	{ "gref", 24, 4, { 0, UINT32_MAX } }, /* 0: a good one, put in when it is known */
	{ "last", 29, 1, { 7, 255 } },
	{ "indirect-op", 1, 1, { R, D } },
	{ "indirect-nr", 2, 2, { 16, 65535 } },
	{ "indirect-nr-64", 2, 2, { 64, 1 } },
	{ "indirect-gref", 28, 4, { 0, UINT32_MAX } },
	{ "discard-flag", 1, 1, { 0, 1 } },
	{ "discard-sectors", 24, 8, { 0, UINT64_MAX } },
};

static const struct entry_flip *flip_named(const char *name)
{
	for (size_t i = 0; i < NR(entry_flips); i++) {
		if (!strcmp(entry_flips[i].name, name))
			return &entry_flips[i];
	}
	return NULL;
}

/* A page that no request names. */
static bool guard_is_untouched(struct hostile *h, uint32_t page)
{
	const uint8_t *mem = front_page(&h->pages, page);

	for (size_t i = 0; i < FRONT_PAGE_BYTES; i++) {
		if (mem[i] != 0xc3)
			return false;
	}
	return true;
}

static void entries_change(struct hostile *h, const struct hostile_case *k)
{
	const struct entry_flip *e = flip_named(k->text);
	struct front_queue *q = hostile_queue(h);
	struct flipper f = {
		.first = (uint8_t *)q->ring.shared + SLOTS_AT + e->at,
		.step = q->ring.entry_bytes,
		.nr = q->ring.nr_entries,
		.bytes = e->bytes,
		.values = { e->values[0], e->values[1] },
	};

	if (strstr(e->name, "gref"))
		f.values[0] = h->pages.grefs[k->ask.indirect ? DATA_PAGES : 0];
	memset(front_page(&h->pages, DATA_PAGES - 1), 0xc3, FRONT_PAGE_BYTES);
	flipper_start(&f);
	ask_meanwhile(h, k);
	flipper_stop(&f);
	/* Good values in all of them again. */
	if (k->ask.nr < DATA_PAGES && !guard_is_untouched(h, DATA_PAGES - 1))
		hostile_wrong(h, "a page was written to that no request names");
	if (k->answers & OKAY && h->seen & OKAY)
		ask_restore(h, k->disk);
}

/* Segments of indirect requests: the place in the page is the handle, which means nothing. */
static void segments_change(struct hostile *h, const struct hostile_case *k)
{
	bool gref = k->ask.handle % 8 == 0;
	struct flipper f = {
		.first = (uint8_t *)front_page(&h->pages, DATA_PAGES) + k->ask.handle,
		.nr = 1,
		.bytes = gref ? 4 : 1,
		.values = { gref ? h->pages.grefs[0] : 7, gref ? UINT32_MAX : 255 },
	};

	flipper_start(&f);
	ask_meanwhile(h, k);
	flipper_stop(&f);
	if (k->ask.op == W)
		ask_restore(h, k->disk);
}

/* An index of the ring, between what it is and what it may not be. */
static void index_changes(struct hostile *h, const struct hostile_case *k)
{
	struct front_queue *q = hostile_queue(h);
	struct flipper f = {
		.first = (uint8_t *)q->ring.shared + (k->number >> 32),
		.nr = 1,
		.bytes = 4,
		.values = { q->ring.req_prod, q->ring.req_prod + (uint32_t)k->number },
	};
	struct timespec pause = { .tv_nsec = 20000000 };

	flipper_start(&f);
	for (int i = 0; i < 100; i++)
		front_queue_notify(q);
	nanosleep(&pause, NULL);
	flipper_stop(&f);
}

#define CHANGES(name_, does_, answers_, ...)                                              \
	{                                                                                 \
		.name = name_, .does = does_, .answers = answers_, .run = entries_change, \
		.text = name_,                                                            \
		.ask = { __VA_ARGS__ }                                                    \
	}

#define SEGMENT_CHANGES(name_, does_, op_, at)                                                 \
	{                                                                                      \
		.name = name_, .does = does_, .answers = OKAY | ERROR, .run = segments_change, \
		.ask = {.op = op_,                                                             \
			.handle = at,                                                          \
			.indirect = true,                                                      \
			.nr = 64 }                                                             \
	}

#define INDEX_CHANGES(name_, does_, at, by)                                           \
	{                                                                             \
		.name = name_, .does = does_, .fate = FATE_ANY, .run = index_changes, \
		.number = (uint64_t)(at) << 32 | (uint32_t)(by)                       \
	}

static const struct hostile_case cases[] = {
	CHANGES("operation", "the operation changes to 255 and back", OKAY | UNSUPPORTED, .op = R,
		.nr = 1),
	CHANGES("operation-write", "a read becomes a write and back", OKAY, .op = R, .nr = 1),
	CHANGES("operation-indirect", "a read becomes an indirect one and back", OKAY | ERROR,
		.op = R, .nr = 1),
	CHANGES("nr", "the number of segments changes to 255 and back", OKAY | ERROR, .op = R,
		.nr = 1),
	CHANGES("nr-0", "to 0 and back", OKAY | ERROR, .op = R, .nr = 11),
	/* It is where the answer's status is too: that says nothing. */
	{ .name = "id",
	  .does = "the id changes",
	  .answers = OKAY | ERROR | UNSUPPORTED,
	  .run = entries_change,
	  .text = "id",
	  .number = 1,
	  .ask = { .op = R, .nr = 1 } },
	CHANGES("sector", "the sector changes to 2^64 - 1 and back", OKAY | ERROR, .op = R,
		.nr = 1),
	CHANGES("gref", "a page changes to one that is not granted, and back", OKAY | ERROR,
		.op = R, .nr = 1),
	CHANGES("last", "a segment ends behind its page and does not", OKAY | ERROR, .op = R,
		.nr = 1),
	CHANGES("indirect-op", "what is within changes from a read to a discard, and back",
		OKAY | ERROR, .op = R, .indirect = true, .nr = 16),
	CHANGES("indirect-nr", "the number of indirect segments changes to 65535 and back",
		OKAY | ERROR, .op = R, .indirect = true, .nr = 16),
	CHANGES("indirect-nr-64", "from 64 to 1 and back", OKAY, .op = R, .indirect = true,
		.nr = 64),
	CHANGES("indirect-gref", "the page of segments changes to none and back", OKAY | ERROR,
		.op = R, .indirect = true, .nr = 16),
	CHANGES("discard-flag", "a discard becomes secure and back", OKAY | ERROR | UNSUPPORTED,
		.op = D, .sector = 1024, .nr_sectors = 8),
	CHANGES("discard-sectors", "its length changes to 2^64 - 1 and back",
		OKAY | ERROR | UNSUPPORTED, .op = D, .sector = 1024, .nr_sectors = 8),
	SEGMENT_CHANGES("segment-last", "an indirect segment ends behind its page and does not", R,
			63 * 8 + 5),
	SEGMENT_CHANGES("segment-gref", "its page changes to one that is not granted, and back", R,
			63 * 8),
	SEGMENT_CHANGES("segment-first-gref", "the first page of an indirect write does", W, 0),
	INDEX_CHANGES("producer-jumps", "the producer index jumps 2^31 ahead and back", 0,
		      1u << 31),
	INDEX_CHANGES("producer-back", "it goes one back and forth", 0, -1),
	INDEX_CHANGES("producer-one", "there is one more request, and there is none", 0, 1),
	INDEX_CHANGES("req_event", "where an event is wanted changes", 4, 1000),
	INDEX_CHANGES("rsp_prod", "the backend's response index changes", 8, 1000),
	INDEX_CHANGES("rsp_event", "where the guest wants an event changes", 12, 1u << 31),
};

const struct hostile_group races_group = { "race", cases, NR(cases) };
