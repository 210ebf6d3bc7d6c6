/* SPDX-License-Identifier: BSD-2-Clause */
#include "request.h"

#include <string.h>
#include <xen/io/blkif.h>
#include <xen/io/protocols.h>

#include "tap.h"
#include "test_guest.h"

#define DISK_SECTORS 1000u

static const struct request_limits disk = { .size_bytes = DISK_SECTORS * 512u,
					    .flush = true,
					    .discard = true };

/* One page, whole, at sector 8. */
static struct guest_request good(uint8_t operation)
{
	struct guest_request g = {
		.operation = operation,
		.nr_segments = 1,
		.handle = 51712,
		.id = 0x1122334455667788,
		.sector_number = 8,
		.seg[0] = { .gref = 77, .first_sect = 0, .last_sect = 7 },
	};

	return g;
}

/* The same @nr times over: what does not fit into the request is beyond its end anyway. */
static struct guest_request good_pages(uint8_t operation, uint8_t nr)
{
	struct guest_request g = good(operation);

	g.nr_segments = nr;
	for (int i = 1; i < BLKIF_MAX_SEGMENTS_PER_REQUEST; i++)
		g.seg[i] = g.seg[0];
	return g;
}

static int16_t parse_as(const struct abi *abi, const struct guest_request *g,
			const struct request_limits *limits, struct request *req)
{
	struct raw_request raw;

	memset(&raw, 0xee, sizeof(raw));
	guest_write_request(abi, g, raw.bytes);
	memset(req, 0xdd, sizeof(*req));
	return request_parse(abi, &raw, limits, req);
}

/* Both ABIs must answer with @want, and always with id and operation. */
static void expect_on(const struct guest_request *g, const struct request_limits *limits, int want)
{
	struct request req;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		check_eq(parse_as(*a, g, limits, &req), want);
		check_eq(req.id, g->id);
		check_eq(req.operation, g->operation);
	}
}

static void expect(const struct guest_request *g, int want)
{
	expect_on(g, &disk, want);
}

static void expect_at(uint64_t sector_number, int want)
{
	struct guest_request g = good(BLKIF_OP_READ);

	g.sector_number = sector_number;
	expect(&g, want);
	g.operation = BLKIF_OP_WRITE;
	expect(&g, want);
}

static void expect_segment(uint8_t first_sect, uint8_t last_sect, int want)
{
	struct guest_request g = good(BLKIF_OP_WRITE);

	g.seg[0].first_sect = first_sect;
	g.seg[0].last_sect = last_sect;
	expect(&g, want);
}

static void x86_64_table_is_the_layout_of_aligned_structs(void)
{
	check_eq(abi_x86_64.entry_bytes, sizeof(struct x86_64_request));
	check_eq(abi_x86_64.response_bytes, sizeof(struct x86_64_response));
	check_eq(abi_x86_64.id, offsetof(struct x86_64_request, id));
	check_eq(abi_x86_64.sector_number, offsetof(struct x86_64_request, sector_number));
	check_eq(abi_x86_64.segments, offsetof(struct x86_64_request, seg));
	check_eq(abi_x86_64.id, offsetof(struct x86_64_indirect, id));
	check_eq(abi_x86_64.sector_number, offsetof(struct x86_64_indirect, sector_number));
	check_eq(abi_x86_64.indirect_grefs, offsetof(struct x86_64_indirect, indirect_grefs));
	check_eq(offsetof(struct abi_response, operation),
		 offsetof(struct x86_64_response, operation));
	check_eq(offsetof(struct abi_response, status), offsetof(struct x86_64_response, status));
}

static void x86_32_table_is_the_layout_of_packed_structs(void)
{
	check_eq(abi_x86_32.entry_bytes, sizeof(struct x86_32_request));
	check_eq(abi_x86_32.response_bytes, sizeof(struct x86_32_response));
	check_eq(abi_x86_32.id, offsetof(struct x86_32_request, id));
	check_eq(abi_x86_32.sector_number, offsetof(struct x86_32_request, sector_number));
	check_eq(abi_x86_32.segments, offsetof(struct x86_32_request, seg));
	check_eq(abi_x86_32.id, offsetof(struct x86_32_indirect, id));
	check_eq(abi_x86_32.sector_number, offsetof(struct x86_32_indirect, sector_number));
	check_eq(abi_x86_32.indirect_grefs, offsetof(struct x86_32_indirect, indirect_grefs));
	check_eq(offsetof(struct abi_response, operation),
		 offsetof(struct x86_32_response, operation));
	check_eq(offsetof(struct abi_response, status), offsetof(struct x86_32_response, status));
}

static void finds_abi_by_protocol(void)
{
	check(abi_from_protocol("x86_64-abi") == &abi_x86_64);
	check(abi_from_protocol("x86_32-abi") == &abi_x86_32);
	check(abi_from_protocol(XEN_IO_PROTO_ABI_NATIVE) == abi_native);
	check(!strcmp(abi_native->protocol, XEN_IO_PROTO_ABI_NATIVE));
	check(!strcmp(abi_from_protocol("arm-abi")->protocol, "arm-abi"));
	check_eq(abi_from_protocol("arm-abi")->entry_bytes, abi_x86_64.entry_bytes);
}

static void takes_native_abi_without_protocol(void)
{
	check(abi_from_protocol(NULL) == abi_native);
}

static void knows_no_other_protocol(void)
{
	check(!abi_from_protocol(""));
	check(!abi_from_protocol("x86_64-abi "));
	check(!abi_from_protocol("X86_64-ABI"));
	check(!abi_from_protocol("ia64-abi"));
}

static void expect_by_hand(const struct abi *abi, const struct raw_request *raw)
{
	struct request req;

	check_eq(request_parse(abi, raw, &disk, &req), BLKIF_RSP_OKAY);
	check_eq(req.id, 0x0807060504030201);
	check_eq(req.operation, BLKIF_OP_WRITE);
	check_eq(req.op, REQUEST_WRITE);
	check_eq(req.nr_segments, 2);
	check_eq(req.offset_bytes, 0x123 * 512);
	check_eq(req.len_bytes, 3 * 512 + 4096);
	check_eq(req.segments[0].gref, 0xa4a3a2a1);
	check_eq(req.segments[0].offset_bytes, 2 * 512);
	check_eq(req.segments[0].len_bytes, 3 * 512);
	check_eq(req.segments[1].gref, 0xb4b3b2b1);
	check_eq(req.segments[1].offset_bytes, 0);
	check_eq(req.segments[1].len_bytes, 4096);
}

static void reads_x86_64_bytes_in_their_places(void)
{
	static const struct raw_request raw = { {
		1,    2,    0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, /* WRITE, segments, handle, padding */
		1,    2,    3,	  4,
		5,    6,    7,	  8, /* id */
		0x23, 0x01, 0,	  0,
		0,    0,    0,	  0, /* sector_number */
		0xa1, 0xa2, 0xa3, 0xa4,
		2,    4,    0xff, 0xff, /* gref, first, last, padding */
		0xb1, 0xb2, 0xb3, 0xb4,
		0,    7,    0xff, 0xff, /* the same */
	} };

	expect_by_hand(&abi_x86_64, &raw);
}

static void reads_x86_32_bytes_in_their_places(void)
{
	static const struct raw_request raw = { {
		1,    2,    0xff, 0xff, /* WRITE, segments, handle */
		1,    2,    3,	  4,	5, 6, 7,    8, /* id */
		0x23, 0x01, 0,	  0,	0, 0, 0,    0, /* sector_number */
		0xa1, 0xa2, 0xa3, 0xa4, 2, 4, 0xff, 0xff, /* gref, first, last, padding */
		0xb1, 0xb2, 0xb3, 0xb4, 0, 7, 0xff, 0xff, /* the same */
	} };

	expect_by_hand(&abi_x86_32, &raw);
}

static void accepts_read_and_write(void)
{
	struct guest_request r = good(BLKIF_OP_READ), w = good(BLKIF_OP_WRITE);
	struct request req;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		check_eq(parse_as(*a, &r, &disk, &req), BLKIF_RSP_OKAY);
		check_eq(req.op, REQUEST_READ);
		check_eq(parse_as(*a, &w, &disk, &req), BLKIF_RSP_OKAY);
		check_eq(req.op, REQUEST_WRITE);
		check_eq(req.offset_bytes, 4096);
		check_eq(req.len_bytes, 4096);
	}
}

static void accepts_eleven_segments(void)
{
	struct guest_request g = good_pages(BLKIF_OP_READ, 11);
	struct request req;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		check_eq(parse_as(*a, &g, &disk, &req), BLKIF_RSP_OKAY);
		check_eq(req.nr_segments, 11);
		check_eq(req.len_bytes, 11 * 4096);
		check_eq(req.segments[10].gref, 77);
	}
}

static void accepts_one_page_in_many_segments(void)
{
	struct guest_request g = good_pages(BLKIF_OP_WRITE, 8);

	for (uint8_t i = 0; i < 8; i++)
		g.seg[i].first_sect = g.seg[i].last_sect = i;
	expect(&g, BLKIF_RSP_OKAY);
}

static void rejects_no_segments(void)
{
	struct guest_request r = good_pages(BLKIF_OP_READ, 0), w = good_pages(BLKIF_OP_WRITE, 0);

	expect(&r, BLKIF_RSP_ERROR);
	expect(&w, BLKIF_RSP_ERROR);
}

static void rejects_twelve_segments(void)
{
	struct guest_request g = good_pages(BLKIF_OP_READ, 12);

	expect(&g, BLKIF_RSP_ERROR);
}

static void rejects_255_segments(void)
{
	struct guest_request g = good_pages(BLKIF_OP_WRITE, 255);

	expect(&g, BLKIF_RSP_ERROR);
}

static void accepts_first_sector_of_page_alone(void)
{
	expect_segment(0, 0, BLKIF_RSP_OKAY);
}

static void accepts_last_sector_of_page_alone(void)
{
	expect_segment(7, 7, BLKIF_RSP_OKAY);
}

static void rejects_segment_past_page_end(void)
{
	expect_segment(0, 8, BLKIF_RSP_ERROR);
	expect_segment(8, 8, BLKIF_RSP_ERROR);
	expect_segment(0, 255, BLKIF_RSP_ERROR);
	expect_segment(255, 255, BLKIF_RSP_ERROR);
}

static void rejects_segment_that_ends_before_it_starts(void)
{
	expect_segment(1, 0, BLKIF_RSP_ERROR);
	expect_segment(7, 6, BLKIF_RSP_ERROR);
	expect_segment(255, 7, BLKIF_RSP_ERROR);
}

static void rejects_bad_segment_behind_good_ones(void)
{
	for (int i = 0; i < 11; i++) {
		struct guest_request g = good_pages(BLKIF_OP_READ, 11);

		g.seg[i].last_sect = 8;
		expect(&g, BLKIF_RSP_ERROR);
	}
}

static void ignores_segments_beyond_the_number(void)
{
	struct guest_request g = good_pages(BLKIF_OP_READ, 10);

	g.seg[10].last_sect = 8;
	expect(&g, BLKIF_RSP_OKAY);
}

static void accepts_up_to_the_last_sector(void)
{
	struct guest_request g = good(BLKIF_OP_WRITE);

	expect_at(0, BLKIF_RSP_OKAY);
	expect_at(DISK_SECTORS - 8, BLKIF_RSP_OKAY);
	g.seg[0].last_sect = 0;
	g.sector_number = DISK_SECTORS - 1;
	expect(&g, BLKIF_RSP_OKAY);
}

static void rejects_one_sector_past_the_end(void)
{
	struct guest_request g = good(BLKIF_OP_READ);

	expect_at(DISK_SECTORS - 7, BLKIF_RSP_ERROR);
	g.seg[0].last_sect = 0;
	g.sector_number = DISK_SECTORS;
	expect(&g, BLKIF_RSP_ERROR);
}

static void rejects_end_that_later_segments_push_out(void)
{
	struct guest_request g = good_pages(BLKIF_OP_READ, 11);

	g.sector_number = DISK_SECTORS - 88;
	expect(&g, BLKIF_RSP_OKAY);
	g.sector_number++;
	expect(&g, BLKIF_RSP_ERROR);
}

static void rejects_sector_numbers_that_wrap(void)
{
	expect_at(UINT64_MAX, BLKIF_RSP_ERROR);
	expect_at(UINT64_MAX - 7, BLKIF_RSP_ERROR);
	/* In bytes, these are 0 and 4096 modulo 2^64. */
	expect_at(1ull << 55, BLKIF_RSP_ERROR);
	expect_at((1ull << 55) + 8, BLKIF_RSP_ERROR);
	expect_at(1ull << 63, BLKIF_RSP_ERROR);
	/* Here the offset still fits, and the end is 0 modulo 2^64. */
	expect_at((1ull << 55) - 8, BLKIF_RSP_ERROR);
}

static void keeps_wrapping_ends_out_of_the_largest_disk(void)
{
	struct request_limits huge = { .size_bytes = UINT64_MAX - 511 };
	struct guest_request g = good(BLKIF_OP_READ);

	g.sector_number = (1ull << 55) - 9;
	expect_on(&g, &huge, BLKIF_RSP_OKAY);
	g.sector_number = (1ull << 55) - 8;
	expect_on(&g, &huge, BLKIF_RSP_ERROR);
}

static void rejects_everything_on_an_empty_disk(void)
{
	struct request_limits empty = { .size_bytes = 0 };
	struct guest_request g = good(BLKIF_OP_READ);

	g.sector_number = 0;
	expect_on(&g, &empty, BLKIF_RSP_ERROR);
}

static void reads_but_does_not_write_a_read_only_disk(void)
{
	struct request_limits limits = disk;
	struct guest_request r = good(BLKIF_OP_READ), w = good(BLKIF_OP_WRITE);

	limits.read_only = true;
	expect_on(&r, &limits, BLKIF_RSP_OKAY);
	expect_on(&w, &limits, BLKIF_RSP_ERROR);
}

static void ignores_the_handle(void)
{
	struct guest_request g = good(BLKIF_OP_READ);

	g.handle = 0xffff;
	expect(&g, BLKIF_RSP_OKAY);
}

static void accepts_flush_where_it_is_offered(void)
{
	struct guest_request g = good_pages(BLKIF_OP_FLUSH_DISKCACHE, 0);
	struct request req;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		check_eq(parse_as(*a, &g, &disk, &req), BLKIF_RSP_OKAY);
		check_eq(req.op, REQUEST_FLUSH);
		check_eq(req.nr_segments, 0);
		check_eq(req.offset_bytes, 0);
		check_eq(req.len_bytes, 0);
		check_eq(req.id, g.id);
	}
}

static void accepts_flush_on_a_read_only_disk(void)
{
	struct request_limits limits = { .read_only = true, .flush = true };
	struct guest_request g = good_pages(BLKIF_OP_FLUSH_DISKCACHE, 0);

	expect_on(&g, &limits, BLKIF_RSP_OKAY);
}

static void flush_looks_at_no_sector(void)
{
	struct guest_request g = good_pages(BLKIF_OP_FLUSH_DISKCACHE, 0);

	g.sector_number = UINT64_MAX;
	expect(&g, BLKIF_RSP_OKAY);
}

static void does_not_support_flush_where_it_is_not_offered(void)
{
	struct request_limits limits = { .size_bytes = disk.size_bytes };
	struct guest_request g = good_pages(BLKIF_OP_FLUSH_DISKCACHE, 0);

	expect_on(&g, &limits, BLKIF_RSP_EOPNOTSUPP);
}

/* Whatever carries data is checked as a write is. */
static void expect_as_a_write(uint8_t operation, enum request_op op)
{
	struct guest_request g = good_pages(operation, 11);
	struct request_limits limits = disk;
	struct request req;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		check_eq(parse_as(*a, &g, &disk, &req), BLKIF_RSP_OKAY);
		check_eq(req.op, op);
		check_eq(req.nr_segments, 11);
		check_eq(req.offset_bytes, 8 * 512);
		check_eq(req.len_bytes, 11 * 4096);
	}
	limits.read_only = true;
	expect_on(&g, &limits, BLKIF_RSP_ERROR);
	g.nr_segments = 12;
	expect(&g, BLKIF_RSP_ERROR);
	g.nr_segments = 255;
	expect(&g, BLKIF_RSP_ERROR);
	g = good(operation);
	g.seg[0].last_sect = 8;
	expect(&g, BLKIF_RSP_ERROR);
	g = good(operation);
	g.sector_number = DISK_SECTORS - 7;
	expect(&g, BLKIF_RSP_ERROR);
	limits = (struct request_limits){ .size_bytes = disk.size_bytes };
	expect_on(&g, &limits, BLKIF_RSP_EOPNOTSUPP);
}

static void checks_data_of_a_flush_as_a_write(void)
{
	expect_as_a_write(BLKIF_OP_FLUSH_DISKCACHE, REQUEST_FLUSH);
}

static void checks_data_of_a_barrier_as_a_write(void)
{
	expect_as_a_write(BLKIF_OP_WRITE_BARRIER, REQUEST_BARRIER);
}

static void accepts_a_barrier_without_data(void)
{
	struct guest_request g = good_pages(BLKIF_OP_WRITE_BARRIER, 0);
	struct request_limits limits = { .size_bytes = disk.size_bytes };
	struct request req;

	g.sector_number = UINT64_MAX;
	for (const struct abi *const *a = guest_abis; *a; a++) {
		check_eq(parse_as(*a, &g, &disk, &req), BLKIF_RSP_OKAY);
		check_eq(req.op, REQUEST_BARRIER);
		check_eq(req.nr_segments, 0);
		check_eq(req.len_bytes, 0);
	}
	expect_on(&g, &limits, BLKIF_RSP_EOPNOTSUPP);
}

struct discard {
	uint8_t flag;
	uint64_t sector_number, nr_sectors;
};

static int16_t parse_discard_as(const struct abi *abi, const struct discard *d,
				const struct request_limits *limits, struct request *req)
{
	struct x86_64_discard d64 = { .operation = BLKIF_OP_DISCARD, .flag = d->flag, .id = 99 };
	struct x86_32_discard d32 = { .operation = BLKIF_OP_DISCARD, .flag = d->flag, .id = 99 };
	struct raw_request raw;

	d64.sector_number = d32.sector_number = d->sector_number;
	d64.nr_sectors = d32.nr_sectors = d->nr_sectors;
	memset(&raw, 0xee, sizeof(raw));
	if (abi == &abi_x86_32)
		memcpy(raw.bytes, &d32, sizeof(d32));
	else
		memcpy(raw.bytes, &d64, sizeof(d64));
	memset(req, 0xdd, sizeof(*req));
	return request_parse(abi, &raw, limits, req);
}

static void expect_discard(const struct discard *d, const struct request_limits *limits, int want)
{
	struct request req;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		check_eq(parse_discard_as(*a, d, limits, &req), want);
		check_eq(req.id, 99);
		check_eq(req.operation, BLKIF_OP_DISCARD);
		if (want != BLKIF_RSP_OKAY)
			continue;
		check_eq(req.op, REQUEST_DISCARD);
		check_eq(req.nr_segments, 0);
		check_eq(req.offset_bytes, d->sector_number * 512);
		check_eq(req.len_bytes, d->nr_sectors * 512);
	}
}

static void accepts_discards_within_the_disk(void)
{
	expect_discard(&(struct discard){ 0, 0, 1 }, &disk, BLKIF_RSP_OKAY);
	expect_discard(&(struct discard){ 0, 3, 7 }, &disk, BLKIF_RSP_OKAY);
	expect_discard(&(struct discard){ 0, 0, DISK_SECTORS }, &disk, BLKIF_RSP_OKAY);
	expect_discard(&(struct discard){ 0, DISK_SECTORS - 1, 1 }, &disk, BLKIF_RSP_OKAY);
}

static void accepts_a_discard_of_more_than_32_bits(void)
{
	struct request_limits huge = { .size_bytes = 1ull << 44, .discard = true };

	expect_discard(&(struct discard){ 0, 1, (1ull << 35) - 1 }, &huge, BLKIF_RSP_OKAY);
	expect_discard(&(struct discard){ 0, 1, 1ull << 35 }, &huge, BLKIF_RSP_ERROR);
}

static void rejects_discards_of_nothing_or_past_the_end(void)
{
	expect_discard(&(struct discard){ 0, 0, 0 }, &disk, BLKIF_RSP_ERROR);
	expect_discard(&(struct discard){ 0, DISK_SECTORS, 0 }, &disk, BLKIF_RSP_ERROR);
	expect_discard(&(struct discard){ 0, DISK_SECTORS, 1 }, &disk, BLKIF_RSP_ERROR);
	expect_discard(&(struct discard){ 0, 1, DISK_SECTORS }, &disk, BLKIF_RSP_ERROR);
}

/* Where a product or a sum that wraps would be within the disk. */
static void rejects_discards_that_wrap(void)
{
	expect_discard(&(struct discard){ 0, 0, 1ull << 55 }, &disk, BLKIF_RSP_ERROR);
	expect_discard(&(struct discard){ 0, 0, (1ull << 55) + 1 }, &disk, BLKIF_RSP_ERROR);
	expect_discard(&(struct discard){ 0, 1ull << 55, 1 }, &disk, BLKIF_RSP_ERROR);
	expect_discard(&(struct discard){ 0, (1ull << 55) - 1, 2 }, &disk, BLKIF_RSP_ERROR);
	expect_discard(&(struct discard){ 0, 2, (1ull << 55) - 1 }, &disk, BLKIF_RSP_ERROR);
	expect_discard(&(struct discard){ 0, UINT64_MAX, UINT64_MAX }, &disk, BLKIF_RSP_ERROR);
}

static void discards_nothing_of_a_read_only_disk(void)
{
	struct request_limits limits = disk;

	limits.read_only = true;
	expect_discard(&(struct discard){ 0, 0, 1 }, &limits, BLKIF_RSP_ERROR);
}

static void does_not_support_discard_where_it_is_not_offered(void)
{
	struct request_limits limits = { .size_bytes = disk.size_bytes, .flush = true };

	expect_discard(&(struct discard){ 0, 0, 1 }, &limits, BLKIF_RSP_EOPNOTSUPP);
}

static void does_not_support_secure_discard(void)
{
	expect_discard(&(struct discard){ BLKIF_DISCARD_SECURE, 0, 1 }, &disk,
		       BLKIF_RSP_EOPNOTSUPP);
	expect_discard(&(struct discard){ 0x80, 0, 1 }, &disk, BLKIF_RSP_EOPNOTSUPP);
}

static void discards_securely_where_that_is_offered(void)
{
	const struct discard secure = { BLKIF_DISCARD_SECURE, 3, 7 }, plain = { 0, 3, 7 };
	struct request_limits limits = disk;
	struct request req;

	limits.discard_secure = true;
	expect_discard(&secure, &limits, BLKIF_RSP_OKAY);
	for (const struct abi *const *a = guest_abis; *a; a++) {
		parse_discard_as(*a, &secure, &limits, &req);
		check(req.secure && request_is_sound(&req, 0) &&
		      request_is_allowed(&req, &limits) && !request_is_allowed(&req, &disk));
		parse_discard_as(*a, &plain, &limits, &req);
		check(!req.secure);
	}
	expect_discard(&(struct discard){ 0x80, 0, 1 }, &limits, BLKIF_RSP_EOPNOTSUPP);
	expect_discard(&(struct discard){ BLKIF_DISCARD_SECURE | 2, 0, 1 }, &limits,
		       BLKIF_RSP_EOPNOTSUPP);
	limits.discard = false;
	expect_discard(&secure, &limits, BLKIF_RSP_EOPNOTSUPP);
}

static void does_not_support_any_other_operation(void)
{
	for (unsigned op = 0; op <= 255; op++) {
		struct guest_request g = good((uint8_t)op);

		if (op == BLKIF_OP_RESERVED_1 || op > BLKIF_OP_DISCARD)
			expect(&g, BLKIF_RSP_EOPNOTSUPP);
	}
}

static void echoes_an_indirect_request_as_written(void)
{
	struct blkif_request_indirect indirect = {
		.operation = BLKIF_OP_INDIRECT,
		.indirect_op = BLKIF_OP_WRITE,
		.nr_segments = 32,
		.id = 0xfedcba9876543210,
	};
	struct raw_request raw = { { 0 } };
	struct request req;

	memcpy(raw.bytes, &indirect, sizeof(indirect));
	check_eq(request_parse(abi_native, &raw, &disk, &req), BLKIF_RSP_EOPNOTSUPP);
	check_eq(req.id, 0xfedcba9876543210);
	check_eq(req.operation, BLKIF_OP_INDIRECT);
}

static void touches_only_id_and_operation_when_not_supported(void)
{
	struct guest_request g = good(BLKIF_OP_RESERVED_1);
	struct request req, untouched;

	memset(&untouched, 0xdd, sizeof(untouched));
	for (const struct abi *const *a = guest_abis; *a; a++) {
		check_eq(parse_as(*a, &g, &disk, &req), BLKIF_RSP_EOPNOTSUPP);
		check_eq(req.nr_segments, untouched.nr_segments);
		check_eq(req.offset_bytes, untouched.offset_bytes);
		check_eq(req.len_bytes, untouched.len_bytes);
	}
}

static void result_stays_within_disk_and_pages(const struct request *req)
{
	uint64_t sum = 0;

	if (req->op == REQUEST_READ || req->op == REQUEST_WRITE)
		check(req->nr_segments >= 1);
	check(req->nr_segments <= REQUEST_MAX_SEGMENTS);
	for (unsigned i = 0; i < req->nr_segments; i++) {
		const struct segment *s = &req->segments[i];

		check(s->len_bytes >= 512 && s->len_bytes % 512 == 0 && s->offset_bytes % 512 == 0);
		check(s->offset_bytes + s->len_bytes <= 4096);
		sum += s->len_bytes;
	}
	if (req->op == REQUEST_DISCARD)
		check(!req->nr_segments && req->len_bytes >= 512);
	else
		check_eq(req->len_bytes, sum);
	check(req->offset_bytes <= disk.size_bytes);
	check(req->len_bytes <= disk.size_bytes - req->offset_bytes);
}

/* Small values are made likely, or all would be rejected. */
static void random_bytes_come_out_good_or_not_at_all(void)
{
	static const uint8_t masks[] = { 0xff, 0x0f, 0x07, 0x01, 0x00 };
	uint64_t x = 88172645463325252ull;
	struct raw_request raw;
	struct request req;
	int good_ones = 0;

	for (int round = 0; round < 200000; round++) {
		for (size_t i = 0; i < sizeof(raw.bytes); i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			raw.bytes[i] = (uint8_t)(x >> 8) & masks[(x >> 20) % 5];
		}
		memset(raw.bytes + 8, 0, 16);
		raw.bytes[0] &= 7;
		raw.bytes[1] &= 3;
		if (request_parse(guest_abis[round % 2], &raw, &disk, &req) == BLKIF_RSP_OKAY) {
			good_ones++;
			result_stays_within_disk_and_pages(&req);
		}
	}
	check(good_ones > 100);
}

int main(void)
{
	tap_run(x86_64_table_is_the_layout_of_aligned_structs);
	tap_run(x86_32_table_is_the_layout_of_packed_structs);
	tap_run(finds_abi_by_protocol);
	tap_run(takes_native_abi_without_protocol);
	tap_run(knows_no_other_protocol);
	tap_run(reads_x86_64_bytes_in_their_places);
	tap_run(reads_x86_32_bytes_in_their_places);
	tap_run(accepts_read_and_write);
	tap_run(accepts_eleven_segments);
	tap_run(accepts_one_page_in_many_segments);
	tap_run(rejects_no_segments);
	tap_run(rejects_twelve_segments);
	tap_run(rejects_255_segments);
	tap_run(accepts_first_sector_of_page_alone);
	tap_run(accepts_last_sector_of_page_alone);
	tap_run(rejects_segment_past_page_end);
	tap_run(rejects_segment_that_ends_before_it_starts);
	tap_run(rejects_bad_segment_behind_good_ones);
	tap_run(ignores_segments_beyond_the_number);
	tap_run(accepts_up_to_the_last_sector);
	tap_run(rejects_one_sector_past_the_end);
	tap_run(rejects_end_that_later_segments_push_out);
	tap_run(rejects_sector_numbers_that_wrap);
	tap_run(keeps_wrapping_ends_out_of_the_largest_disk);
	tap_run(rejects_everything_on_an_empty_disk);
	tap_run(reads_but_does_not_write_a_read_only_disk);
	tap_run(ignores_the_handle);
	tap_run(accepts_flush_where_it_is_offered);
	tap_run(accepts_flush_on_a_read_only_disk);
	tap_run(flush_looks_at_no_sector);
	tap_run(does_not_support_flush_where_it_is_not_offered);
	tap_run(checks_data_of_a_flush_as_a_write);
	tap_run(checks_data_of_a_barrier_as_a_write);
	tap_run(accepts_a_barrier_without_data);
	tap_run(accepts_discards_within_the_disk);
	tap_run(accepts_a_discard_of_more_than_32_bits);
	tap_run(rejects_discards_of_nothing_or_past_the_end);
	tap_run(rejects_discards_that_wrap);
	tap_run(discards_nothing_of_a_read_only_disk);
	tap_run(does_not_support_discard_where_it_is_not_offered);
	tap_run(does_not_support_secure_discard);
	tap_run(discards_securely_where_that_is_offered);
	tap_run(does_not_support_any_other_operation);
	tap_run(echoes_an_indirect_request_as_written);
	tap_run(touches_only_id_and_operation_when_not_supported);
	tap_run(random_bytes_come_out_good_or_not_at_all);
	return tap_end();
}
