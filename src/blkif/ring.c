/* SPDX-License-Identifier: BSD-2-Clause */
#include "ring.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <xen/io/blkif.h>

#define RING_HEADER_BYTES offsetof(struct blkif_sring, ring)

_Static_assert(RING_HEADER_BYTES == 64, "the same in every ABI");

/*
 * Volatile, so that the compiler neither reads a word twice nor leaves a read out; aliasing,
 * because what the guest stores there has no type of ours.
 */
typedef volatile uint32_t shared_word __attribute__((may_alias));

/* For what is copied: as much as one load takes, wherever it lies. */
typedef uint32_t piece __attribute__((vector_size(16), may_alias, aligned(4)));
typedef volatile piece shared_piece;

/* The four indices; the entries behind them only by entry_at(), which knows the ABI. */
static struct blkif_sring *sring(const struct ring *r)
{
	return r->shared;
}

static uint32_t read_index(const uint32_t *index)
{
	return *(const shared_word *)index;
}

static void write_index(uint32_t *index, uint32_t value)
{
	*(shared_word *)index = value;
}

static uint8_t *entry_at(const struct ring *r, uint32_t index)
{
	size_t slot = index & (r->nr_entries - 1);

	return (uint8_t *)r->shared + RING_HEADER_BYTES + slot * r->abi->entry_bytes;
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

static void copy_piece(struct raw_request *raw, const uint8_t *from, size_t at)
{
	piece p = *(const shared_piece *)(from + at);

	memcpy(raw->bytes + at, &p, sizeof(p));
}

void ring_copy_request(const struct ring *r, struct raw_request *raw)
{
	const uint8_t *from = entry_at(r, r->req_cons);
	size_t at;

	for (at = 0; at < ABI_REQUEST_MIN_BYTES / sizeof(piece) * sizeof(piece);
	     at += sizeof(piece))
		copy_piece(raw, from, at);
	if (r->abi->entry_bytes == ABI_REQUEST_MAX_BYTES) {
		copy_piece(raw, from, at);
		return;
	}
	/* Words divide entries of every ABI; the last x86_32 entry must not be read past its end. */
	for (; at < r->abi->entry_bytes; at += sizeof(uint32_t)) {
		uint32_t word = *(const shared_word *)(from + at);

		memcpy(raw->bytes + at, &word, sizeof(word));
	}
	memset(raw->bytes + at, 0, sizeof(raw->bytes) - at);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "as every Xen machine");
_Static_assert(offsetof(struct abi_response, operation) == 8 &&
		       offsetof(struct abi_response, status) == 10,
	       "one word");

void ring_respond(struct ring *r, uint64_t id, uint8_t operation, int16_t status)
{
	/* Put together in memory, it would be read back in another size than written: that takes long. */
	uint32_t word = operation | (uint32_t)(uint16_t)status << 16, padding = 0;
	uint8_t *at = entry_at(r, r->rsp_prod);

	assert(ring_unanswered(r));
	memcpy(at, &id, sizeof(id));
	memcpy(at + sizeof(id), &word, sizeof(word));
	if (r->abi->response_bytes > sizeof(id) + sizeof(word))
		memcpy(at + sizeof(id) + sizeof(word), &padding, sizeof(padding));
	r->rsp_prod++;
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
