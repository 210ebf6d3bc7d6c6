/* SPDX-License-Identifier: BSD-2-Clause */
#include "hostile.h"

#include <errno.h>
#include <string.h>
#include <xen/io/blkif.h>

#include "clock.h"

#define SECTORS_PER_PAGE (FRONT_PAGE_BYTES / FRONT_SECTOR_BYTES)
#define SPOIL		 0x5a /* what is in pages before a request */

/* Looked at on a disk: its first pages, as many as a request has, and the last. */
#define KEPT_PAGES (FRONT_MAX_DIRECT + 1)

/* Of so many pages that were granted until now, one that the next to be granted will not be. */
#define REVOKED_PAGES 16u

static uint32_t revoked_gref(struct hostile *h)
{
	struct front_pages pages;
	uint32_t gref;

	if (front_pages_create(&pages, h->gntshr, 0, REVOKED_PAGES, true))
		return UINT32_MAX;
	gref = pages.grefs[REVOKED_PAGES / 2];
	front_pages_destroy(&pages);
	return gref;
}

uint32_t ask_gref(struct hostile *h, enum page page, uint32_t good)
{
	switch (page) {
	case PAGE_GOOD:
		break;
	case PAGE_NOT_GRANTED:
		return 20000;
	case PAGE_BEYOND:
		return 0x00fffff0;
	case PAGE_MAX:
		return UINT32_MAX;
	case PAGE_HIGH_BIT:
		return good | 1u << 31;
	case PAGE_FOREIGN:
		return h->foreign.grefs[0];
	case PAGE_READABLE:
		return h->readable.grefs[0];
	case PAGE_REVOKED:
		return h->revoked ? h->revoked : revoked_gref(h);
	case PAGE_RING:
		return hostile_queue(h)->pages.grefs[0];
	case PAGE_INDIRECT:
		return h->pages.grefs[DATA_PAGES];
	}
	return good;
}

static uint64_t place(struct hostile *h, const struct ask *a)
{
	return a->at_end ? h->front->offer.sectors - a->sector : a->sector;
}

void ask_encode(struct hostile *h, const struct ask *a, uint8_t *entry, uint64_t *id,
		uint8_t *operation)
{
	static struct front_segment segments[FRONT_MAX_INDIRECT];
	struct front_indirect_page indirect[INDIRECT_PAGES];
	struct front_request req = {
		.operation = a->op,
		.handle = a->handle,
		.id = a->id ? a->id : ++h->next_id << 32 | 0xabad1dea,
		.sector = place(h, a),
		.nr_sectors = a->nr_sectors,
		.flag = a->flag,
		.nr_segments = a->nr,
		.segments = segments,
		.indirect_pages = a->indirect ? indirect : NULL,
	};

	for (uint32_t i = 0; i < a->nr; i++)
		segments[i] = (struct front_segment){ h->pages.grefs[i % DATA_PAGES], 0,
						      SECTORS_PER_PAGE - 1 };
	if (a->odd) {
		segments[a->odd_at].gref = ask_gref(h, a->page, segments[a->odd_at].gref);
		segments[a->odd_at].first = a->first;
		segments[a->odd_at].last = a->last;
	}
	for (uint32_t i = 0; i < INDIRECT_PAGES; i++)
		indirect[i] =
			(struct front_indirect_page){ ask_gref(h, a->segments_in,
							       h->pages.grefs[DATA_PAGES + i]),
						      front_page(&h->pages, DATA_PAGES + i) };
	front_ring_encode(&hostile_queue(h)->ring, &req, entry);
	*id = req.id;
	*operation = a->op;
	if (a->inner)
		*operation = entry[1] = a->inner;
	/* Their places are the same in every ABI. */
	if (a->says && a->indirect)
		memcpy(entry + 2, &a->said, sizeof(a->said));
	else if (a->says)
		entry[1] = (uint8_t)a->said;
	if (a->indirect && !h->front->offer.max_indirect_segments)
		*operation = BLKIF_OP_INDIRECT;
}

static unsigned set_of(int16_t status)
{
	return status == BLKIF_RSP_OKAY		? OKAY
	       : status == BLKIF_RSP_EOPNOTSUPP ? UNSUPPORTED
						: ERROR;
}

/* Return: responses taken, 0 if none comes in time. */
static int take(struct hostile *h, struct front_queue *q, struct front_response *rsp)
{
	uint64_t end_ns = clock_ns() + h->options.timeout_ms * 1000000ull;
	int n;

	while (!(n = front_queue_poll(q, rsp, 1)) && clock_ns() < end_ns)
		front_queue_wait(q, 50000);
	return n;
}

unsigned ask_answer(struct hostile *h, uint64_t id, uint8_t operation)
{
	struct front_queue *q = hostile_queue(h);
	struct front_response rsp;

	front_queue_push(q);
	if (take(h, q, &rsp) != 1)
		return NO_ANSWER;
	return rsp.id == id && rsp.operation == operation ? set_of(rsp.status) : WRONG_ANSWER;
}

unsigned ask_collect(struct hostile *h, struct front_queue *q, uint32_t nr)
{
	struct front_response rsp;
	unsigned seen = 0;

	front_queue_push(q);
	for (uint32_t i = 0; i < nr; i++) {
		if (take(h, q, &rsp) != 1)
			return seen | NO_ANSWER;
		seen |= set_of(rsp.status);
	}
	return seen;
}

static bool untouched(struct hostile *h)
{
	const uint8_t *mem = h->pages.mem;

	for (size_t i = 0; i < DATA_PAGES * FRONT_PAGE_BYTES; i++) {
		if (mem[i] != SPOIL)
			return false;
	}
	return true;
}

static bool changes(const struct ask *a)
{
	return a->op != BLKIF_OP_READ;
}

void ask_run(struct hostile *h, const struct hostile_case *k)
{
	uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
	uint64_t id;
	unsigned answer;

	memset(h->pages.mem, SPOIL, DATA_PAGES * FRONT_PAGE_BYTES);
	ask_encode(h, &k->ask, entry, &id, &operation);
	if (front_queue_put_raw(hostile_queue(h), entry)) {
		hostile_wrong(h, "the ring is full");
		return;
	}
	answer = ask_answer(h, id, operation);
	h->seen |= answer;
	/* Where one page was bad, others may have been written to before. */
	if (answer != OKAY && !(k->ask.odd && k->ask.page) && !untouched(h))
		hostile_wrong(h, "pages were written to for a request that was refused");
	if (!changes(&k->ask) || k->fate != FATE_SERVED)
		return;
	if (k->answers & OKAY)
		ask_restore(h, k->disk);
	else if (!ask_kept(h, k->disk))
		hostile_wrong(h, "a request that was refused has changed the disk");
}

/* All places that are looked at, from or to the first KEPT_PAGES of our pages. */
static bool move(struct hostile *h, uint8_t op)
{
	const struct ask asks[] = {
		{ .op = op, .nr = FRONT_MAX_DIRECT },
		{ .op = op,
		  .nr = 1,
		  .at_end = true,
		  .sector = SECTORS_PER_PAGE,
		  .odd = true,
		  .last = SECTORS_PER_PAGE - 1 },
	};

	for (size_t i = 0; i < NR(asks); i++) {
		uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
		struct ask a = asks[i];
		uint64_t id;

		ask_encode(h, &a, entry, &id, &operation);
		/* The last page comes into the page behind the others. */
		if (i)
			memcpy(entry + (h->wishes.abi == FRONT_ABI_X86_32 ? 20 : 24),
			       &h->pages.grefs[FRONT_MAX_DIRECT], sizeof(uint32_t));
		if (front_queue_put_raw(hostile_queue(h), entry) ||
		    ask_answer(h, id, operation) != OKAY)
			return false;
	}
	return true;
}

bool ask_keep(struct hostile *h, enum disk disk)
{
	if (!move(h, BLKIF_OP_READ))
		return false;
	memcpy(h->before[disk], h->pages.mem, KEPT_PAGES * FRONT_PAGE_BYTES);
	return true;
}

bool ask_kept(struct hostile *h, enum disk disk)
{
	memset(h->pages.mem, ~SPOIL, KEPT_PAGES * FRONT_PAGE_BYTES);
	return move(h, BLKIF_OP_READ) &&
	       !memcmp(h->before[disk], h->pages.mem, KEPT_PAGES * FRONT_PAGE_BYTES);
}

bool ask_restore(struct hostile *h, enum disk disk)
{
	memcpy(h->pages.mem, h->before[disk], KEPT_PAGES * FRONT_PAGE_BYTES);
	return disk == DISK_READ_ONLY || move(h, BLKIF_OP_WRITE);
}

bool ask_serves(struct hostile *h)
{
	const struct ask read = { .op = BLKIF_OP_READ, .nr = 1 };
	uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
	uint64_t id;

	memset(h->pages.mem, SPOIL, FRONT_PAGE_BYTES);
	ask_encode(h, &read, entry, &id, &operation);
	return !front_queue_put_raw(hostile_queue(h), entry) &&
	       ask_answer(h, id, operation) == OKAY &&
	       !memcmp(h->pages.mem, h->before[h->front - h->fronts], FRONT_PAGE_BYTES);
}
