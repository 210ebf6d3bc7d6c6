/* SPDX-License-Identifier: BSD-2-Clause */
/* Every field of a request, at its borders and beyond. */
#include "ask_cases.h"

/* A transfer of 11 segments, one of which is odd. */
#define SEGMENT(at, first_, last_) \
	.op = R, .nr = 11, .odd = true, .odd_at = at, .first = first_, .last = last_

/* Two requests at once that have one id. */
static void same_id(struct hostile *h, const struct hostile_case *k)
{
	uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
	uint64_t id;

	ask_encode(h, &k->ask, entry, &id, &operation);
	for (int i = 0; i < 2; i++)
		front_queue_put_raw(hostile_queue(h), entry);
	h->seen |= ask_collect(h, hostile_queue(h), 2);
}

/* Every byte of an entry but its operation is set, where nothing is meant to be. */
static void full_of_ones(struct hostile *h, const struct hostile_case *k)
{
	uint8_t entry[FRONT_ENTRY_MAX_BYTES];

	for (size_t i = 0; i < sizeof(entry); i++)
		entry[i] = i ? 0xff : k->ask.op;
	front_queue_put_raw(hostile_queue(h), entry);
	h->seen |= ask_collect(h, hostile_queue(h), 1);
}

/* Nothing in it is meant; a ring of them. */
static void noise(struct hostile *h, const struct hostile_case *k)
{
	struct front_queue *q = hostile_queue(h);
	uint8_t entry[FRONT_ENTRY_MAX_BYTES];

	for (int turn = 0; turn < 8; turn++) {
		uint32_t nr = q->ring.nr_entries;

		for (uint32_t n = 0; n < nr; n++) {
			for (size_t i = 0; i < sizeof(entry); i++)
				entry[i] = (uint8_t)hostile_random(h);
			/* Half of them have an operation that there is, but none that would succeed. */
			if (n % 2)
				entry[0] = (uint8_t)(n / 2 % 7);
			front_queue_put_raw(q, entry);
		}
		h->seen |= ask_collect(h, q, nr);
	}
	(void)k;
}

static const struct hostile_case cases[] = {
	ASK("operation-reserved", "operation 4, which is reserved", UNSUPPORTED, .op = 4, .nr = 1),
	ASK("operation-7", "operation 7, the first that there is not", UNSUPPORTED, .op = 7,
	    .nr = 1),
	ASK("operation-127", "operation 127", UNSUPPORTED, .op = 127, .nr = 1),
	ASK("operation-128", "operation 128, negative to some", UNSUPPORTED, .op = 128, .nr = 1),
	ASK("operation-255", "operation 255", UNSUPPORTED, .op = 255, .nr = 1),

	ASK("segments-11", "a read of 11 segments, as many as there can be", OKAY, .op = R,
	    .nr = 11),
	ASK("segments-0", "a read of no segments", ERROR, .op = R),
	ASK("segments-12", "a read of 12 segments", ERROR, .op = R, .nr = 11, .says = true,
	    .said = 12),
	ASK("segments-13", "a read of 13, where an entry of 32-bit guests ends", ERROR, .op = R,
	    .nr = 11, .says = true, .said = 13),
	ASK("segments-128", "a read of 128 segments", ERROR, .op = R, .nr = 11, .says = true,
	    .said = 128),
	ASK("segments-255", "a read of 255 segments", ERROR, .op = R, .nr = 11, .says = true,
	    .said = 255),
	ASK("write-segments-0", "a write of no segments", ERROR, .op = W),
	ASK("write-segments-12", "a write of 12 segments", ERROR, .op = W, .nr = 11, .says = true,
	    .said = 12),
	ASK("write-segments-255", "a write of 255 segments", ERROR, .op = W, .nr = 11, .says = true,
	    .said = 255),

	ASK("handle-max", "handle 65535: a ring serves one disk", OKAY, .op = R, .nr = 1,
	    .handle = 0xffff),
	ASK("id-max", "id 2^64 - 1", OKAY, .op = R, .nr = 1, .id = UINT64_MAX),
	ASK("id-1", "id 1", OKAY, .op = R, .nr = 1, .id = 1),
	{ .name = "id-twice",
	  .does = "two requests at once with one id",
	  .answers = OKAY,
	  .run = same_id,
	  .ask = { .op = R, .nr = 1, .id = 42 } },

	ASK("sector-last", "a read of the last page", OKAY, .op = R, .nr = 1, .at_end = true,
	    .sector = 8),
	ASK("sector-behind", "a read of the sector behind the last", ERROR, .op = R, .nr = 1,
	    .at_end = true, .odd = true),
	ASK("sector-across-end", "a read of a page from the last sector on", ERROR, .op = R,
	    .nr = 1, .at_end = true, .sector = 1),
	ASK("sector-across-end-11", "a read whose last segment ends one sector behind the end",
	    ERROR, .op = R, .nr = 11, .at_end = true, .sector = 87),
	ASK("sector-2^32", "a read of sector 2^32", ERROR, .op = R, .nr = 1, .sector = 1ull << 32),
	ASK("sector-2^54", "a read of sector 2^54, whose place in bytes is negative", ERROR,
	    .op = R, .nr = 1, .sector = 1ull << 54),
	ASK("sector-2^55", "a read of sector 2^55, whose place in bytes is 0 again", ERROR, .op = R,
	    .nr = 1, .sector = 1ull << 55),
	ASK("sector-2^55-1", "a read of sector 2^55 - 1, whose end in bytes is 0 again", ERROR,
	    .op = R, .nr = 1, .sector = (1ull << 55) - 1, .odd = true),
	ASK("sector-2^63", "a read of sector 2^63", ERROR, .op = R, .nr = 1, .sector = 1ull << 63),
	ASK("sector-max", "a read of sector 2^64 - 1", ERROR, .op = R, .nr = 1,
	    .sector = UINT64_MAX),
	ASK("sector-wraps", "a read of a page from sector 2^64 - 4 on", ERROR, .op = R, .nr = 1,
	    .sector = UINT64_MAX - 3),
	ASK("write-sector-behind", "a write of the sector behind the last", ERROR, .op = W, .nr = 1,
	    .at_end = true, .odd = true),
	ASK("write-sector-across-end", "a write of a page from the last sector on", ERROR, .op = W,
	    .nr = 1, .at_end = true, .sector = 1),
	ASK("write-sector-2^54", "a write of sector 2^54", ERROR, .op = W, .nr = 1,
	    .sector = 1ull << 54),
	ASK("write-sector-2^55", "a write of sector 2^55", ERROR, .op = W, .nr = 1,
	    .sector = 1ull << 55),
	ASK("write-sector-max", "a write of sector 2^64 - 1", ERROR, .op = W, .nr = 1,
	    .sector = UINT64_MAX),
	ASK("write-sector-wraps", "a write of a page from sector 2^64 - 4 on", ERROR, .op = W,
	    .nr = 1, .sector = UINT64_MAX - 3),

	ASK("segment-backwards", "a segment that ends before it begins", ERROR, SEGMENT(0, 4, 3)),
	ASK("segment-backwards-most", "a segment from sector 7 to 0", ERROR, SEGMENT(0, 7, 0)),
	ASK("segment-ends-at-8", "a segment that ends behind its page", ERROR, SEGMENT(0, 0, 8)),
	ASK("segment-at-8", "a segment behind its page", ERROR, SEGMENT(0, 8, 8)),
	ASK("segment-128", "a segment that ends at sector 128", ERROR, SEGMENT(0, 0, 128)),
	ASK("segment-255", "sector 255 of a page", ERROR, SEGMENT(0, 255, 255)),
	ASK("segment-256-long", "a segment of 256 sectors", ERROR, SEGMENT(0, 0, 255)),
	ASK("segment-255-backwards", "a segment from sector 255 to 0", ERROR, SEGMENT(0, 255, 0)),
	ASK("segment-middle", "a bad segment in the middle of 11", ERROR, SEGMENT(5, 3, 8)),
	ASK("segment-end", "a bad segment as the last of 11", ERROR, SEGMENT(10, 1, 0)),
	ASK("write-segment-end", "a write whose last segment is bad", ERROR, .op = W, .nr = 11,
	    .odd = true, .odd_at = 10, .first = 0, .last = 9),
	ASK("segment-single-sectors", "11 segments, one of a single sector", OKAY,
	    SEGMENT(3, 7, 7)),

	ASK("flush-sector-max", "a flush without data at sector 2^64 - 1, which means nothing",
	    OKAY, .op = F, .sector = UINT64_MAX),
	ASK("flush-segments-12", "a flush with 12 segments", ERROR, .op = F, .nr = 11, .says = true,
	    .said = 12),
	ASK("flush-segments-255", "a flush with 255 segments", ERROR, .op = F, .nr = 11,
	    .says = true, .said = 255),
	ASK("flush-behind", "a flush with data behind the end", ERROR, .op = F, .nr = 1,
	    .at_end = true),
	ASK("flush-segment-bad", "a flush with a segment that ends behind its page", ERROR, .op = F,
	    .nr = 1, .odd = true, .last = 8),
	ASK("barrier-segments-12", "a barrier with 12 segments", ERROR, .op = B, .nr = 11,
	    .says = true, .said = 12),
	ASK("barrier-behind", "a barrier with data behind the end", ERROR, .op = B, .nr = 1,
	    .at_end = true),
	ASK("barrier-wraps", "a barrier with data from sector 2^64 - 4 on", ERROR, .op = B, .nr = 1,
	    .sector = UINT64_MAX - 3),

	ASK("discard-behind", "a discard of the sector behind the last", ERROR, .op = D,
	    .at_end = true, .nr_sectors = 1),
	ASK("discard-across-end", "a discard of two sectors from the last on", ERROR, .op = D,
	    .at_end = true, .sector = 1, .nr_sectors = 2),
	ASK("discard-one-more", "a discard from sector 1 on, as long as the disk", ERROR, .op = D,
	    .sector = 1, .nr_sectors = 1ull << 40),
	ASK("discard-nothing", "a discard of no sectors", ERROR, .op = D, .sector = 8),
	ASK("discard-max", "a discard of 2^64 - 1 sectors", ERROR, .op = D,
	    .nr_sectors = UINT64_MAX),
	ASK("discard-wraps", "a discard that ends at 2^64, so at 0", ERROR, .op = D, .sector = 8,
	    .nr_sectors = UINT64_MAX - 7),
	ASK("discard-2^55", "a discard whose length in bytes is 0 again", ERROR, .op = D,
	    .nr_sectors = 1ull << 55),
	ASK("discard-2^54", "a discard whose length in bytes is negative", ERROR, .op = D,
	    .sector = 8, .nr_sectors = 1ull << 54),
	ASK("discard-sector-max", "a discard of sector 2^64 - 1", ERROR, .op = D,
	    .sector = UINT64_MAX, .nr_sectors = 1),
	ASK("discard-secure", "a secure discard, which is not offered", UNSUPPORTED, .op = D,
	    .nr_sectors = 8, .flag = BLKIF_DISCARD_SECURE),
	ASK("discard-flag-255", "a discard with all flags", UNSUPPORTED, .op = D, .nr_sectors = 8,
	    .flag = 255),

	ASK_READ_ONLY("read-only-read", "a read of a read-only disk", OKAY, .op = R, .nr = 11),
	ASK_READ_ONLY("read-only-write", "a write to it", ERROR, .op = W, .nr = 1),
	ASK_READ_ONLY("read-only-write-0", "a write of nothing to it", ERROR, .op = W),
	ASK_READ_ONLY("read-only-flush-data", "a flush with data to it", ERROR, .op = F, .nr = 1),
	ASK_READ_ONLY("read-only-barrier-data", "a barrier with data to it", ERROR, .op = B,
		      .nr = 1),
	ASK_READ_ONLY("read-only-discard", "a discard of it", REFUSED, .op = D, .nr_sectors = 8),
	ASK_READ_ONLY("read-only-discard-secure", "a secure discard of it", REFUSED, .op = D,
		      .nr_sectors = 8, .flag = BLKIF_DISCARD_SECURE),
	ASK_READ_ONLY("read-only-indirect-write", "an indirect write to it", ERROR, .op = W,
		      .indirect = true, .nr = 16),
	ASK_READ_ONLY("read-only-behind", "a read of the sector behind its last", ERROR, .op = R,
		      .nr = 1, .at_end = true),

	{ .name = "ones-read",
	  .does = "a read with all other bits set",
	  .answers = ERROR,
	  .run = full_of_ones,
	  .ask = { .op = R } },
	{ .name = "ones-discard",
	  .does = "a discard with all other bits set",
	  .answers = REFUSED,
	  .run = full_of_ones,
	  .ask = { .op = D } },
	{ .name = "ones-indirect",
	  .does = "an indirect request with all other bits set",
	  .answers = REFUSED,
	  .run = full_of_ones,
	  .ask = { .op = BLKIF_OP_INDIRECT } },
	{ .name = "noise",
	  .does = "rings full of random bytes",
	  .answers = OKAY | REFUSED,
	  .run = noise },
};

const struct hostile_group requests_group = { "request", cases, NR(cases) };
