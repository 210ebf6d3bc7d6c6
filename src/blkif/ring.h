/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring - the backend's end of one blkif ring.
 *
 * The ring lies in pages that the guest granted and can write at any time, so nothing in it is
 * read twice: the producer index is read once and checked, an entry is copied out whole and only
 * the copy is looked at. Our own indices are private; what the guest may have done to the shared
 * copies of them does not matter after ring_attach().
 *
 * Indices run freely over 32 bits; entry i is at i & (nr_entries - 1). Source: <xen/io/ring.h>.
 *
 * Thread: a ring belongs to one thread at a time.
 */
#ifndef XENBLKD_RING_H
#define XENBLKD_RING_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "abi.h"

#define RING_PAGE_BYTES	  4096u
#define RING_HEADER_BYTES 64u /* the indices, before the first entry */

/*
 * Volatile, so that the compiler neither reads a word twice nor leaves a read out; aliasing,
 * because what the guest stores there has no type of ours.
 */
typedef volatile uint32_t ring_word __attribute__((may_alias));

/* For what is copied: as much as one load takes, wherever it lies. */
typedef uint32_t ring_piece __attribute__((vector_size(16), may_alias, aligned(4)));

/* One entry as the guest wrote it: untrusted, and private to us once copied. */
struct raw_request {
	_Alignas(8) uint8_t bytes[ABI_REQUEST_MAX_BYTES];
};

struct ring {
	const struct abi *abi;
	void *shared; /* nr_pages mapped pages; the guest writes here */
	uint32_t nr_entries; /* a power of two */
	uint32_t req_cons; /* the next request to take */
	uint32_t rsp_prod; /* the next response to write; published by ring_push() */
	uint32_t rsp_pushed; /* how far they are published */
};

/* ring_entries - entries of a ring of @nr_pages pages: 32 for one page in both ABIs. */
uint32_t ring_entries(const struct abi *abi, uint32_t nr_pages);

/**
 * ring_attach - starts at the place where the ring stands
 *
 * A ring may have been in use before (an earlier backend, all of whose requests were answered), so
 * we go on from the responses that it shows: a guest that falsifies that index harms itself alone.
 *
 * @shared: @nr_pages consecutive pages, mapped read and write; stays the caller's and must outlive
 *          the ring
 *
 * Return: 0, or -EPROTO if the ring holds more requests than it has entries; @r is then untouched.
 */
int ring_attach(struct ring *r, const struct abi *abi, void *shared, uint32_t nr_pages);

/**
 * ring_resume - goes on where another backend was when it ended in the middle
 *
 * Publishes responses up to @rsp_prod, which may have been done before.
 *
 * @req_cons, @rsp_prod: where it was, by its own account
 *
 * Return: 0; -EPROTO if the ring does not fit to that: it is another; @r is then untouched.
 */
int ring_resume(struct ring *r, const struct abi *abi, void *shared, uint32_t nr_pages,
		uint32_t req_cons, uint32_t rsp_prod);

/**
 * ring_pending - how many requests there are to take
 *
 * Reads the guest's producer index, once. The requests counted are visible to ring_copy_request()
 * after this.
 *
 * Return: 0 to nr_entries, or -EPROTO if the guest claims more than fit beside those that are not
 * yet answered: the ring is then of no further use.
 */
int ring_pending(const struct ring *r);

/* ring_entry - Return: where entry @index lies, in memory that the guest writes to. */
static inline uint8_t *ring_entry(const struct ring *r, uint32_t index)
{
	size_t slot = index & (r->nr_entries - 1);

	return (uint8_t *)r->shared + RING_HEADER_BYTES + slot * r->abi->entry_bytes;
}

static inline void ring_copy_piece(struct raw_request *raw, const uint8_t *from, size_t at)
{
	ring_piece p = *(const volatile ring_piece *)(from + at);

	memcpy(raw->bytes + at, &p, sizeof(p));
}

/* ring_copy_tail - what is left of an entry in which the last piece does not fit; for ring_copy_request(). */
void ring_copy_tail(const struct ring *r, const uint8_t *from, struct raw_request *raw);

/**
 * ring_copy_request - copies the request at req_cons out of the ring, each byte once
 *
 * Only after ring_pending() said that it is there. Does not advance: see ring_consume().
 */
static inline void ring_copy_request(const struct ring *r, struct raw_request *raw)
{
	const uint8_t *from = ring_entry(r, r->req_cons);

	/* One after the other and not in a loop, which takes as long again. */
	ring_copy_piece(raw, from, 0);
	ring_copy_piece(raw, from, 16);
	ring_copy_piece(raw, from, 32);
	ring_copy_piece(raw, from, 48);
	ring_copy_piece(raw, from, 64);
	ring_copy_piece(raw, from, 80);
	if (__builtin_expect(r->abi->entry_bytes == ABI_REQUEST_MAX_BYTES, 1))
		ring_copy_piece(raw, from, 96);
	else
		ring_copy_tail(r, from, raw);
}

_Static_assert(ABI_REQUEST_MAX_BYTES == 112 && ABI_REQUEST_MIN_BYTES >= 96, "seven pieces, or six");

/* ring_consume - goes past the request at req_cons. */
static inline void ring_consume(struct ring *r)
{
	r->req_cons++;
}

/* ring_unanswered - requests that were consumed and not yet responded to. */
static inline uint32_t ring_unanswered(const struct ring *r)
{
	return r->req_cons - r->rsp_prod;
}

/**
 * ring_respond - writes one response, not yet visible to the guest
 *
 * The padding is written as zero. There must be an unanswered request.
 *
 * @id, @operation: as in the request; @status: BLKIF_RSP_*
 */
static inline void ring_respond(struct ring *r, uint64_t id, uint8_t operation, int16_t status)
{
	/* Put together in memory, it would be read back in another size than written: that takes long. */
	uint32_t word = operation | (uint32_t)(uint16_t)status << 16, padding = 0;
	uint8_t *at = ring_entry(r, r->rsp_prod);

	assert(ring_unanswered(r));
	memcpy(at, &id, sizeof(id));
	memcpy(at + sizeof(id), &word, sizeof(word));
	if (r->abi->response_bytes > sizeof(id) + sizeof(word))
		memcpy(at + sizeof(id) + sizeof(word), &padding, sizeof(padding));
	r->rsp_prod++;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "as every Xen machine");
_Static_assert(offsetof(struct abi_response, operation) == 8 &&
		       offsetof(struct abi_response, status) == 10,
	       "one word");

/**
 * ring_push - makes the responses written so far visible to the guest
 *
 * Return: true if the guest asked for an event at one of them.
 */
bool ring_push(struct ring *r);

/**
 * ring_arm - asks the guest for an event at its next request
 *
 * Return: 0 if the ring is empty and armed; 1 if there are requests to take (take them and ask
 * again); -EPROTO as ring_pending().
 */
int ring_arm(struct ring *r);

#endif
