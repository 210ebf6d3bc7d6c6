/* SPDX-License-Identifier: BSD-2-Clause */
/* What the frontend writes the backend reads, and the other way round: the two share no code. */
#include "front_ring.h"

#include <errno.h>
#include <string.h>
#include <xen/io/blkif.h>

#include "request.h"
#include "ring.h"
#include "tap.h"

static _Alignas(4096) uint8_t shared[4 * FRONT_PAGE_BYTES];
static struct front_ring front;
static struct ring back;

static const struct request_limits limits = {
	.size_bytes = 1 << 30,
	.flush = true,
	.discard = true,
	.max_indirect_segments = 4096,
};

static const struct {
	enum front_abi front;
	const struct abi *back;
} abis[] = { { FRONT_ABI_X86_64, &abi_x86_64 }, { FRONT_ABI_X86_32, &abi_x86_32 } };

static void attach(size_t i, uint32_t nr_pages)
{
	front_ring_init(&front, abis[i].front, shared, nr_pages);
	ring_attach(&back, abis[i].back, shared, nr_pages);
}

static const struct front_segment segments[] = { { 17, 3, 7 }, { 0xfedcba98, 0, 0 } };

static const struct front_request write_two = {
	.operation = BLKIF_OP_WRITE,
	.id = 0x1122334455667788,
	.sector = 0x12345,
	.nr_segments = 2,
	.segments = segments,
};

static void backend_reads_what_was_put(void)
{
	for (size_t i = 0; i < 2; i++) {
		struct request req;

		attach(i, 1);
		front_ring_put(&front, &write_two);
		check_eq(ring_pending(&back), 0);
		front_ring_push(&front);
		check_eq(ring_pending(&back), 1);
		check_eq(request_peek(&back, &limits, &req), BLKIF_RSP_OKAY);
		check(req.id == write_two.id && req.op == REQUEST_WRITE);
		check(req.offset_bytes == 0x12345 * 512ull && req.nr_segments == 2);
		check(req.segments[0].gref == 17 && req.segments[0].offset_bytes == 3 * 512 &&
		      req.segments[0].len_bytes == 5 * 512);
		check(req.segments[1].gref == 0xfedcba98 && req.segments[1].len_bytes == 512);
	}
}

static void takes_what_the_backend_answered(void)
{
	for (size_t i = 0; i < 2; i++) {
		struct front_response rsp;

		attach(i, 1);
		for (int n = 0; n < 100; n++) {
			front_ring_put(&front, &write_two);
			front_ring_push(&front);
			ring_consume(&back);
			ring_respond(&back, 1000 + (uint64_t)n, BLKIF_OP_WRITE, -5);
			check_eq(front_ring_pending(&front), 0);
			ring_push(&back);
			check_eq(front_ring_pending(&front), 1);
			front_ring_take(&front, &rsp);
			check(rsp.id == 1000u + (uint64_t)n);
			check(rsp.operation == BLKIF_OP_WRITE && rsp.status == -5);
		}
	}
}

static void has_as_many_slots_as_the_backend(void)
{
	for (size_t i = 0; i < 2; i++) {
		for (uint32_t pages = 1; pages <= 4; pages *= 2) {
			attach(i, pages);
			check_eq(front.nr_entries, back.nr_entries);
			check_eq(front_ring_free(&front), back.nr_entries);
		}
	}
	check_eq(front.nr_entries, 128);
}

static void full_ring_is_seen_by_both(void)
{
	attach(0, 1);
	while (front_ring_free(&front))
		front_ring_put(&front, &write_two);
	front_ring_push(&front);
	check_eq(ring_pending(&back), 32);
}

static void event_is_wanted_only_when_armed(void)
{
	attach(0, 1);
	/* A fresh ring asks for an event at its first request. */
	front_ring_put(&front, &write_two);
	check(front_ring_push(&front));
	front_ring_put(&front, &write_two);
	check(!front_ring_push(&front));
	ring_consume(&back);
	ring_consume(&back);
	check_eq(ring_arm(&back), 0);
	check(!front_ring_push(&front));
	front_ring_put(&front, &write_two);
	check(front_ring_push(&front));
}

static void backend_is_asked_for_an_event_only_when_armed(void)
{
	attach(0, 1);
	for (int i = 0; i < 3; i++)
		front_ring_put(&front, &write_two);
	front_ring_push(&front);
	for (int i = 0; i < 3; i++)
		ring_consume(&back);
	ring_respond(&back, 1, BLKIF_OP_WRITE, 0);
	check(ring_push(&back));
	ring_respond(&back, 2, BLKIF_OP_WRITE, 0);
	check(!ring_push(&back));
	check_eq(front_ring_arm(&front), 1);
	struct front_response rsp;
	front_ring_take(&front, &rsp);
	front_ring_take(&front, &rsp);
	check_eq(front_ring_arm(&front), 0);
	ring_respond(&back, 3, BLKIF_OP_WRITE, 0);
	check(ring_push(&back));
	check_eq(front_ring_arm(&front), 1);
}

static void more_responses_than_requests_are_refused(void)
{
	struct blkif_sring *sring = (void *)shared;

	attach(0, 1);
	front_ring_put(&front, &write_two);
	front_ring_push(&front);
	sring->rsp_prod = 2;
	check_eq(front_ring_pending(&front), -EPROTO);
	check_eq(front_ring_arm(&front), -EPROTO);
	sring->rsp_prod = UINT32_MAX;
	check_eq(front_ring_pending(&front), -EPROTO);
	sring->rsp_prod = 1;
	check_eq(front_ring_pending(&front), 1);
}

static void backend_reads_a_discard(void)
{
	const struct front_request discard = {
		.operation = BLKIF_OP_DISCARD, .id = 7, .sector = 8, .nr_sectors = 1 << 20
	};

	for (size_t i = 0; i < 2; i++) {
		struct request req;

		attach(i, 1);
		front_ring_put(&front, &discard);
		front_ring_push(&front);
		check_eq(ring_pending(&back), 1);
		check_eq(request_peek(&back, &limits, &req), BLKIF_RSP_OKAY);
		check(req.op == REQUEST_DISCARD && req.id == 7);
		check(req.offset_bytes == 8 * 512 && req.len_bytes == 512 << 20);
	}
}

static void discard_has_its_flag(void)
{
	const struct front_request discard = { .operation = BLKIF_OP_DISCARD,
					       .flag = BLKIF_DISCARD_SECURE };
	struct blkif_request_discard is;
	uint8_t entry[FRONT_ENTRY_MAX_BYTES];

	attach(0, 1);
	front_ring_encode(&front, &discard, entry);
	memcpy(&is, entry, sizeof(is));
	check(is.operation == BLKIF_OP_DISCARD && is.flag == BLKIF_DISCARD_SECURE);
}

#define MANY (FRONT_SEGMENTS_PER_PAGE + 1)

static struct raw_segments mem[2];
static const struct front_indirect_page pages[] = { { 5, &mem[0] }, { 6, &mem[1] } };
static struct front_segment many[MANY];

static const struct front_request read_many = { .operation = BLKIF_OP_READ,
						.id = 7,
						.sector = 8,
						.handle = 9,
						.nr_segments = MANY,
						.segments = many,
						.indirect_pages = pages };

static void backend_reads_an_indirect_request(void)
{
	const struct raw_segments *const copies[] = { &mem[0], &mem[1] };
	static struct segment out[MANY];

	for (uint32_t i = 0; i < MANY; i++)
		many[i] = (struct front_segment){ 1000 + i, i % 8, 7 };
	for (size_t i = 0; i < 2; i++) {
		struct request req;

		attach(i, 1);
		front_ring_put(&front, &read_many);
		front_ring_push(&front);
		check_eq(ring_pending(&back), 1);
		check_eq(request_peek(&back, &limits, &req), BLKIF_RSP_OKAY);
		check(req.indirect && req.op == REQUEST_READ && req.id == 7);
		check(req.operation == BLKIF_OP_READ && req.offset_bytes == 8 * 512);
		check_eq(request_indirect_pages(&req), 2);
		check(req.indirect_grefs[0] == 5 && req.indirect_grefs[1] == 6);
		check_eq(request_parse_segments(&req, copies, &limits, out), BLKIF_RSP_OKAY);
		for (uint32_t n = 0; n < MANY; n++)
			check(out[n].gref == 1000 + n && out[n].offset_bytes == n % 8 * 512 &&
			      out[n].len_bytes == (8 - n % 8) * 512);
	}
}

int main(void)
{
	tap_run(backend_reads_what_was_put);
	tap_run(takes_what_the_backend_answered);
	tap_run(has_as_many_slots_as_the_backend);
	tap_run(full_ring_is_seen_by_both);
	tap_run(event_is_wanted_only_when_armed);
	tap_run(backend_is_asked_for_an_event_only_when_armed);
	tap_run(more_responses_than_requests_are_refused);
	tap_run(backend_reads_a_discard);
	tap_run(discard_has_its_flag);
	tap_run(backend_reads_an_indirect_request);
	return tap_end();
}
