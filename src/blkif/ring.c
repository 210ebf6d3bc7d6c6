/* SPDX-License-Identifier: BSD-2-Clause */
#include "ring.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <xen/io/blkif.h>

_Static_assert(RING_HEADER_BYTES == offsetof(struct blkif_sring, ring), "the same in every ABI");

/* The four indices; the entries behind them only by ring_entry(), which knows the ABI. */
static struct blkif_sring *sring(const struct ring *r)
{
	return r->shared;
}

static uint32_t read_index(const uint32_t *index)
{
	return *(const ring_word *)index;
}

static void write_index(uint32_t *index, uint32_t value)
{
	*(ring_word *)index = value;
}

uint32_t ring_entries(const struct abi *abi, uint32_t nr_pages)
{
	size_t room_bytes = (size_t)nr_pages * RING_PAGE_BYTES - RING_HEADER_BYTES;
	size_t fit = room_bytes / abi->entry_bytes;
	uint32_t entries = 1;

	while (entries * 2u <= fit)
		entries *= 2u;
	return entries;
}

int ring_attach(struct ring *r, const struct abi *abi, void *shared, uint32_t nr_pages)
{
	struct ring fresh = {
		.abi = abi,
		.shared = shared,
		.nr_entries = ring_entries(abi, nr_pages),
	};
	uint32_t shown = read_index(&sring(&fresh)->rsp_prod);

	fresh.req_cons = fresh.rsp_prod = fresh.rsp_pushed = shown;
	if (ring_pending(&fresh) < 0)
		return -EPROTO;
	*r = fresh;
	return 0;
}

int ring_resume(struct ring *r, const struct abi *abi, void *shared, uint32_t nr_pages,
		uint32_t req_cons, uint32_t rsp_prod)
{
	struct ring found = {
		.abi = abi,
		.shared = shared,
		.nr_entries = ring_entries(abi, nr_pages),
		.req_cons = req_cons,
		.rsp_prod = rsp_prod,
		.rsp_pushed = rsp_prod,
	};

	if (ring_unanswered(&found) > found.nr_entries || ring_pending(&found) < 0)
		return -EPROTO;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	write_index(&sring(&found)->rsp_prod, rsp_prod);
	*r = found;
	return 0;
}

int ring_pending(const struct ring *r)
{
	uint32_t produced = read_index(&sring(r)->req_prod);
	uint32_t pending = produced - r->req_cons;

	/* The index before the entries: a request must not be read before we know that it is there. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);

	/* A producer that went backwards is one that claims nearly 2^32 requests. */
	if (pending > r->nr_entries - ring_unanswered(r))
		return -EPROTO;
	return (int)pending;
}

void ring_copy_tail(const struct ring *r, const uint8_t *from, struct raw_request *raw)
{
	size_t at = ABI_REQUEST_MIN_BYTES / sizeof(ring_piece) * sizeof(ring_piece);

	/* Words divide entries of every ABI; the last x86_32 entry must not be read past its end. */
	for (; at < r->abi->entry_bytes; at += sizeof(uint32_t)) {
		uint32_t word = *(const ring_word *)(from + at);

		memcpy(raw->bytes + at, &word, sizeof(word));
	}
	memset(raw->bytes + at, 0, sizeof(raw->bytes) - at);
}

bool ring_push(struct ring *r)
{
	uint32_t pushed = r->rsp_pushed, event;

	if (pushed == r->rsp_prod)
		return false;

	/* The guest must see the responses before it sees that they are there. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	write_index(&sring(r)->rsp_prod, r->rsp_prod);
	r->rsp_pushed = r->rsp_prod;

	/*
	 * The guest must see the responses before we look at where it wants an event: it sets
	 * rsp_event first and looks for responses once more then, so one of us sees the other.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = read_index(&sring(r)->rsp_event);
	return r->rsp_prod - event < r->rsp_prod - pushed;
}

int ring_arm(struct ring *r)
{
	int pending = ring_pending(r);

	if (!pending) {
		write_index(&sring(r)->req_event, r->req_cons + 1);
		/*
		 * The guest must see where we want an event before we look for the last time: a
		 * request that it made before it saw that comes without one.
		 */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		pending = ring_pending(r);
	}
	return pending > 0 ? 1 : pending;
}
