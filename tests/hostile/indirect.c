/* SPDX-License-Identifier: BSD-2-Clause */
/* Indirect requests, and the pages that their segments are in. */
#include "ask_cases.h"

#include <string.h>

#define PAGE 0, 7 /* all of its sectors */

/* As many segments as are offered, and so many more. */
static void more_than_offered(struct hostile *h, const struct hostile_case *k)
{
	struct hostile_case more = *k;

	more.ask.says = true;
	more.ask.said = (uint16_t)(h->front->offer.max_indirect_segments + k->number);
	ask_run(h, &more);
}

/* The segments of a read are overwritten by what it reads. */
static void into_its_segments(struct hostile *h, const struct hostile_case *k)
{
	ask_run(h, k);
	memset(front_page(&h->pages, DATA_PAGES), 0, FRONT_PAGE_BYTES);
}

/* All of the page of segments is random. */
static void noise(struct hostile *h, const struct hostile_case *k)
{
	uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
	uint8_t *page = front_page(&h->pages, DATA_PAGES);
	uint64_t id;

	for (int turn = 0; turn < 32; turn++) {
		ask_encode(h, &k->ask, entry, &id, &operation);
		for (size_t i = 0; i < FRONT_PAGE_BYTES; i++)
			page[i] = (uint8_t)hostile_random(h);
		front_queue_put_raw(hostile_queue(h), entry);
		h->seen |= ask_answer(h, id, operation);
	}
}

/* Whoever counts to the end of the references in an entry finds none. */
static void no_references(struct hostile *h, const struct hostile_case *k)
{
	uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
	uint64_t id;

	ask_encode(h, &k->ask, entry, &id, &operation);
	/* Eight of them end the entry, each ABI at its place. */
	memset(entry + (h->wishes.abi == FRONT_ABI_X86_32 ? 24 : 28) + k->number * 4, 0xff,
	       (INDIRECT_PAGES - k->number) * 4);
	front_queue_put_raw(hostile_queue(h), entry);
	h->seen |= ask_answer(h, id, operation);
}

#define INDIRECT(name_, does_, answers_, ...) \
	ASK(name_, does_, answers_, .indirect = true, __VA_ARGS__)

static const struct hostile_case cases[] = {
	INDIRECT("segments-1", "an indirect read of one segment", OKAY, .op = R, .nr = 1),
	INDIRECT("segments-256", "an indirect read of 256 segments, of 16 pages again and again",
		 OKAY, .op = R, .nr = 256),
	INDIRECT("segments-0", "an indirect read of no segments", ERROR, .op = R),
	{ .name = "segments-offered+1",
	  .does = "one segment more than is offered",
	  .answers = ERROR,
	  .run = more_than_offered,
	  .number = 1,
	  .ask = { .op = R, .indirect = true, .nr = 16 } },
	INDIRECT("segments-4096", "4096 segments, all that eight pages hold", ERROR, .op = R,
		 .nr = 16, .says = true, .said = 4096),
	INDIRECT("segments-4097", "4097 segments, for which there is no reference", ERROR, .op = R,
		 .nr = 16, .says = true, .said = 4097),
	INDIRECT("segments-32768", "32768 segments", ERROR, .op = R, .nr = 16, .says = true,
		 .said = 32768),
	INDIRECT("segments-65535", "65535 segments", ERROR, .op = R, .nr = 16, .says = true,
		 .said = 65535),
	INDIRECT("write-segments-0", "an indirect write of no segments", ERROR, .op = W),
	INDIRECT("write-segments-65535", "an indirect write of 65535 segments", ERROR, .op = W,
		 .nr = 16, .says = true, .said = 65535),

	INDIRECT("inner-barrier", "a barrier within", ERROR, .op = R, .nr = 16, .inner = B),
	INDIRECT("inner-flush", "a flush within", ERROR, .op = R, .nr = 16, .inner = F),
	INDIRECT("inner-reserved", "operation 4 within", ERROR, .op = R, .nr = 16, .inner = 4),
	INDIRECT("inner-discard", "a discard within", ERROR, .op = R, .nr = 16, .inner = D),
	INDIRECT("inner-indirect", "an indirect request within", ERROR, .op = R, .nr = 16,
		 .inner = BLKIF_OP_INDIRECT),
	INDIRECT("inner-255", "operation 255 within", ERROR, .op = R, .nr = 16, .inner = 255),

	INDIRECT("sector-behind", "an indirect read of the sector behind the last", ERROR, .op = R,
		 .nr = 16, .at_end = true),
	INDIRECT("sector-across-end", "one whose last segment ends one sector behind the end",
		 ERROR, .op = R, .nr = 16, .at_end = true, .sector = 127),
	INDIRECT("sector-last", "one that ends with the disk", OKAY, .op = R, .nr = 16,
		 .at_end = true, .sector = 128),
	INDIRECT("sector-2^55", "one of sector 2^55", ERROR, .op = R, .nr = 16,
		 .sector = 1ull << 55),
	INDIRECT("sector-max", "one of sector 2^64 - 1", ERROR, .op = R, .nr = 16,
		 .sector = UINT64_MAX),
	INDIRECT("write-across-end", "an indirect write that ends one sector behind the end", ERROR,
		 .op = W, .nr = 16, .at_end = true, .sector = 127),
	INDIRECT("write-wraps", "an indirect write from sector 2^64 - 8 on", ERROR, .op = W,
		 .nr = 16, .sector = UINT64_MAX - 7),

	INDIRECT("segment-first", "its first segment ends behind its page", ERROR, .op = R,
		 .nr = 16, .odd = true, .last = 8),
	INDIRECT("segment-11", "its 12th segment does, where a plain request ends", ERROR, .op = R,
		 .nr = 16, .odd = true, .odd_at = 11, .last = 8),
	INDIRECT("segment-last", "its 256th does", ERROR, .op = R, .nr = 256, .odd = true,
		 .odd_at = 255, .first = 255, .last = 255),
	INDIRECT("segment-backwards", "a segment ends before it begins", ERROR, .op = W, .nr = 256,
		 .odd = true, .odd_at = 200, .first = 5, .last = 4),

	INDIRECT("page-not-granted", "the page of segments is not granted", ERROR, .op = R,
		 .nr = 16, .segments_in = PAGE_NOT_GRANTED),
	INDIRECT("page-beyond", "its reference is beyond any table", ERROR, .op = R, .nr = 16,
		 .segments_in = PAGE_BEYOND),
	INDIRECT("page-max", "its reference is 2^32 - 1", ERROR, .op = R, .nr = 16,
		 .segments_in = PAGE_MAX),
	INDIRECT("page-foreign", "it is granted to another domain", ERROR, .op = R, .nr = 16,
		 .segments_in = PAGE_FOREIGN),
	INDIRECT("page-revoked", "it was granted once", ERROR, .op = R, .nr = 16,
		 .segments_in = PAGE_REVOKED),
	INDIRECT("page-write-not-granted", "of a write, it is not granted", ERROR, .op = W,
		 .nr = 16, .segments_in = PAGE_NOT_GRANTED),
	INDIRECT("page-ring", "the page of segments is the ring", OKAY | ERROR, .op = R, .nr = 16,
		 .segments_in = PAGE_RING),

	{ .name = "page-is-data",
	  .does = "data is read into the page of segments itself",
	  .answers = OKAY,
	  .run = into_its_segments,
	  .ask = { .op = R,
		   .indirect = true,
		   .nr = 16,
		   .odd = true,
		   .odd_at = 3,
		   .last = 7,
		   .page = PAGE_INDIRECT } },
	{ .name = "page-noise",
	  .does = "pages of random segments",
	  .answers = ERROR,
	  .run = noise,
	  .ask = { .op = R, .indirect = true, .nr = 256 } },
	{ .name = "references-unused-bad",
	  .does = "references that no segment needs are bad",
	  .answers = OKAY,
	  .run = no_references,
	  .number = 1,
	  .ask = { .op = R, .indirect = true, .nr = 16 } },
	{ .name = "references-bad",
	  .does = "all references are 2^32 - 1",
	  .answers = ERROR,
	  .run = no_references,
	  .ask = { .op = R, .indirect = true, .nr = 16 } },
};

const struct hostile_group indirect_group = { "indirect", cases, NR(cases) };
