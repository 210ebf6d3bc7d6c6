/* SPDX-License-Identifier: BSD-2-Clause */
#include "conform.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/blkif.h>
#include <xen/io/xenbus.h>

#include "clock.h"
#include "stamp.h"

#define NR_PAGES  12u
#define NO_GREF	  0xfffffff0u /* beyond any grant table */
#define BEHIND	  UINT64_MAX /* the sector behind the last one */
#define NO_ANSWER INT_MIN
#define SETTLE_US 300000u /* what a backend may take to see that it is had */

/* Sets of answers. */
enum {
	GOOD = 1,
	REFUSED = 2, /* BLKIF_RSP_ERROR, or any other that is not BLKIF_RSP_OKAY */
	UNSUPPORTED = 4,
	NOT_GOOD = REFUSED | UNSUPPORTED,
	ANY = GOOD | NOT_GOOD,
	/* And its pages may have been written to: it failed when it was under way. */
	HALFWAY = 8,
};

struct conform {
	struct front *front;
	struct front_wishes wishes;
	FILE *out;
	struct front_pages pages; /* the last one holds indirect segments */
	struct front_pages read_only; /* one; the backend may not write there */
	uint64_t next_id, last_sector;
	int number, failures;
};

static struct front_queue *queue(struct conform *c)
{
	return &c->front->queues[0];
}

static void result(struct conform *c, bool good, const char *name, const char *why)
{
	c->number++;
	c->failures += !good;
	fprintf(c->out, "%sok %d - %s%s%s\n", good ? "" : "not ", c->number, name,
		good ? "" : "\n# ", good ? "" : why);
}

/* Answer to what was put last: a status, NO_ANSWER, or INT_MIN + 1 for a wrong one. */
static int answer(struct conform *c, uint64_t id, uint8_t operation)
{
	uint64_t end = clock_ns() + c->wishes.timeout_ms * 1000000ull;
	struct front_response rsp;
	int n;

	front_queue_push(queue(c));
	while (!(n = front_queue_poll(queue(c), &rsp, 1)) && clock_ns() < end)
		front_queue_wait(queue(c), 100000);
	if (n <= 0)
		return NO_ANSWER;
	return rsp.id == id && rsp.operation == operation ? rsp.status : NO_ANSWER + 1;
}

static int set_of(int status)
{
	switch (status) {
	case NO_ANSWER:
	case NO_ANSWER + 1:
		return 0;
	case BLKIF_RSP_OKAY:
		return GOOD;
	case BLKIF_RSP_EOPNOTSUPP:
		return UNSUPPORTED;
	default:
		return REFUSED;
	}
}

static void fill_pages(struct conform *c)
{
	for (uint32_t i = 0; i < NR_PAGES - 1; i++)
		pattern_fill(front_page(&c->pages, i), 0, FRONT_PAGE_BYTES);
}

static bool pages_untouched(struct conform *c)
{
	for (uint32_t i = 0; i < NR_PAGES - 1; i++) {
		if (pattern_check(front_page(&c->pages, i), 0, FRONT_PAGE_BYTES) !=
		    FRONT_PAGE_BYTES)
			return false;
	}
	return true;
}

/* A read of @nr_segments pages from the disk's start. */
static struct front_request read_of(struct conform *c, struct front_segment *segments, uint16_t nr)
{
	for (uint16_t i = 0; i < nr; i++)
		segments[i] = (struct front_segment){ c->pages.grefs[i % (NR_PAGES - 1)], 0, 7 };
	return (struct front_request){ .operation = BLKIF_OP_READ,
				       .id = ++c->next_id << 40 | 0xdeadbeef,
				       .nr_segments = nr,
				       .segments = segments };
}

/* Whether a frontend that behaves is served. */
static bool serves(struct conform *c)
{
	struct front_segment segment;
	struct front_request req = read_of(c, &segment, 1);

	fill_pages(c);
	if (front_queue_put(queue(c), &req))
		return false;
	return answer(c, req.id, req.operation) == BLKIF_RSP_OKAY &&
	       pattern_check(front_page(&c->pages, 0), 0, FRONT_PAGE_BYTES) < FRONT_PAGE_BYTES;
}

/* One check: @entry goes out, and one of @allowed comes back. */
static void expect(struct conform *c, const char *name, const void *entry, uint64_t id,
		   uint8_t operation, int allowed)
{
	char why[80];
	int status;

	fill_pages(c);
	if (front_queue_put_raw(queue(c), entry)) {
		result(c, false, name, "the ring is full");
		return;
	}
	status = answer(c, id, operation);
	if (status == NO_ANSWER)
		strcpy(why, "it is not answered");
	else if (status == NO_ANSWER + 1)
		strcpy(why, "it is answered with another id or operation");
	else
		snprintf(why, sizeof(why), "the status is %d, expected %s", status,
			 allowed & GOOD	     ? "0"
			 : allowed & REFUSED ? "a refusal"
					     : "BLKIF_RSP_EOPNOTSUPP");
	if (!(set_of(status) & allowed))
		result(c, false, name, why);
	else if (status != BLKIF_RSP_OKAY && !(allowed & HALFWAY) && !pages_untouched(c))
		result(c, false, name, "it was refused, but its pages were written to");
	else if (!serves(c))
		result(c, false, name, "after it nobody is served");
	else
		result(c, true, name, NULL);
}

static void expect_request(struct conform *c, const char *name, const struct front_request *req,
			   int allowed)
{
	uint8_t entry[FRONT_ENTRY_MAX_BYTES];

	front_ring_encode(&queue(c)->ring, req, entry);
	expect(c, name, entry, req->id, req->operation, allowed);
}

/* ----- requests */

struct segment_case {
	const char *name;
	uint64_t sector, from_end; /* from_end: sectors before the end, instead */
	uint8_t first, last;
	uint32_t gref; /* 0: a good one */
	int allowed;
};

static const struct segment_case segment_cases[] = {
	{ "read: the first sector", 0, 0, 0, 0, 0, GOOD },
	{ "read: the last sector", 0, 1, 3, 3, 0, GOOD },
	{ "read: two sectors from the last one on", 0, 1, 0, 1, 0, NOT_GOOD },
	{ "read: the sector behind the end", 0, BEHIND, 0, 0, 0, NOT_GOOD },
	{ "read: sector 2^64 - 1", UINT64_MAX, 0, 0, 0, 0, NOT_GOOD },
	{ "read: a sector whose place in bytes is 0 again", 1ull << 55, 0, 0, 0, 0, NOT_GOOD },
	{ "read: a sector whose place in bytes is negative", 1ull << 54, 0, 0, 0, 0, NOT_GOOD },
	{ "segment: ends before it begins", 0, 0, 4, 3, 0, NOT_GOOD },
	{ "segment: ends behind its page", 0, 0, 0, 8, 0, NOT_GOOD },
	{ "segment: begins behind its page", 0, 0, 8, 8, 0, NOT_GOOD },
	{ "segment: sector 255 of its page", 0, 0, 255, 255, 0, NOT_GOOD },
	{ "segment: 256 sectors", 0, 0, 0, 255, 0, NOT_GOOD },
	{ "segment: a page that is not granted", 0, 0, 0, 7, NO_GREF, NOT_GOOD },
};

static void check_segments(struct conform *c)
{
	for (size_t i = 0; i < sizeof(segment_cases) / sizeof(segment_cases[0]); i++) {
		const struct segment_case *k = &segment_cases[i];
		struct front_segment segment;
		struct front_request req = read_of(c, &segment, 1);

		req.sector = k->from_end ? c->last_sector + 1 - k->from_end : k->sector;
		if (k->from_end == BEHIND)
			req.sector = c->last_sector + 1;
		segment.first = k->first;
		segment.last = k->last;
		segment.gref = k->gref ? k->gref : segment.gref;
		expect_request(c, k->name, &req, k->allowed);
	}
}

static void check_numbers_of_segments(struct conform *c)
{
	static const struct {
		const char *name;
		uint8_t nr;
		int allowed;
	} cases[] = {
		{ "segments: 11", 11, GOOD },
		{ "segments: none", 0, NOT_GOOD },
		{ "segments: 12", 12, NOT_GOOD },
		{ "segments: 255", 255, NOT_GOOD },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct front_segment segments[FRONT_MAX_DIRECT];
		struct front_request req = read_of(c, segments, FRONT_MAX_DIRECT);
		uint8_t entry[FRONT_ENTRY_MAX_BYTES];

		front_ring_encode(&queue(c)->ring, &req, entry);
		entry[1] = cases[i].nr; /* nr_segments in every ABI */
		expect(c, cases[i].name, entry, req.id, req.operation, cases[i].allowed);
	}
}

static void check_operations(struct conform *c)
{
	static const struct {
		const char *name;
		uint8_t operation;
	} cases[] = {
		{ "operation: the reserved one", BLKIF_OP_RESERVED_1 },
		{ "operation: 7", 7 },
		{ "operation: 255", 255 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct front_segment segment;
		struct front_request req = read_of(c, &segment, 1);

		req.operation = cases[i].operation;
		expect_request(c, cases[i].name, &req, NOT_GOOD);
	}
}

static void check_flushes(struct conform *c)
{
	const struct front_offer *o = &c->front->offer;
	struct front_request req = { .operation = BLKIF_OP_FLUSH_DISKCACHE };

	req.id = ++c->next_id;
	expect_request(c, "flush: without data", &req, o->flush ? GOOD : UNSUPPORTED);
	req.operation = BLKIF_OP_WRITE_BARRIER;
	req.id = ++c->next_id;
	/* Empty ones are no longer meant to be: what is answered is for the backend to say. */
	expect_request(c, "barrier: without data", &req, o->barrier ? ANY : NOT_GOOD);
}

static void check_discards(struct conform *c)
{
	bool offered = c->front->offer.discard;
	const struct {
		const char *name;
		uint64_t sector, nr_sectors;
		uint8_t flag;
	} cases[] = {
		{ "discard: behind the end", c->last_sector + 1, 1 },
		{ "discard: securely, behind the end", c->last_sector + 1, 1,
		  BLKIF_DISCARD_SECURE },
		{ "discard: from the last sector on, two", c->last_sector, 2 },
		{ "discard: 2^64 - 1 sectors", 0, UINT64_MAX },
		{ "discard: its end is 0 again", 8, UINT64_MAX - 7 },
		{ "discard: its length in bytes is 0 again", 0, 1ull << 55 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct front_request req = { .operation = BLKIF_OP_DISCARD,
						   .id = ++c->next_id,
						   .sector = cases[i].sector,
						   .nr_sectors = cases[i].nr_sectors,
						   .flag = cases[i].flag };

		expect_request(c, cases[i].name, &req, offered ? NOT_GOOD : UNSUPPORTED);
	}
}

static void check_indirect(struct conform *c)
{
	uint32_t max = c->front->offer.max_indirect_segments;
	int good = max ? GOOD : NOT_GOOD;
	const struct {
		const char *name;
		uint8_t operation;
		uint16_t nr;
		bool bad_page, bad_segment;
		int allowed;
	} cases[] = {
		{ "indirect: 11 segments", BLKIF_OP_READ, 11, false, false, good },
		{ "indirect: no segments", BLKIF_OP_READ, 0, false, false, NOT_GOOD },
		{ "indirect: one segment more than offered", BLKIF_OP_READ, (uint16_t)(max + 1),
		  false, false, NOT_GOOD },
		{ "indirect: 65535 segments", BLKIF_OP_READ, 65535, false, false, NOT_GOOD },
		{ "indirect: segments in a page that is not granted", BLKIF_OP_READ, 11, true,
		  false, NOT_GOOD },
		{ "indirect: a segment of a page that is not granted", BLKIF_OP_READ, 11, false,
		  true, NOT_GOOD | HALFWAY },
		{ "indirect: a flush", BLKIF_OP_FLUSH_DISKCACHE, 1, false, false, NOT_GOOD },
		{ "indirect: a discard", BLKIF_OP_DISCARD, 1, false, false, NOT_GOOD },
		{ "indirect: an indirect request", BLKIF_OP_INDIRECT, 1, false, false, NOT_GOOD },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct front_indirect_page pages[8] = { 0 };
		struct front_segment segments[FRONT_MAX_DIRECT];
		struct front_request req = read_of(c, segments, FRONT_MAX_DIRECT);
		uint8_t entry[FRONT_ENTRY_MAX_BYTES];

		for (int p = 0; p < 8; p++)
			pages[p] =
				(struct front_indirect_page){ c->pages.grefs[NR_PAGES - 1],
							      front_page(&c->pages, NR_PAGES - 1) };
		if (cases[i].bad_page)
			pages[0].gref = NO_GREF;
		if (cases[i].bad_segment)
			segments[10].gref = NO_GREF;
		req.indirect_pages = pages;
		front_ring_encode(&queue(c)->ring, &req, entry);
		entry[1] = cases[i].operation; /* indirect_op and nr_segments: in every ABI */
		memcpy(entry + 2, &cases[i].nr, sizeof(cases[i].nr));
		/* Who knows indirect requests answers with what is within. */
		expect(c, cases[i].name, entry, req.id,
		       max ? cases[i].operation : BLKIF_OP_INDIRECT, cases[i].allowed);
	}
}

/* What may be done with a page that is granted for reading alone, and with one that is used twice. */
static void check_pages(struct conform *c)
{
	struct front_segment segments[2];
	struct front_request req = read_of(c, segments, 1);
	bool writable = !(c->front->offer.info & VDISK_READONLY);

	segments[0].gref = c->read_only.grefs[0];
	expect_request(c, "page: read into one that may not be written to", &req, NOT_GOOD);

	/* What is there is written back. */
	req = read_of(c, segments, 1);
	expect_request(c, "page: read into one", &req, GOOD);
	memcpy(front_page(&c->read_only, 0), front_page(&c->pages, 0), FRONT_PAGE_BYTES);
	req = read_of(c, segments, 1);
	segments[0].gref = c->read_only.grefs[0];
	req.operation = BLKIF_OP_WRITE;
	expect_request(c, "page: written from one that may not be written to", &req,
		       writable ? GOOD : NOT_GOOD);

	req = read_of(c, segments, 2);
	segments[1].gref = segments[0].gref;
	segments[0].last = 3;
	segments[1].first = 4;
	expect_request(c, "page: used twice", &req, GOOD);
	req = read_of(c, segments, 1);
	req.handle = 0xffff;
	expect_request(c, "handle: any", &req, GOOD);
}

/* ----- rings and nodes that cannot be */

static bool connects(struct conform *c, struct error *e)
{
	return !front_connect(c->front, &c->wishes, e) && serves(c);
}

static void check_producer(struct conform *c, const char *name, uint32_t index)
{
	struct front_ring *ring = &queue(c)->ring;
	struct blkif_sring *sring = ring->shared;
	struct front_segment segment;
	struct front_request req = read_of(c, &segment, 1);
	struct error e = { "" };
	bool good;

	front_ring_put(ring, &req);
	__atomic_store_n(&sring->req_prod, sring->rsp_prod + index, __ATOMIC_SEQ_CST);
	front_queue_notify(queue(c));
	/* Linux' does nothing more with that ring and stays at state 4; ours goes to 5. */
	front_device_wait(c->front->store, c->front->device.backend, 1u << XenbusStateClosing,
			  SETTLE_US / 1000);
	good = sring->rsp_prod - (ring->req_prod - 1) <= 1;
	front_close(c->front, &e);
	if (!good)
		result(c, false, name, "it answered what was never asked");
	if (!connects(c, &e))
		result(c, false, name, e.text);
	else if (good)
		result(c, true, name, NULL);
}

static void check_nodes(struct conform *c)
{
	static const struct {
		const char *name;
		struct front_node node;
	} cases[] = {
		{ "nodes: a ring that is not granted", { "ring-ref", "4294967280" } },
		{ "nodes: a ring that is no number", { "ring-ref", "x" } },
		{ "nodes: an event channel that there is not", { "event-channel", "131071" } },
		{ "nodes: an event channel that is no number", { "event-channel", "-1" } },
		{ "nodes: an ABI of nobody's", { "protocol", "pdp11-abi" } },
		{ "nodes: a ring of 2^30 pages", { "ring-page-order", "30" } },
		{ "nodes: no queues", { "multi-queue-num-queues", "0" } },
		{ "nodes: a billion queues", { "multi-queue-num-queues", "1000000000" } },
	};
	struct error e = { "" };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct front_wishes wishes = c->wishes;
		int err;

		front_close(c->front, &e);
		wishes.spoilt = &cases[i].node;
		wishes.nr_spoilt = 1;
		wishes.ring_order = 0;
		wishes.nr_queues = 1;
		err = front_connect(c->front, &wishes, &e);
		if (!err)
			result(c, false, cases[i].name, "it was connected");
		/* Closes what is left at states 3 and 5, as a frontend does that failed. */
		front_close(c->front, &e);
		if (!connects(c, &e)) {
			result(c, false, cases[i].name, e.text);
			return;
		}
		if (err)
			result(c, true, cases[i].name, NULL);
	}
}

static void check_rings(struct conform *c)
{
	uint32_t entries = queue(c)->ring.nr_entries;

	check_producer(c, "ring: one request more than it has room for", entries + 1);
	if (c->front->nr_queues)
		check_producer(c, "ring: 2^31 requests", 1u << 31);
	if (c->front->nr_queues)
		check_producer(c, "ring: one request less than none", UINT32_MAX);
}

static int get_pages(struct conform *c)
{
	struct front *f = c->front;
	int err = front_pages_create(&c->pages, f->gntshr, f->device.backend_domid, NR_PAGES, true);

	if (err)
		return err;
	err = front_pages_create(&c->read_only, f->gntshr, f->device.backend_domid, 1, false);
	if (err)
		front_pages_destroy(&c->pages);
	return err;
}

int conform_run(struct front *f, const struct front_wishes *wishes, FILE *out, struct error *e)
{
	struct conform c = { .front = f, .wishes = *wishes, .out = out };
	int err = get_pages(&c);

	if (err)
		return error_set(e, -err, "cannot grant %u pages: %s", NR_PAGES + 1,
				 strerror(-err));
	err = front_connect(f, wishes, e);
	if (err)
		goto out;
	c.last_sector = f->offer.sectors - 1;
	check_segments(&c);
	check_numbers_of_segments(&c);
	check_operations(&c);
	check_flushes(&c);
	check_discards(&c);
	check_indirect(&c);
	check_pages(&c);
	check_rings(&c);
	if (f->nr_queues)
		check_nodes(&c);
	fprintf(out, "1..%d\n", c.number);
	err = f->nr_queues ? front_close(f, e) : 0;
out:
	front_pages_destroy(&c.pages);
	front_pages_destroy(&c.read_only);
	return err ? err : c.failures;
}
