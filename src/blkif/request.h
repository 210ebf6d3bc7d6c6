/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request - from the bytes that a guest wrote to a request that is safe to carry out.
 *
 * A pure function of a private copy and of the disk's limits. What comes out has been checked
 * whole: every segment within its page, every sector within the disk, no write on a read-only
 * disk. What the guest asked for in vain comes out as a BLKIF_RSP_* status, with what is needed to
 * answer it.
 *
 * A "sector" is 512 bytes, whatever the disk's block size: <xen/io/blkif.h>.
 *
 * Thread: any.
 */
#ifndef XENBLKD_REQUEST_H
#define XENBLKD_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

#define SECTOR_BYTES	     512u
#define SECTORS_PER_PAGE     8u
#define REQUEST_MAX_SEGMENTS 11u /* BLKIF_MAX_SEGMENTS_PER_REQUEST */

/* What an indirect request may have: one page of the guest's holds so many segments. */
#define REQUEST_SEGMENTS_PER_PAGE  512u
#define REQUEST_MAX_INDIRECT_PAGES 8u /* BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST */

enum request_op {
	REQUEST_READ,
	REQUEST_WRITE,
	REQUEST_FLUSH, /* what was answered before is made stable; then its data, if any, is written */
	REQUEST_BARRIER, /* the same; nothing of the ring before it or behind it runs beside it */
	REQUEST_DISCARD,
};

/* Whole sectors of one granted page. */
struct segment {
	uint32_t gref;
	uint16_t offset_bytes; /* in the page */
	uint16_t len_bytes; /* 512 to 4096; offset_bytes + len_bytes <= 4096 */
};

struct request {
	/* Always set, to answer with. */
	uint64_t id;
	uint8_t operation; /* BLKIF_OP_*, as the guest wrote it, of an indirect request that within:
			      echoed, never interpreted again */

	/* Set if the request is good. */
	enum request_op op;
	bool indirect; /* segments are in the guest's pages: see request_parse_segments() */
	bool secure; /* of a discard */
	uint16_t
		nr_segments; /* up to REQUEST_MAX_SEGMENTS, or to what limits allow an indirect one;
				 0 if there is no data */
	uint64_t offset_bytes; /* on the disk; 0 for a flush or barrier without data */
	uint64_t len_bytes; /* sum over the segments, or the range of a discard; offset_bytes +
			       len_bytes <= the disk's size */
	union {
		struct segment segments[REQUEST_MAX_SEGMENTS];
		uint32_t indirect_grefs[REQUEST_MAX_INDIRECT_PAGES]; /* request_indirect_pages() */
	};
};

/* A page of an indirect request as the guest wrote it: untrusted, and private to us once copied. */
struct raw_segments {
	_Alignas(8) uint8_t bytes[RING_PAGE_BYTES];
};

/* What a disk allows. */
struct request_limits {
	uint64_t size_bytes; /* a multiple of SECTOR_BYTES */
	bool read_only;
	bool flush; /* BLKIF_OP_FLUSH_DISKCACHE and BLKIF_OP_WRITE_BARRIER are offered */
	bool discard; /* BLKIF_OP_DISCARD is */
	bool discard_secure; /* and so it is with BLKIF_DISCARD_SECURE */
	uint16_t max_indirect_segments; /* feature-max-indirect-segments, at most what
					 REQUEST_MAX_INDIRECT_PAGES hold; 0: not offered */
};

/**
 * request_parse - checks one request
 *
 * @raw: a private copy; read only here
 * @req: filled as far as the result says
 *
 * An indirect request is not whole after this: len_bytes is 0, and its segments are still with the
 * guest.
 *
 * Return: BLKIF_RSP_OKAY and all of @req; BLKIF_RSP_EOPNOTSUPP for an operation that is unknown or
 * not offered; BLKIF_RSP_ERROR for anything else that is wrong. In the last two cases only id and
 * operation are set.
 */
int16_t request_parse(const struct abi *abi, const struct raw_request *raw,
		      const struct request_limits *limits, struct request *req);

/* request_indirect_pages - pages of the guest's that hold the segments of an indirect request. */
static inline uint32_t request_indirect_pages(const struct request *req)
{
	if (!req->indirect)
		return 0;
	return (req->nr_segments + REQUEST_SEGMENTS_PER_PAGE - 1) / REQUEST_SEGMENTS_PER_PAGE;
}

/* request_indirect_bytes - bytes of segments in page @i of them: what has to be copied of it. */
static inline uint16_t request_indirect_bytes(const struct request *req, uint32_t i)
{
	uint32_t left = req->nr_segments - i * REQUEST_SEGMENTS_PER_PAGE;

	return (uint16_t)(8u *
			  (left < REQUEST_SEGMENTS_PER_PAGE ? left : REQUEST_SEGMENTS_PER_PAGE));
}

/**
 * request_parse_segments - the second half of an indirect request
 *
 * @req:      as request_parse() left it; len_bytes is set here
 * @pages:    request_indirect_pages() private copies, each valid for request_indirect_bytes()
 * @segments: filled with nr_segments segments
 *
 * Return: BLKIF_RSP_OKAY; or BLKIF_RSP_ERROR, and @segments are of no use.
 */
int16_t request_parse_segments(struct request *req, const struct raw_segments *const *pages,
			       const struct request_limits *limits, struct segment *segments);

/**
 * request_is_sound - true if what was parsed by somebody else agrees with itself
 *
 * That its range lies within the disk is for whoever executes it.
 *
 * @max_indirect_segments: that an indirect one may have
 */
bool request_is_sound(const struct request *req, uint32_t max_indirect_segments);

/* request_is_allowed - true if the disk allows it, by range and kind. */
bool request_is_allowed(const struct request *req, const struct request_limits *limits);

/**
 * request_peek - copies the ring's next request and checks it; does not consume it
 *
 * Only after ring_pending() said that it is there. Return: as request_parse().
 */
int16_t request_peek(const struct ring *r, const struct request_limits *limits,
		     struct request *req);

#endif
