/* SPDX-License-Identifier: BSD-2-Clause */
/* Grants that are wrong, in the segments of plain and of indirect requests. */
#include "ask_cases.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* What is read goes to entries of the ring that are not in use, or over its indices. */
static void read_into_ring(struct hostile *h, const struct hostile_case *k)
{
	uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
	uint64_t id;

	ask_encode(h, &k->ask, entry, &id, &operation);
	front_queue_put_raw(hostile_queue(h), entry);
	h->seen |= ask_answer(h, id, operation);
}

/* The ring's indices come from the disk, where the guest wrote some: a producer index far away. */
static void read_over_indices(struct hostile *h, const struct hostile_case *k)
{
	const struct ask write = { .op = W, .nr = 1 };
	uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
	uint64_t id;

	memset(h->pages.mem, 0xa5, FRONT_PAGE_BYTES);
	ask_encode(h, &write, entry, &id, &operation);
	front_queue_put_raw(hostile_queue(h), entry);
	if (ask_answer(h, id, operation) != OKAY)
		hostile_wrong(h, "the disk could not be written to");
	ask_encode(h, &k->ask, entry, &id, &operation);
	front_queue_put_raw(hostile_queue(h), entry);
	front_queue_push(hostile_queue(h));
	front_queue_notify(hostile_queue(h));
	if (!session_cut_off(h))
		hostile_wrong(h, "it is not cut off");
	session_disconnect(h);
	if (session_connect(h, NULL, 0) || !ask_restore(h, DISK_WRITABLE)) {
		hostile_wrong(h, "the disk cannot be put in order again");
		return;
	}
	/* Of the connection that there is now, so that what is seen to be cut off is this one. */
	__atomic_store_n((uint32_t *)hostile_queue(h)->ring.shared, 1000, __ATOMIC_SEQ_CST);
	front_queue_notify(hostile_queue(h));
}

/* ----- revoked while in use */

/* A page that is granted and revoked all the time; whoever names it has a good one or not. */
struct revoker {
	pthread_t thread;
	atomic_bool stop;
	_Atomic uint32_t gref;
};

static void *revoke(void *arg)
{
	struct revoker *r = arg;
	xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
	struct front_pages page;

	while (gntshr && !r->stop) {
		if (front_pages_create(&page, gntshr, 0, 1, true))
			break;
		r->gref = page.grefs[0];
		front_pages_destroy(&page);
	}
	if (gntshr)
		xengntshr_close(gntshr);
	return NULL;
}

static void revoked_meanwhile(struct hostile *h, const struct hostile_case *k)
{
	struct front_queue *q = hostile_queue(h);
	struct revoker r = { .gref = UINT32_MAX };
	uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
	uint64_t id;

	pthread_create(&r.thread, NULL, revoke, &r);
	for (int turn = 0; turn < 30 && !(h->seen & NO_ANSWER); turn++) {
		for (uint32_t i = 0; i < q->ring.nr_entries; i++) {
			h->revoked = r.gref;
			ask_encode(h, &k->ask, entry, &id, &operation);
			front_queue_put_raw(q, entry);
		}
		h->seen |= ask_collect(h, q, q->ring.nr_entries);
	}
	r.stop = true;
	pthread_join(r.thread, NULL);
	h->revoked = 0;
	if (k->ask.op == W)
		ask_restore(h, k->disk);
}

/* Its pages are taken back when the request has been pushed and not been answered. */
static void revoked_in_flight(struct hostile *h, const struct hostile_case *k)
{
	struct front_queue *q = hostile_queue(h);

	for (int turn = 0; turn < 30 && !(h->seen & NO_ANSWER); turn++) {
		struct front_pages page;
		uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
		uint64_t id;

		if (front_pages_create(&page, h->gntshr, 0, 1, true))
			return;
		h->revoked = page.grefs[0];
		ask_encode(h, &k->ask, entry, &id, &operation);
		front_queue_put_raw(q, entry);
		front_queue_push(q);
		front_pages_destroy(&page);
		h->seen |= ask_collect(h, q, 1);
	}
	h->revoked = 0;
	if (k->ask.op == W)
		ask_restore(h, k->disk);
}

#define ODD(op_, nr_, at, page_) \
	.op = op_, .nr = nr_, .odd = true, .odd_at = at, .last = 7, .page = page_

static const struct hostile_case cases[] = {
	ASK("read-not-granted", "a read into a page that is not granted", ERROR,
	    ODD(R, 1, 0, PAGE_NOT_GRANTED)),
	ASK("read-beyond", "a read into a reference beyond any table", ERROR,
	    ODD(R, 1, 0, PAGE_BEYOND)),
	ASK("read-max", "a read into reference 2^32 - 1", ERROR, ODD(R, 1, 0, PAGE_MAX)),
	ASK("read-high-bit", "a read into a good reference plus 2^31", ERROR,
	    ODD(R, 1, 0, PAGE_HIGH_BIT)),
	ASK("read-foreign", "a read into a page that is granted to another domain", ERROR,
	    ODD(R, 1, 0, PAGE_FOREIGN)),
	ASK("read-read-only", "a read into a page that may only be read", ERROR,
	    ODD(R, 1, 0, PAGE_READABLE)),
	ASK("read-revoked", "a read into a page that was granted once", ERROR,
	    ODD(R, 1, 0, PAGE_REVOKED)),
	ASK("write-not-granted", "a write from a page that is not granted", ERROR,
	    ODD(W, 1, 0, PAGE_NOT_GRANTED)),
	ASK("write-max", "a write from reference 2^32 - 1", ERROR, ODD(W, 1, 0, PAGE_MAX)),
	ASK("write-foreign", "a write from a page that is granted to another domain", ERROR,
	    ODD(W, 1, 0, PAGE_FOREIGN)),
	ASK("write-revoked", "a write from a page that was granted once", ERROR,
	    ODD(W, 1, 0, PAGE_REVOKED)),
	ASK("write-read-only", "a write from a page that may only be read", OKAY,
	    ODD(W, 1, 0, PAGE_READABLE)),
	ASK("flush-not-granted", "a flush with data from a page that is not granted", ERROR,
	    ODD(F, 1, 0, PAGE_NOT_GRANTED)),
	ASK("barrier-not-granted", "a barrier with data from a page that is not granted", ERROR,
	    ODD(B, 1, 0, PAGE_NOT_GRANTED)),
	ASK("write-after-those", "a write after those: no flush has failed", OKAY, .op = W,
	    .nr = 1),

	ASK("read-first-of-11", "a read whose first page of 11 is bad", ERROR,
	    ODD(R, 11, 0, PAGE_NOT_GRANTED)),
	ASK("read-last-of-11", "a read whose last page of 11 is bad", ERROR,
	    ODD(R, 11, 10, PAGE_FOREIGN)),
	ASK("write-first-of-11", "a write whose first page of 11 is bad", ERROR,
	    ODD(W, 11, 0, PAGE_MAX)),
	ASK("write-middle-of-11", "a write whose 6th page of 11 is bad", ERROR,
	    ODD(W, 11, 5, PAGE_FOREIGN)),
	ASK("write-last-of-11", "a write whose last page of 11 is bad", ERROR,
	    ODD(W, 11, 10, PAGE_REVOKED)),
	ASK("read-256-last", "an indirect read whose 256th page is bad", ERROR, .indirect = true,
	    ODD(R, 256, 255, PAGE_NOT_GRANTED)),
	ASK("read-256-read-only", "an indirect read, one page of which may only be read", ERROR,
	    .indirect = true, ODD(R, 256, 100, PAGE_READABLE)),
	ASK("write-256-last", "an indirect write whose 256th page is bad", ERROR, .indirect = true,
	    ODD(W, 256, 255, PAGE_BEYOND)),
	ASK("write-256-first", "an indirect write whose first page is bad", ERROR, .indirect = true,
	    ODD(W, 256, 0, PAGE_FOREIGN)),
	ASK("write-256-read-only", "an indirect write, one page of which may only be read", OKAY,
	    .indirect = true, ODD(W, 256, 100, PAGE_READABLE)),

	ASK("write-ring", "the ring is written to the disk", OKAY, ODD(W, 1, 0, PAGE_RING)),
	ASK("write-indirect-page", "the page of segments is written to the disk", OKAY,
	    .indirect = true, ODD(W, 16, 1, PAGE_INDIRECT)),
	{ .name = "read-ring-unused",
	  .does = "a read into entries of the ring that are not in use",
	  .answers = OKAY,
	  .run = read_into_ring,
	  .ask = { .op = R, .nr = 1, .odd = true, .first = 7, .last = 7, .page = PAGE_RING } },
	{ .name = "read-ring-indices",
	  .does = "a read over the indices of the ring, of others from the disk",
	  .fate = FATE_CUT,
	  .run = read_over_indices,
	  .ask = { .op = R, .nr = 1, .odd = true, .page = PAGE_RING } },

	{ .name = "read-revoked-meanwhile",
	  .does = "reads into a page that is granted and revoked all the time",
	  .answers = OKAY | ERROR,
	  .run = revoked_meanwhile,
	  .ask = { ODD(R, 4, 2, PAGE_REVOKED) } },
	{ .name = "write-revoked-meanwhile",
	  .does = "writes from one",
	  .answers = OKAY | ERROR,
	  .run = revoked_meanwhile,
	  .ask = { ODD(W, 4, 2, PAGE_REVOKED) } },
	{ .name = "indirect-revoked-meanwhile",
	  .does = "indirect reads whose page of segments is one",
	  .answers = OKAY | ERROR,
	  .run = revoked_meanwhile,
	  .ask = { .op = R, .indirect = true, .nr = 16, .segments_in = PAGE_REVOKED } },
	{ .name = "read-revoked-in-flight",
	  .does = "a page is revoked when the read into it has begun",
	  .answers = OKAY | ERROR,
	  .run = revoked_in_flight,
	  .ask = { ODD(R, 4, 2, PAGE_REVOKED) } },
	{ .name = "write-revoked-in-flight",
	  .does = "a page is revoked when the write from it has begun",
	  .answers = OKAY | ERROR,
	  .run = revoked_in_flight,
	  .ask = { ODD(W, 4, 2, PAGE_REVOKED) } },
};

const struct hostile_group grants_group = { "grants", cases, NR(cases) };
