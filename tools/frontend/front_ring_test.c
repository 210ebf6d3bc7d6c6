/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the frontend writes the backend reads, and the other way round: the two share no code. What
 * the backend's parser does not know is compared with <xen/io/blkif.h>.
 */
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

static const struct request_limits limits = { .size_bytes = 1 << 30, .flush = true };

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

static void discard_is_as_in_the_header(void)
{
	const struct front_request discard = { .operation = BLKIF_OP_DISCARD,
					       .flag = BLKIF_DISCARD_SECURE,
					       .id = 7,
					       .sector = 8,
					       .nr_sectors = 1ull << 40 };
	struct blkif_request_discard is;
	uint8_t entry[FRONT_ENTRY_MAX_BYTES];

	attach(0, 1);
	front_ring_encode(&front, &discard, entry);
	memcpy(&is, entry, sizeof(is));
	check(is.operation == BLKIF_OP_DISCARD && is.flag == BLKIF_DISCARD_SECURE);
	check(is.id == 7 && is.sector_number == 8 && is.nr_sectors == 1ull << 40);
}

static void indirect_request_has_its_segments_in_pages(void)
{
	static _Alignas(4096) uint8_t mem[2][FRONT_PAGE_BYTES];
	static struct front_segment many[FRONT_SEGMENTS_PER_PAGE + 1];
	const struct front_indirect_page pages[] = { { 5, mem[0] }, { 6, mem[1] } };
	const struct front_request req = { .operation = BLKIF_OP_READ,
					   .id = 7,
					   .sector = 8,
					   .handle = 9,
					   .nr_segments = FRONT_SEGMENTS_PER_PAGE + 1,
					   .segments = many,
					   .indirect_pages = pages };
	const struct blkif_request_segment *at = (const void *)mem[0];
	struct blkif_request_indirect is;
	uint8_t entry[FRONT_ENTRY_MAX_BYTES];

	many[FRONT_SEGMENTS_PER_PAGE - 1] = (struct front_segment){ 77, 1, 2 };
	many[FRONT_SEGMENTS_PER_PAGE] = (struct front_segment){ 78, 3, 4 };
	attach(0, 1);
	front_ring_encode(&front, &req, entry);
	memcpy(&is, entry, sizeof(is));
	check(is.operation == BLKIF_OP_INDIRECT && is.indirect_op == BLKIF_OP_READ);
	check(is.nr_segments == 513 && is.id == 7 && is.sector_number == 8 && is.handle == 9);
	check(is.indirect_grefs[0] == 5 && is.indirect_grefs[1] == 6 && is.indirect_grefs[2] == 0);
	check(at[511].gref == 77 && at[511].first_sect == 1 && at[511].last_sect == 2);
	at = (const void *)mem[1];
	check(at[0].gref == 78 && at[0].first_sect == 3 && at[0].last_sect == 4);
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
	tap_run(discard_is_as_in_the_header);
	tap_run(indirect_request_has_its_segments_in_pages);
	return tap_end();
}
