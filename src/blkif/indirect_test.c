/* SPDX-License-Identifier: BSD-2-Clause */
/* Indirect requests: the half on the ring, and the half in the guest's pages. */
#include "request.h"

#include <string.h>
#include <xen/io/blkif.h>

#include "tap.h"
#include "test_guest.h"

#define DISK_SECTORS 40000u
#define MOST	     (REQUEST_MAX_INDIRECT_PAGES * REQUEST_SEGMENTS_PER_PAGE)

static const struct request_limits disk = {
	.size_bytes = DISK_SECTORS * 512u,
	.flush = true,
	.max_indirect_segments = 256,
};

static const struct request_limits most = {
	.size_bytes = DISK_SECTORS * 512u,
	.max_indirect_segments = MOST,
};

static struct raw_segments pages[REQUEST_MAX_INDIRECT_PAGES];
static const struct raw_segments *const all_pages[REQUEST_MAX_INDIRECT_PAGES] = {
	&pages[0], &pages[1], &pages[2], &pages[3], &pages[4], &pages[5], &pages[6], &pages[7],
};
static struct segment segments[MOST];

/* @nr whole pages at sector 8. */
static struct x86_64_indirect good(uint8_t indirect_op, uint16_t nr)
{
	struct x86_64_indirect g = {
		.operation = BLKIF_OP_INDIRECT,
		.indirect_op = indirect_op,
		.nr_segments = nr,
		.id = 0x1122334455667788,
		.sector_number = 8,
		.handle = 51712,
	};

	for (uint32_t i = 0; i < BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST; i++)
		g.indirect_grefs[i] = 900 + i;
	return g;
}

static void guest_segment(uint32_t i, uint32_t gref, uint8_t first_sect, uint8_t last_sect)
{
	struct blkif_request_segment seg = { gref, first_sect, last_sect };

	memcpy(pages[i / 512].bytes + i % 512 * 8, &seg, sizeof(seg));
}

/* Whole pages, each of another grant; what is behind them must not be looked at. */
static void guest_segments(uint32_t nr)
{
	memset(pages, 0xee, sizeof(pages));
	for (uint32_t i = 0; i < nr; i++)
		guest_segment(i, 7000 + i, 0, 7);
}

static int16_t parse_as(const struct abi *abi, const struct x86_64_indirect *g,
			const struct request_limits *limits, struct request *req)
{
	struct raw_request raw;

	memset(&raw, 0xee, sizeof(raw));
	guest_write_indirect(abi, g, raw.bytes);
	memset(req, 0xdd, sizeof(*req));
	return request_parse(abi, &raw, limits, req);
}

/* All ABIs answer with @want, in the name of the operation that is within. */
static void expect_on(const struct x86_64_indirect *g, const struct request_limits *limits,
		      int want)
{
	struct request req;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		check_eq(parse_as(*a, g, limits, &req), want);
		check_eq(req.id, g->id);
		check_eq(req.operation, g->indirect_op);
	}
}

static void expect(const struct x86_64_indirect *g, int want)
{
	expect_on(g, &disk, want);
}

/* The first half of what is good so far. */
static struct request parsed(uint16_t nr, const struct request_limits *limits)
{
	struct x86_64_indirect g = good(BLKIF_OP_WRITE, nr);
	struct request req;

	if (parse_as(&abi_x86_64, &g, limits, &req) != BLKIF_RSP_OKAY)
		tap_test_failed = true;
	return req;
}

static void expect_segments(uint16_t nr, int want)
{
	struct request req = parsed(nr, &disk);

	check_eq(request_parse_segments(&req, all_pages, &disk, segments), want);
}

static void expect_by_hand(const struct abi *abi, const struct raw_request *raw)
{
	struct request req;

	check_eq(request_parse(abi, raw, &disk, &req), BLKIF_RSP_OKAY);
	check_eq(req.id, 0x0807060504030201);
	check_eq(req.operation, BLKIF_OP_WRITE);
	check_eq(req.op, REQUEST_WRITE);
	check(req.indirect);
	check_eq(req.nr_segments, 0x0100);
	check_eq(req.offset_bytes, 0x123 * 512);
	check_eq(req.indirect_grefs[0], 0xa4a3a2a1);
	check_eq(req.indirect_grefs[1], 0xb4b3b2b1);
	check_eq(req.indirect_grefs[7], 0xc4c3c2c1);
}

static void reads_x86_64_bytes_in_their_places(void)
{
	static const struct raw_request raw = { {
		6,	     1,	   0,	 1,
		0xff,	     0xff, 0xff, 0xff, /* INDIRECT, WRITE, segments, padding */
		1,	     2,	   3,	 4,
		5,	     6,	   7,	 8, /* id */
		0x23,	     0x01, 0,	 0,
		0,	     0,	   0,	 0, /* sector_number */
		0xff,	     0xff, 0xff, 0xff, /* handle, padding */
		0xa1,	     0xa2, 0xa3, 0xa4,
		0xb1,	     0xb2, 0xb3, 0xb4, /* grefs */
		[56] = 0xc1, 0xc2, 0xc3, 0xc4,
		0xff,	     0xff, 0xff, 0xff,
	} };

	expect_by_hand(&abi_x86_64, &raw);
}

static void reads_x86_32_bytes_in_their_places(void)
{
	static const struct raw_request raw = { {
		6,	     1,	   0,	 1, /* INDIRECT, WRITE, segments */
		1,	     2,	   3,	 4,    5,    6,	   7,	 8, /* id */
		0x23,	     0x01, 0,	 0,    0,    0,	   0,	 0, /* sector_number */
		0xff,	     0xff, 0xff, 0xff, /* handle, padding */
		0xa1,	     0xa2, 0xa3, 0xa4, 0xb1, 0xb2, 0xb3, 0xb4, /* grefs */
		[52] = 0xc1, 0xc2, 0xc3, 0xc4, 0xff, 0xff, 0xff, 0xff,
	} };

	expect_by_hand(&abi_x86_32, &raw);
}

static void reads_the_bytes_of_a_segment(void)
{
	static const uint8_t raw[16] = { 0xa1, 0xa2, 0xa3, 0xa4, 2, 4, 0xff, 0xff,
					 0xb1, 0xb2, 0xb3, 0xb4, 0, 7, 0xff, 0xff };
	struct request req = parsed(2, &disk);

	memcpy(pages[0].bytes, raw, sizeof(raw));
	check_eq(request_parse_segments(&req, all_pages, &disk, segments), BLKIF_RSP_OKAY);
	check_eq(req.len_bytes, 3 * 512 + 4096);
	check_eq(segments[0].gref, 0xa4a3a2a1);
	check_eq(segments[0].offset_bytes, 2 * 512);
	check_eq(segments[0].len_bytes, 3 * 512);
	check_eq(segments[1].gref, 0xb4b3b2b1);
	check_eq(segments[1].offset_bytes, 0);
	check_eq(segments[1].len_bytes, 4096);
}

static void accepts_reads_and_writes_of_1_to_256_segments(void)
{
	static const uint16_t numbers[] = { 1, 11, 12, 32, 255, 256 };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct x86_64_indirect r = good(BLKIF_OP_READ, numbers[i]);
		struct x86_64_indirect w = good(BLKIF_OP_WRITE, numbers[i]);

		expect(&r, BLKIF_RSP_OKAY);
		expect(&w, BLKIF_RSP_OKAY);
		guest_segments(numbers[i]);
		expect_segments(numbers[i], BLKIF_RSP_OKAY);
	}
}

static void is_not_whole_before_its_segments_are_there(void)
{
	struct request req = parsed(256, &disk);

	check_eq(req.len_bytes, 0);
	guest_segments(256);
	check_eq(request_parse_segments(&req, all_pages, &disk, segments), BLKIF_RSP_OKAY);
	check_eq(req.len_bytes, 1024 * 1024);
	check_eq(segments[255].gref, 7255);
}

static void rejects_no_segments_and_too_many(void)
{
	static const uint16_t numbers[] = { 0, 257, 512, 4096, 0x8000, 0xffff };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct x86_64_indirect g = good(BLKIF_OP_WRITE, numbers[i]);

		expect(&g, BLKIF_RSP_ERROR);
	}
}

static void needs_as_many_pages_as_hold_its_segments(void)
{
	static const struct {
		uint16_t nr, nr_pages, last_bytes;
	} table[] = { { 1, 1, 8 },	{ 256, 1, 2048 },  { 511, 1, 4088 },
		      { 512, 1, 4096 }, { 513, 2, 8 },	   { 1024, 2, 4096 },
		      { 1025, 3, 8 },	{ 4095, 8, 4088 }, { MOST, 8, 4096 } };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct request req = parsed(table[i].nr, &most);

		check_eq(request_indirect_pages(&req), table[i].nr_pages);
		check_eq(request_indirect_bytes(&req, table[i].nr_pages - 1u), table[i].last_bytes);
		for (uint32_t j = 0; j + 1 < table[i].nr_pages; j++)
			check_eq(request_indirect_bytes(&req, j), 4096);
	}
}

static void goes_on_in_the_next_page(void)
{
	struct request req = parsed(MOST, &most);

	guest_segments(MOST);
	check_eq(request_parse_segments(&req, all_pages, &most, segments), BLKIF_RSP_OKAY);
	check_eq(req.len_bytes, MOST * 4096);
	for (uint32_t i = 0; i < MOST; i++)
		check_eq(segments[i].gref, 7000 + i);
	check_eq(req.indirect_grefs[7], 907);
}

static void rejects_a_bad_segment_wherever_it_is(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		guest_segments(256);
		guest_segment(i, 1, 0, 8);
		expect_segments(256, BLKIF_RSP_ERROR);
		guest_segment(i, 1, 3, 2);
		expect_segments(256, BLKIF_RSP_ERROR);
		guest_segment(i, 1, 255, 255);
		expect_segments(256, BLKIF_RSP_ERROR);
	}
}

static void ignores_segments_beyond_the_number(void)
{
	guest_segments(256);
	guest_segment(255, 1, 9, 1);
	expect_segments(255, BLKIF_RSP_OKAY);
}

static void accepts_one_grant_many_times(void)
{
	for (uint32_t i = 0; i < 256; i++)
		guest_segment(i, 5, i % 8, i % 8);
	expect_segments(256, BLKIF_RSP_OKAY);
}

static void rejects_what_begins_beyond_the_end(void)
{
	static const uint64_t sectors[] = { DISK_SECTORS + 1, UINT64_MAX,	1ull << 55,
					    (1ull << 55) + 8, (1ull << 55) - 8, 1ull << 63 };

	for (size_t i = 0; i < sizeof(sectors) / sizeof(sectors[0]); i++) {
		struct x86_64_indirect g = good(BLKIF_OP_READ, 1);

		g.sector_number = sectors[i];
		expect(&g, BLKIF_RSP_ERROR);
	}
}

static void rejects_segments_that_reach_beyond_the_end(void)
{
	struct x86_64_indirect g = good(BLKIF_OP_READ, 256);
	struct request req;

	guest_segments(256);
	g.sector_number = DISK_SECTORS - 2048;
	check_eq(parse_as(&abi_x86_32, &g, &disk, &req), BLKIF_RSP_OKAY);
	check_eq(request_parse_segments(&req, all_pages, &disk, segments), BLKIF_RSP_OKAY);
	g.sector_number++;
	check_eq(parse_as(&abi_x86_32, &g, &disk, &req), BLKIF_RSP_OKAY);
	check_eq(request_parse_segments(&req, all_pages, &disk, segments), BLKIF_RSP_ERROR);
}

static void keeps_wrapping_ends_out_of_the_largest_disk(void)
{
	struct request_limits huge = { .size_bytes = UINT64_MAX - 511,
				       .max_indirect_segments = 256 };
	struct x86_64_indirect g = good(BLKIF_OP_READ, 256);
	struct request req;

	guest_segments(256);
	g.sector_number = (1ull << 55) - 8;
	check_eq(parse_as(&abi_x86_64, &g, &huge, &req), BLKIF_RSP_OKAY);
	check_eq(request_parse_segments(&req, all_pages, &huge, segments), BLKIF_RSP_ERROR);
}

static void reads_but_does_not_write_a_read_only_disk(void)
{
	struct x86_64_indirect r = good(BLKIF_OP_READ, 32), w = good(BLKIF_OP_WRITE, 32);
	struct request_limits limits = disk;

	limits.read_only = true;
	expect_on(&r, &limits, BLKIF_RSP_OKAY);
	expect_on(&w, &limits, BLKIF_RSP_ERROR);
}

static void takes_nothing_but_a_read_or_a_write_within(void)
{
	for (unsigned op = 0; op <= 255; op++) {
		struct x86_64_indirect g = good((uint8_t)op, 32), empty = good((uint8_t)op, 0);

		if (op == BLKIF_OP_READ || op == BLKIF_OP_WRITE)
			continue;
		expect(&g, BLKIF_RSP_ERROR);
		expect(&empty, BLKIF_RSP_ERROR);
	}
}

static void does_not_support_it_where_it_is_not_offered(void)
{
	struct request_limits limits = { .size_bytes = disk.size_bytes };
	struct x86_64_indirect g = good(BLKIF_OP_READ, 32);
	struct request req;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		check_eq(parse_as(*a, &g, &limits, &req), BLKIF_RSP_EOPNOTSUPP);
		check_eq(req.id, g.id);
		check_eq(req.operation, BLKIF_OP_INDIRECT);
	}
}

static void random_bytes_come_out_good_or_not_at_all(void)
{
	static const uint8_t masks[] = { 0xff, 0x07, 0x03, 0x01, 0x00 };
	uint64_t x = 88172645463325252ull;
	int good_ones = 0;

	for (int round = 0; round < 20000; round++) {
		uint16_t nr = (uint16_t)(1 + x % 4);
		struct request req = parsed(nr, &disk);
		uint32_t sum = 0;

		for (uint32_t i = 0; i < nr * 8u; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			pages[0].bytes[i] = (uint8_t)(x >> 8) & masks[(x >> 20) % 5];
		}
		if (request_parse_segments(&req, all_pages, &disk, segments) != BLKIF_RSP_OKAY)
			continue;
		good_ones++;
		for (uint32_t i = 0; i < nr; i++) {
			check(segments[i].len_bytes >= 512 && segments[i].len_bytes % 512 == 0);
			check(segments[i].offset_bytes + segments[i].len_bytes <= 4096);
			sum += segments[i].len_bytes;
		}
		check_eq(req.len_bytes, sum);
	}
	check(good_ones > 100);
}

int main(void)
{
	tap_run(reads_x86_64_bytes_in_their_places);
	tap_run(reads_x86_32_bytes_in_their_places);
	tap_run(reads_the_bytes_of_a_segment);
	tap_run(accepts_reads_and_writes_of_1_to_256_segments);
	tap_run(is_not_whole_before_its_segments_are_there);
	tap_run(rejects_no_segments_and_too_many);
	tap_run(needs_as_many_pages_as_hold_its_segments);
	tap_run(goes_on_in_the_next_page);
	tap_run(rejects_a_bad_segment_wherever_it_is);
	tap_run(ignores_segments_beyond_the_number);
	tap_run(accepts_one_grant_many_times);
	tap_run(rejects_what_begins_beyond_the_end);
	tap_run(rejects_segments_that_reach_beyond_the_end);
	tap_run(keeps_wrapping_ends_out_of_the_largest_disk);
	tap_run(reads_but_does_not_write_a_read_only_disk);
	tap_run(takes_nothing_but_a_read_or_a_write_within);
	tap_run(does_not_support_it_where_it_is_not_offered);
	tap_run(random_bytes_come_out_good_or_not_at_all);
	return tap_end();
}
