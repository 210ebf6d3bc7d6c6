/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * front_ring - the frontend's end of one blkif ring, and how requests are laid out in it.
 *
 * The counterpart of src/blkif/ring.h, written from the specification alone: it shares no code with
 * the backend, so that the two can disagree. The structures of both x86 ABIs stand in front_ring.c
 * as C structures; no table of offsets is believed.
 *
 * Requests are put at a private index and become visible by front_ring_push(); responses are copied
 * out. Indices run freely over 32 bits. Source: <xen/io/ring.h>, <xen/io/blkif.h>.
 *
 * A "sector" is 512 bytes here, as everywhere in blkif.
 *
 * Thread: a ring belongs to one thread.
 */
#ifndef XENBLKD_FRONT_RING_H
#define XENBLKD_FRONT_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRONT_PAGE_BYTES   4096u
#define FRONT_SECTOR_BYTES 512u

/* Segments that fit into one page of an indirect request. */
#define FRONT_SEGMENTS_PER_PAGE (FRONT_PAGE_BYTES / 8u)

/* Entries of both ABIs fit into this many bytes. */
#define FRONT_ENTRY_MAX_BYTES 112u

enum front_abi {
	FRONT_ABI_X86_64,
	FRONT_ABI_X86_32,
	/*
	 * That of the machine, x86_64, by not naming it: there is no "protocol" node. By the
	 * specification it is the same, but Linux' xen-blkback takes it for x86_32.
	 */
	FRONT_ABI_UNNAMED,
};

/* front_abi_protocol - the value of the node "protocol"; NULL: no such node. */
const char *front_abi_protocol(enum front_abi abi);

/* Sectors @first to @last (both are part of it, 0 to 7) of a granted page. */
struct front_segment {
	uint32_t gref;
	uint8_t first, last;
};

/* A page that holds the segments of an indirect request: ours, and granted. */
struct front_indirect_page {
	uint32_t gref;
	void *mem;
};

/*
 * One request, in no ABI. Nothing in it is checked: a caller can ask for what no backend may
 * carry out.
 */
struct front_request {
	uint8_t operation; /* BLKIF_OP_*, but never BLKIF_OP_INDIRECT: see indirect_pages */
	uint16_t handle;
	uint64_t id;
	uint64_t sector;
	uint64_t nr_sectors; /* of a discard */
	uint8_t flag; /* of a discard: BLKIF_DISCARD_* */
	uint16_t nr_segments; /* at most 11 without indirect pages */
	const struct front_segment *segments;
	/* Not NULL: an indirect request. As many pages as nr_segments needs, at most 8. */
	const struct front_indirect_page *indirect_pages;
};

struct front_response {
	uint64_t id;
	uint8_t operation;
	int16_t status;
};

struct front_ring {
	enum front_abi abi;
	void *shared; /* nr_pages pages; the backend writes here */
	uint32_t entry_bytes;
	uint32_t nr_entries;
	uint32_t req_prod; /* the next request to put; visible as far as req_pushed */
	uint32_t req_pushed;
	uint32_t rsp_cons; /* the next response to take */
};

/**
 * front_ring_init - a fresh ring
 *
 * @shared: @nr_pages consecutive pages; all zero after this but for the event indices
 */
void front_ring_init(struct front_ring *r, enum front_abi abi, void *shared, uint32_t nr_pages);

/* front_ring_free - how many requests can be put: slots without an unanswered request. */
static inline uint32_t front_ring_free(const struct front_ring *r)
{
	return r->nr_entries - (r->req_prod - r->rsp_cons);
}

/* front_ring_put - lays out @req in the next slot, and its segments in the indirect pages. */
void front_ring_put(struct front_ring *r, const struct front_request *req);

/**
 * front_ring_encode - as front_ring_put(), but to @entry, to be spoilt and put by
 * front_ring_put_raw()
 *
 * @entry: FRONT_ENTRY_MAX_BYTES; all that is not part of the request is zero
 */
void front_ring_encode(const struct front_ring *r, const struct front_request *req, void *entry);

/* front_ring_put_raw - @entry_bytes of @entry into the next slot, as they are. */
void front_ring_put_raw(struct front_ring *r, const void *entry);

/**
 * front_ring_push - makes what was put visible
 *
 * Return: true if the backend asked for an event at one of them.
 */
bool front_ring_push(struct front_ring *r);

/**
 * front_ring_pending - how many responses there are to take
 *
 * Return: 0 to the number of unanswered requests; -EPROTO if the backend claims more.
 */
int front_ring_pending(const struct front_ring *r);

/* front_ring_take - copies the next response out; front_ring_pending() said that it is there. */
void front_ring_take(struct front_ring *r, struct front_response *out);

/**
 * front_ring_arm - asks the backend for an event at its next response
 *
 * Return: 0 if there is no response and the ring is armed; 1 if there are; -EPROTO.
 */
int front_ring_arm(struct front_ring *r);

#endif
