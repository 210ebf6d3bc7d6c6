/* SPDX-License-Identifier: BSD-2-Clause */
#include "ring.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define xen_mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

#include "tap.h"
#include "request.h"
#include "test_guest.h"

#define MAX_PAGES 16u

static _Alignas(RING_PAGE_BYTES) uint8_t pages[MAX_PAGES * RING_PAGE_BYTES];

enum index {
	REQ_PROD = 0,
	REQ_EVENT = 4,
	RSP_PROD = 8,
	RSP_EVENT = 12
};

static void guest_set(enum index at, uint32_t value)
{
	memcpy(pages + at, &value, sizeof(value));
}

static uint32_t guest_get(enum index at)
{
	uint32_t value;

	memcpy(&value, pages + at, sizeof(value));
	return value;
}

static uint8_t *guest_entry(const struct abi *abi, uint32_t slot)
{
	return pages + 64 + slot * (abi == &abi_x86_32 ? 108u : 112u);
}

/* A ring on which @index requests have come and gone, and attached to. */
static int ring_at(struct ring *r, const struct abi *abi, uint32_t nr_pages, uint32_t index)
{
	memset(pages, 0xee, sizeof(pages));
	guest_set(REQ_PROD, index);
	guest_set(RSP_PROD, index);
	guest_set(REQ_EVENT, index + 1);
	guest_set(RSP_EVENT, index + 1);
	return ring_attach(r, abi, pages, nr_pages);
}

static void guest_puts_request(const struct ring *r, uint32_t index, uint64_t id)
{
	struct guest_request g = { .operation = BLKIF_OP_READ, .nr_segments = 1, .id = id };

	guest_write_request(r->abi, &g, guest_entry(r->abi, index % r->nr_entries));
	guest_set(REQ_PROD, index + 1);
}

static uint64_t copied_id(const struct ring *r)
{
	struct raw_request raw;
	uint64_t id;

	ring_copy_request(r, &raw);
	memcpy(&id, raw.bytes + r->abi->id, sizeof(id));
	return id;
}

static void consume(struct ring *r, uint32_t n)
{
	while (n--)
		ring_consume(r);
}

static void respond(struct ring *r, uint32_t n)
{
	while (n--)
		ring_respond(r, 0, BLKIF_OP_READ, BLKIF_RSP_OKAY);
}

static void page_has_32_entries_in_both_abis(void)
{
	check_eq(ring_entries(&abi_x86_64, 1), 32);
	check_eq(ring_entries(&abi_x86_32, 1), 32);
}

static void entries_double_with_the_pages(void)
{
	for (const struct abi *const *a = guest_abis; *a; a++)
		for (uint32_t order = 0; order <= 4; order++)
			check_eq(ring_entries(*a, 1u << order), 32u << order);
}

static void entries_are_those_of_the_specification(void)
{
	check_eq(ring_entries(abi_native, 1), __CONST_RING_SIZE(blkif, 4096));
	check_eq(ring_entries(abi_native, 16), __CONST_RING_SIZE(blkif, 65536));
}

static void entries_stay_a_power_of_two(void)
{
	check_eq(ring_entries(&abi_x86_64, 3), 64);
	check_eq(ring_entries(&abi_x86_32, 15), 512);
}

static void attaches_to_a_new_ring(void)
{
	struct ring r;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		check_eq(ring_at(&r, *a, 1, 0), 0);
		check(r.abi == *a && r.shared == pages);
		check_eq(r.nr_entries, 32);
		check_eq(ring_pending(&r), 0);
		check_eq(ring_unanswered(&r), 0);
	}
}

static void goes_on_from_the_responses_shown(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, 100);
	guest_set(REQ_PROD, 107);
	check_eq(ring_attach(&r, abi_native, pages, 1), 0);
	check_eq(r.req_cons, 100);
	check_eq(r.rsp_prod, 100);
	check_eq(ring_pending(&r), 7);
}

static void attaches_to_a_full_ring(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, UINT32_MAX - 3);
	guest_set(REQ_PROD, 28);
	check_eq(ring_attach(&r, abi_native, pages, 1), 0);
	check_eq(ring_pending(&r), 32);
}

static void rejects_attach_to_an_overfull_ring(void)
{
	struct ring r, before;

	memset(&r, 0x5a, sizeof(r));
	before = r;
	memset(pages, 0, sizeof(pages));
	guest_set(REQ_PROD, 33);
	check_eq(ring_attach(&r, abi_native, pages, 1), -EPROTO);
	check(!memcmp(&r, &before, sizeof(r)));
	check_eq(ring_attach(&r, abi_native, pages, 2), 0);
}

static void rejects_attach_where_responses_lead(void)
{
	struct ring r;

	memset(pages, 0, sizeof(pages));
	guest_set(RSP_PROD, 1);
	check_eq(ring_attach(&r, abi_native, pages, 1), -EPROTO);
}

static void counts_a_full_ring_of_every_size(void)
{
	struct ring r;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		for (uint32_t order = 0; order <= 4; order++) {
			ring_at(&r, *a, 1u << order, 0);
			guest_set(REQ_PROD, 32u << order);
			check_eq(ring_pending(&r), 32 << order);
			guest_set(REQ_PROD, (32u << order) + 1);
			check_eq(ring_pending(&r), -EPROTO);
		}
	}
}

static void rejects_overflow_by_one_beside_the_unanswered(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, 0);
	guest_set(REQ_PROD, 20);
	consume(&r, 20);
	guest_set(REQ_PROD, 32);
	check_eq(ring_pending(&r), 12);
	guest_set(REQ_PROD, 33);
	check_eq(ring_pending(&r), -EPROTO);
	respond(&r, 1);
	check_eq(ring_pending(&r), 13);
}

static void rejects_a_producer_that_goes_back(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, 0);
	guest_set(REQ_PROD, 5);
	consume(&r, 5);
	guest_set(REQ_PROD, 4);
	check_eq(ring_pending(&r), -EPROTO);
	check_eq(ring_arm(&r), -EPROTO);
}

static void rejects_producers_that_are_far_off(void)
{
	static const uint32_t lies[] = { 33, 64, 0x7fffffff, 0x80000000, 0xffffffff };
	struct ring r;

	ring_at(&r, abi_native, 1, 0);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		guest_set(REQ_PROD, lies[i]);
		check_eq(ring_pending(&r), -EPROTO);
	}
}

static void indices_wrap_at_32_bits(void)
{
	struct ring r;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		uint32_t index = UINT32_MAX - 40;

		ring_at(&r, *a, 1, index);
		for (uint64_t i = 0; i < 100; i++, index++) {
			guest_puts_request(&r, index, i);
			check_eq(ring_pending(&r), 1);
			check_eq(copied_id(&r), i);
			ring_consume(&r);
			respond(&r, 1);
			ring_push(&r);
			check_eq(guest_get(RSP_PROD), index + 1);
		}
	}
}

static void overflow_is_seen_across_the_wrap(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, UINT32_MAX - 9);
	guest_set(REQ_PROD, 22);
	check_eq(ring_pending(&r), 32);
	guest_set(REQ_PROD, 23);
	check_eq(ring_pending(&r), -EPROTO);
}

static void copies_each_entry_from_its_place(void)
{
	struct ring r;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		ring_at(&r, *a, MAX_PAGES, 0);
		for (uint32_t i = 0; i < r.nr_entries; i++)
			guest_puts_request(&r, i, 1000 + i);
		for (uint32_t i = 0; i < r.nr_entries; i++, ring_consume(&r))
			check_eq(copied_id(&r), 1000 + i);
	}
}

static void copies_every_byte_of_an_entry_and_no_more(void)
{
	struct ring r;
	struct raw_request raw;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		ring_at(&r, *a, 1, 31);
		for (uint8_t i = 0; i < (*a)->entry_bytes; i++)
			guest_entry(*a, 31)[i] = (uint8_t)(i + 1);
		memset(&raw, 0x77, sizeof(raw));
		ring_copy_request(&r, &raw);
		for (unsigned i = 0; i < sizeof(raw.bytes); i++)
			check_eq(raw.bytes[i], i < (*a)->entry_bytes ? i + 1 : 0);
	}
}

static void copy_does_not_consume(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, 0);
	guest_puts_request(&r, 0, 1);
	guest_puts_request(&r, 1, 2);
	check_eq(copied_id(&r), 1);
	check_eq(copied_id(&r), 1);
	ring_consume(&r);
	check_eq(copied_id(&r), 2);
	check_eq(ring_unanswered(&r), 1);
}

static void peek_copies_and_checks(void)
{
	struct request_limits limits = { .size_bytes = 4096 };
	struct ring r;
	struct request req;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		ring_at(&r, *a, 1, 5);
		guest_puts_request(&r, 5, 99);
		check_eq(request_peek(&r, &limits, &req), BLKIF_RSP_OKAY);
		check_eq(req.id, 99);
		check_eq(req.len_bytes, 512);
		limits.size_bytes = 0;
		check_eq(request_peek(&r, &limits, &req), BLKIF_RSP_ERROR);
		check_eq(ring_pending(&r), 1);
		limits.size_bytes = 4096;
	}
}

static void response_is_laid_out_as_x86_64_with_padding_zero(void)
{
	static const uint8_t want[17] = {
		8, 7, 6, 5, 4, 3, 2, 1, 1, 0, 0xfe, 0xff, 0, 0, 0, 0, 0xee
	};
	struct ring r;

	ring_at(&r, &abi_x86_64, 1, 33);
	ring_consume(&r);
	ring_respond(&r, 0x0102030405060708, BLKIF_OP_WRITE, BLKIF_RSP_EOPNOTSUPP);
	check(!memcmp(guest_entry(&abi_x86_64, 1), want, sizeof(want)));
}

static void response_is_laid_out_as_x86_32_with_padding_zero(void)
{
	static const uint8_t want[13] = { 8, 7, 6, 5, 4, 3, 2, 1, 1, 0, 0xff, 0xff, 0xee };
	struct ring r;

	ring_at(&r, &abi_x86_32, 1, 33);
	ring_consume(&r);
	ring_respond(&r, 0x0102030405060708, BLKIF_OP_WRITE, BLKIF_RSP_ERROR);
	check(!memcmp(guest_entry(&abi_x86_32, 1), want, sizeof(want)));
}

static void responses_fill_slots_in_order_and_wrap(void)
{
	struct ring r;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		ring_at(&r, *a, 1, 30);
		consume(&r, 4);
		for (uint64_t i = 0; i < 4; i++)
			ring_respond(&r, i + 1, BLKIF_OP_READ, BLKIF_RSP_OKAY);
		for (uint64_t i = 0; i < 4; i++)
			check_eq(guest_entry(*a, (30 + (uint32_t)i) % 32)[0], i + 1);
		check_eq(guest_entry(*a, 2)[0], 0xee);
	}
}

static void response_makes_room_for_a_request(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, 0);
	guest_set(REQ_PROD, 32);
	consume(&r, 32);
	check_eq(ring_unanswered(&r), 32);
	check_eq(ring_pending(&r), 0);
	respond(&r, 1);
	check_eq(ring_unanswered(&r), 31);
	guest_set(REQ_PROD, 33);
	check_eq(ring_pending(&r), 1);
}

static void responses_show_only_after_push(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, 7);
	consume(&r, 3);
	respond(&r, 3);
	check_eq(guest_get(RSP_PROD), 7);
	ring_push(&r);
	check_eq(guest_get(RSP_PROD), 10);
}

/* Three responses from index 10 on; the guest asked for an event at @event. */
static void expect_notify(uint32_t event, bool want)
{
	struct ring r;

	ring_at(&r, abi_native, 1, 10);
	consume(&r, 3);
	respond(&r, 3);
	guest_set(RSP_EVENT, event);
	check_eq(ring_push(&r), want);
}

static void notifies_where_the_event_is_among_the_pushed(void)
{
	expect_notify(11, true);
	expect_notify(12, true);
	expect_notify(13, true);
}

static void does_not_notify_where_it_is_not(void)
{
	expect_notify(10, false);
	expect_notify(14, false);
	expect_notify(0, false);
	expect_notify(UINT32_MAX, false);
}

static void notifies_across_the_wrap(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, UINT32_MAX);
	consume(&r, 3);
	respond(&r, 3);
	guest_set(RSP_EVENT, 0);
	check(ring_push(&r));
	check_eq(guest_get(RSP_PROD), 2);
}

static void push_of_nothing_notifies_nobody(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, 10);
	check(!ring_push(&r));
	consume(&r, 1);
	respond(&r, 1);
	check(ring_push(&r));
	check(!ring_push(&r));
}

static void does_not_read_back_what_it_published(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, 10);
	guest_set(RSP_PROD, 12345);
	guest_set(REQ_PROD, 11);
	check_eq(ring_pending(&r), 1);
	consume(&r, 1);
	respond(&r, 1);
	check(ring_push(&r));
	check_eq(guest_get(RSP_PROD), 11);
}

static void arms_an_empty_ring(void)
{
	struct ring r;

	for (const struct abi *const *a = guest_abis; *a; a++) {
		ring_at(&r, *a, 1, 20);
		guest_set(REQ_EVENT, 3);
		check_eq(ring_arm(&r), 0);
		check_eq(guest_get(REQ_EVENT), 21);
	}
}

static void arms_behind_unanswered_requests(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, UINT32_MAX - 1);
	guest_set(REQ_PROD, 2);
	consume(&r, 4);
	check_eq(ring_arm(&r), 0);
	check_eq(guest_get(REQ_EVENT), 3);
}

/* The guest goes on without events while it is left behind. */
static void does_not_arm_where_there_is_work(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, 20);
	guest_set(REQ_EVENT, 3);
	guest_set(REQ_PROD, 29);
	check_eq(ring_arm(&r), 1);
	check_eq(guest_get(REQ_EVENT), 3);
}

static void looks_for_overflow_when_arming(void)
{
	struct ring r;

	ring_at(&r, abi_native, 1, 0);
	guest_set(REQ_PROD, 33);
	check_eq(ring_arm(&r), -EPROTO);
}

/* A frontend on its own thread, made of the macros of <xen/io/ring.h>. */
#define RACE_REQUESTS 100000u

struct race {
	struct blkif_front_ring front;
	sem_t to_backend, to_frontend;
};

/* An event that does not come in this time does not come at all. */
static bool wait_event(sem_t *sem)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	while (sem_timedwait(sem, &until))
		if (errno != EINTR)
			return false;
	return true;
}

static void frontend_produces(struct race *race)
{
	struct blkif_front_ring *front = &race->front;
	int notify, burst = (int)(front->req_prod_pvt % 7) + 1;

	while (burst-- && front->req_prod_pvt < RACE_REQUESTS) {
		RING_GET_REQUEST(front, front->req_prod_pvt)->id = front->req_prod_pvt;
		front->req_prod_pvt++;
	}
	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(front, notify);
	if (notify)
		sem_post(&race->to_backend);
}

/* Looks for a while: whoever sees the last answer at once comes with a request as the other arms. */
static bool frontend_has_all(struct race *race)
{
	for (int looks = 0; looks < 3000; looks++) {
		race->front.rsp_cons = *(volatile RING_IDX *)&race->front.sring->rsp_prod;
		if (race->front.rsp_cons == race->front.req_prod_pvt)
			return true;
	}
	return false;
}

static void *frontend_run(void *arg)
{
	struct race *race = arg;
	int more;

	while (race->front.req_prod_pvt < RACE_REQUESTS) {
		frontend_produces(race);
		while (!frontend_has_all(race)) {
			RING_FINAL_CHECK_FOR_RESPONSES(&race->front, more);
			if (!more && !wait_event(&race->to_frontend))
				return NULL;
		}
	}
	return NULL;
}

/* Return: requests taken in order before an event was lost, or one was not as expected. */
static uint32_t backend_runs(struct race *race, struct ring *r)
{
	uint32_t taken = 0;

	while (taken < RACE_REQUESTS) {
		for (int n = ring_pending(r); n > 0; n--, taken++) {
			uint64_t id = copied_id(r);

			if (id != taken)
				return taken;
			ring_consume(r);
			ring_respond(r, id, BLKIF_OP_READ, BLKIF_RSP_OKAY);
		}
		if (ring_push(r))
			sem_post(&race->to_frontend);
		if (taken < RACE_REQUESTS && ring_arm(r) == 0 && !wait_event(&race->to_backend))
			return taken;
	}
	return taken;
}

static void no_event_is_lost_between_two_that_sleep(void)
{
	struct blkif_sring *shared = (struct blkif_sring *)pages;
	struct race race = { 0 };
	struct ring r;
	pthread_t frontend;
	uint32_t taken;

	memset(pages, 0, sizeof(pages));
	SHARED_RING_INIT(shared);
	FRONT_RING_INIT(&race.front, shared, RING_PAGE_BYTES);
	sem_init(&race.to_backend, 0, 0);
	sem_init(&race.to_frontend, 0, 0);
	check_eq(ring_attach(&r, abi_native, pages, 1), 0);
	check_eq(pthread_create(&frontend, NULL, frontend_run, &race), 0);
	taken = backend_runs(&race, &r);
	pthread_join(frontend, NULL);
	check_eq(taken, RACE_REQUESTS);
	check_eq(race.front.rsp_cons, RACE_REQUESTS);
}

int main(void)
{
	tap_run(page_has_32_entries_in_both_abis);
	tap_run(entries_double_with_the_pages);
	tap_run(entries_are_those_of_the_specification);
	tap_run(entries_stay_a_power_of_two);
	tap_run(attaches_to_a_new_ring);
	tap_run(goes_on_from_the_responses_shown);
	tap_run(attaches_to_a_full_ring);
	tap_run(rejects_attach_to_an_overfull_ring);
	tap_run(rejects_attach_where_responses_lead);
	tap_run(counts_a_full_ring_of_every_size);
	tap_run(rejects_overflow_by_one_beside_the_unanswered);
	tap_run(rejects_a_producer_that_goes_back);
	tap_run(rejects_producers_that_are_far_off);
	tap_run(indices_wrap_at_32_bits);
	tap_run(overflow_is_seen_across_the_wrap);
	tap_run(copies_each_entry_from_its_place);
	tap_run(copies_every_byte_of_an_entry_and_no_more);
	tap_run(copy_does_not_consume);
	tap_run(peek_copies_and_checks);
	tap_run(response_is_laid_out_as_x86_64_with_padding_zero);
	tap_run(response_is_laid_out_as_x86_32_with_padding_zero);
	tap_run(responses_fill_slots_in_order_and_wrap);
	tap_run(response_makes_room_for_a_request);
	tap_run(responses_show_only_after_push);
	tap_run(notifies_where_the_event_is_among_the_pushed);
	tap_run(does_not_notify_where_it_is_not);
	tap_run(notifies_across_the_wrap);
	tap_run(push_of_nothing_notifies_nobody);
	tap_run(does_not_read_back_what_it_published);
	tap_run(arms_an_empty_ring);
	tap_run(arms_behind_unanswered_requests);
	tap_run(does_not_arm_where_there_is_work);
	tap_run(looks_for_overflow_when_arming);
	tap_run(no_event_is_lost_between_two_that_sleep);
	return tap_end();
}
