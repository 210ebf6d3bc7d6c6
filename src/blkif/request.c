/* SPDX-License-Identifier: BSD-2-Clause */
#include "request.h"

#include <stddef.h>
#include <string.h>
#include <xen/io/blkif.h>

_Static_assert(REQUEST_MAX_SEGMENTS == BLKIF_MAX_SEGMENTS_PER_REQUEST, "segments");

/* The same in every ABI. */
#define NR_SEGMENTS_AT		1u
#define DISCARD_FLAG_AT		1u
#define INDIRECT_OP_AT		1u
#define INDIRECT_NR_SEGMENTS_AT 2u
#define SEGMENT_BYTES		sizeof(struct blkif_request_segment)

_Static_assert(REQUEST_MAX_INDIRECT_PAGES == BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST, "pages");
_Static_assert(REQUEST_SEGMENTS_PER_PAGE *SEGMENT_BYTES == RING_PAGE_BYTES, "segments a page");

static uint64_t raw_u64(const struct raw_request *raw, size_t at)
{
	uint64_t value;

	memcpy(&value, raw->bytes + at, sizeof(value));
	return value;
}

static bool parse_segment(const uint8_t *raw, struct segment *out)
{
	struct blkif_request_segment seg;

	memcpy(&seg, raw, sizeof(seg));
	if (seg.first_sect > seg.last_sect || seg.last_sect >= SECTORS_PER_PAGE)
		return false;
	out->gref = seg.gref;
	out->offset_bytes = (uint16_t)(seg.first_sect * SECTOR_BYTES);
	out->len_bytes = (uint16_t)((seg.last_sect - seg.first_sect + 1u) * SECTOR_BYTES);
	return true;
}

static bool is_within(const struct request *req, const struct request_limits *limits)
{
	uint64_t end_bytes;

	return !__builtin_add_overflow(req->offset_bytes, req->len_bytes, &end_bytes) &&
	       end_bytes <= limits->size_bytes;
}

/* @req->len_bytes from there: within the disk, and nothing of it wraps. */
static int16_t parse_place(const struct abi *abi, const struct raw_request *raw,
			   const struct request_limits *limits, struct request *req)
{
	if (__builtin_mul_overflow(raw_u64(raw, abi->sector_number), SECTOR_BYTES,
				   &req->offset_bytes) ||
	    !is_within(req, limits))
		return BLKIF_RSP_ERROR;
	return BLKIF_RSP_OKAY;
}

/* Whatever has data: segments and range are wrong in the same way for all. */
static int16_t parse_transfer(const struct abi *abi, const struct raw_request *raw,
			      const struct request_limits *limits, struct request *req)
{
	uint64_t len_bytes = 0;

	req->nr_segments = raw->bytes[NR_SEGMENTS_AT];
	if (req->nr_segments == 0 || req->nr_segments > REQUEST_MAX_SEGMENTS)
		return BLKIF_RSP_ERROR;

	for (size_t i = 0; i < req->nr_segments; i++) {
		if (!parse_segment(raw->bytes + abi->segments + i * SEGMENT_BYTES,
				   &req->segments[i]))
			return BLKIF_RSP_ERROR;
		len_bytes += req->segments[i].len_bytes;
	}
	req->len_bytes = len_bytes;
	return parse_place(abi, raw, limits, req);
}

/*
 * A transfer whose segments lie in pages of the guest's. What is within may be a read or a write and
 * nothing else; the response names it, and not BLKIF_OP_INDIRECT.
 */
static int16_t parse_indirect(const struct abi *abi, const struct raw_request *raw,
			      const struct request_limits *limits, struct request *req)
{
	if (!limits->max_indirect_segments)
		return BLKIF_RSP_EOPNOTSUPP;
	req->operation = raw->bytes[INDIRECT_OP_AT];
	if (req->operation != BLKIF_OP_READ && req->operation != BLKIF_OP_WRITE)
		return BLKIF_RSP_ERROR;
	if (req->operation == BLKIF_OP_WRITE && limits->read_only)
		return BLKIF_RSP_ERROR;
	req->op = req->operation == BLKIF_OP_READ ? REQUEST_READ : REQUEST_WRITE;

	memcpy(&req->nr_segments, raw->bytes + INDIRECT_NR_SEGMENTS_AT, sizeof(req->nr_segments));
	if (req->nr_segments == 0 || req->nr_segments > limits->max_indirect_segments)
		return BLKIF_RSP_ERROR;
	req->indirect = true;
	req->len_bytes = 0;
	memcpy(req->indirect_grefs, raw->bytes + abi->indirect_grefs, sizeof(req->indirect_grefs));
	return parse_place(abi, raw, limits, req);
}

int16_t request_parse_segments(struct request *req, const struct raw_segments *const *pages,
			       const struct request_limits *limits, struct segment *segments)
{
	req->len_bytes = 0;
	for (size_t i = 0; i < req->nr_segments; i++) {
		const struct raw_segments *page = pages[i / REQUEST_SEGMENTS_PER_PAGE];

		if (!parse_segment(page->bytes + i % REQUEST_SEGMENTS_PER_PAGE * SEGMENT_BYTES,
				   &segments[i]))
			return BLKIF_RSP_ERROR;
		req->len_bytes += segments[i].len_bytes;
	}
	return is_within(req, limits) ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR;
}

static int16_t parse_write(const struct abi *abi, const struct raw_request *raw,
			   const struct request_limits *limits, struct request *req)
{
	return limits->read_only ? BLKIF_RSP_ERROR : parse_transfer(abi, raw, limits, req);
}

/* A flush or a barrier: with data to be written, or without. */
static int16_t parse_flush(const struct abi *abi, const struct raw_request *raw,
			   const struct request_limits *limits, struct request *req)
{
	if (!limits->flush)
		return BLKIF_RSP_EOPNOTSUPP;
	if (raw->bytes[NR_SEGMENTS_AT])
		return parse_write(abi, raw, limits, req);
	req->nr_segments = 0;
	req->offset_bytes = 0;
	req->len_bytes = 0;
	return BLKIF_RSP_OKAY;
}

static int16_t parse_discard(const struct abi *abi, const struct raw_request *raw,
			     const struct request_limits *limits, struct request *req)
{
	uint8_t flag = raw->bytes[DISCARD_FLAG_AT];

	/*
	 * The one flag there is asks that no copy can be recovered. Where that is not offered it must
	 * not seem to have been done, though blkif.h would have the flag ignored.
	 */
	req->secure = flag == BLKIF_DISCARD_SECURE;
	if (!limits->discard || (flag && !(req->secure && limits->discard_secure)))
		return BLKIF_RSP_EOPNOTSUPP;
	if (limits->read_only)
		return BLKIF_RSP_ERROR;
	req->nr_segments = 0;
	if (__builtin_mul_overflow(raw_u64(raw, abi->segments), SECTOR_BYTES, &req->len_bytes) ||
	    !req->len_bytes)
		return BLKIF_RSP_ERROR;
	return parse_place(abi, raw, limits, req);
}

/* The part of request_parse() that each request goes through; request_peek() has it within. */
static inline int16_t parse(const struct abi *abi, const struct raw_request *raw,
			    const struct request_limits *limits, struct request *req)
{
	/* The id has one place in requests of every kind, blkif_request_indirect's included. */
	req->id = raw_u64(raw, abi->id);
	req->operation = raw->bytes[0];
	req->indirect = false;
	req->secure = false;

	switch (req->operation) {
	case BLKIF_OP_READ:
		req->op = REQUEST_READ;
		return parse_transfer(abi, raw, limits, req);
	case BLKIF_OP_WRITE:
		req->op = REQUEST_WRITE;
		return parse_write(abi, raw, limits, req);
	case BLKIF_OP_INDIRECT:
		return parse_indirect(abi, raw, limits, req);
	case BLKIF_OP_FLUSH_DISKCACHE:
		req->op = REQUEST_FLUSH;
		return parse_flush(abi, raw, limits, req);
	case BLKIF_OP_WRITE_BARRIER:
		req->op = REQUEST_BARRIER;
		return parse_flush(abi, raw, limits, req);
	case BLKIF_OP_DISCARD:
		req->op = REQUEST_DISCARD;
		return parse_discard(abi, raw, limits, req);
	default:
		/* Not an error: on that, some guests give up the disk and not the operation. */
		return BLKIF_RSP_EOPNOTSUPP;
	}
}

int16_t request_parse(const struct abi *abi, const struct raw_request *raw,
		      const struct request_limits *limits, struct request *req)
{
	return parse(abi, raw, limits, req);
}

bool request_is_sound(const struct request *req, uint32_t max_indirect_segments)
{
	uint64_t len_bytes = 0;

	if (req->op > REQUEST_DISCARD || req->offset_bytes % SECTOR_BYTES ||
	    req->len_bytes % SECTOR_BYTES)
		return false;
	if (req->indirect)
		return (req->op == REQUEST_READ || req->op == REQUEST_WRITE) && req->nr_segments &&
		       req->nr_segments <= max_indirect_segments;
	if (req->nr_segments > REQUEST_MAX_SEGMENTS)
		return false;
	for (size_t i = 0; i < req->nr_segments; i++) {
		const struct segment *seg = &req->segments[i];

		if (seg->offset_bytes % SECTOR_BYTES || seg->len_bytes % SECTOR_BYTES ||
		    !seg->len_bytes || seg->offset_bytes + seg->len_bytes > RING_PAGE_BYTES)
			return false;
		len_bytes += seg->len_bytes;
	}
	if (req->op == REQUEST_DISCARD)
		return !req->nr_segments && req->len_bytes;
	if (req->secure)
		return false;
	return req->len_bytes == len_bytes && (len_bytes || req->op > REQUEST_WRITE);
}

bool request_is_allowed(const struct request *req, const struct request_limits *limits)
{
	bool changes = req->op == REQUEST_DISCARD || (req->op != REQUEST_READ && req->nr_segments);

	return is_within(req, limits) && !(changes && limits->read_only) &&
	       !(req->secure && !limits->discard_secure) &&
	       req->nr_segments <=
		       (req->indirect ? limits->max_indirect_segments : REQUEST_MAX_SEGMENTS);
}

int16_t request_peek(const struct ring *r, const struct request_limits *limits, struct request *req)
{
	struct raw_request raw;

	ring_copy_request(r, &raw);
	return parse(r->abi, &raw, limits, req);
}
