/* SPDX-License-Identifier: BSD-2-Clause */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/blkif.h>

#include "clock.h"
#include "load_check.h"

#define SLOT_BITS     16
#define RESPONSES     64
#define LOOK_AGAIN_US 100000u /* at the time, and for a signal */

static uint32_t slots_of(const struct load_options *o)
{
	return o->depth;
}

static uint32_t pages_for(uint64_t bytes)
{
	return (uint32_t)((bytes + FRONT_PAGE_BYTES - 1) / FRONT_PAGE_BYTES);
}

/* Pages of a request's data, and of its segments where it is indirect. */
static int size_slots(struct load *l, uint32_t max_segments, struct error *e)
{
	const struct load_options *o = l->options;
	uint32_t sectors = (uint32_t)(o->max_bytes / FRONT_SECTOR_BYTES);
	uint32_t need = pages_for(o->max_bytes);

	if (need > max_segments)
		return error_set(e, EINVAL,
				 "requests of %" PRIu64
				 " bytes have %u segments, expected at most %u, "
				 "which is what is offered%s",
				 o->max_bytes, need, max_segments,
				 o->segments ? "" : " without --segments");
	if (o->layout == LAYOUT_RANDOM)
		need = sectors < max_segments ? sectors : max_segments;
	l->max_segments = need;
	l->nr_indirect = 0;
	if (o->always_indirect || need > FRONT_MAX_DIRECT)
		l->nr_indirect = (need + FRONT_SEGMENTS_PER_PAGE - 1) / FRONT_SEGMENTS_PER_PAGE;
	l->pages_per_slot = need + l->nr_indirect;
	return 0;
}

static int make_slots(struct load *l)
{
	uint32_t nr = slots_of(l->options);
	struct front_segment *segments;

	l->slots = calloc(nr, sizeof(*l->slots));
	l->free = calloc(nr, sizeof(*l->free));
	l->extents = calloc(l->max_segments, sizeof(*l->extents));
	segments = calloc((size_t)nr * l->max_segments, sizeof(*segments));
	if (!l->slots || !l->free || !l->extents || !segments) {
		free(segments);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < nr; i++) {
		struct load_slot *slot = &l->slots[i];

		slot->number = i;
		slot->segments = segments + (size_t)i * l->max_segments;
		slot->first_page = i * l->pages_per_slot;
		for (uint32_t j = 0; j < l->nr_indirect; j++) {
			uint32_t page = slot->first_page + l->max_segments + j;

			slot->indirect[j].gref = l->pages.grefs[page];
			slot->indirect[j].mem = front_page(&l->pages, page);
		}
	}
	return 0;
}

static void plan_init(struct load *l, uint64_t first, uint64_t nr_sectors)
{
	const struct load_options *o = l->options;
	uint64_t align = o->align_bytes ? o->align_bytes : o->min_bytes;

	l->plan = (struct plan){
		.random_state = o->seed + l->index * 0x100000000ull,
		.first = first,
		.nr_sectors = nr_sectors,
		.min_sectors = o->min_bytes / FRONT_SECTOR_BYTES,
		.max_sectors = o->max_bytes / FRONT_SECTOR_BYTES,
		.align_sectors = align / FRONT_SECTOR_BYTES,
		.random = o->random,
		.read_percent = o->read_percent,
		.flush_every = o->flush_every,
		.barrier_every = o->barrier_every,
		.discard_every = o->discard_every,
	};
	l->first_sector = first;
	l->end_sector = first + nr_sectors;
}

int load_create(struct load *l, const struct load_options *o, struct front *f, uint32_t index,
		uint64_t first, uint64_t nr_sectors, uint32_t max_segments, struct shadow *shadow,
		const atomic_bool *stop, struct error *e)
{
	uint32_t nr_pages;
	int err;

	*l = (struct load){ .options = o,
			    .index = index,
			    .nr_queues = f->nr_queues,
			    .shadow = shadow,
			    .stop = stop };
	if (nr_sectors < o->max_bytes / FRONT_SECTOR_BYTES)
		return error_set(e, EINVAL,
				 "a request of %" PRIu64
				 " bytes does not fit into a queue's part of "
				 "the disk, which is %" PRIu64 " bytes",
				 o->max_bytes, nr_sectors * FRONT_SECTOR_BYTES);
	err = size_slots(l, max_segments, e);
	if (err)
		return err;
	plan_init(l, first, nr_sectors);
	nr_pages = slots_of(o) * l->pages_per_slot;
	err = front_pages_create(&l->pages, f->gntshr, f->device.backend_domid, nr_pages, true);
	if (err)
		return error_set(e, -err, "cannot grant %u pages: %s", nr_pages, strerror(-err));
	err = make_slots(l);
	if (err) {
		load_destroy(l);
		return error_set(e, -err, "no memory for %u requests", slots_of(o));
	}
	/* Something to write where nothing is stamped: zeros could be a special case somewhere. */
	pattern_fill(l->pages.mem, 0, (size_t)nr_pages * FRONT_PAGE_BYTES);
	return 0;
}

void load_destroy(struct load *l)
{
	if (l->slots)
		free(l->slots[0].segments);
	free(l->slots);
	free(l->free);
	free(l->extents);
	if (l->pages.mem)
		front_pages_destroy(&l->pages);
}

void load_connect(struct load *l, struct front_queue *q, bool abandon)
{
	uint32_t nr = slots_of(l->options);

	l->queue = q;
	l->abandon = abandon;
	l->holds = false;
	l->error = 0;
	/* The first is on top. */
	for (l->nr_free = 0; l->nr_free < nr; l->nr_free++) {
		l->free[l->nr_free] = nr - 1 - l->nr_free;
		l->slots[l->nr_free].busy = false;
	}
	l->depth = nr < q->ring.nr_entries ? nr : q->ring.nr_entries;
}

static uint32_t in_flight(const struct load *l)
{
	return slots_of(l->options) - l->nr_free;
}

static uint64_t share(const struct load *l, uint64_t total)
{
	return (total + l->nr_queues - 1) / l->nr_queues;
}

static bool phase_over(const struct load *l)
{
	const struct load_options *o = l->options;

	if (atomic_load_explicit(l->stop, memory_order_relaxed))
		return true;
	if (l->phase != LOAD_MAIN)
		return false;
	return (o->count && l->issued >= share(l, o->count)) ||
	       (l->deadline_ns && l->issue_ns >= l->deadline_ns);
}

/* The next request of a phase that goes through the disk in order. */
static bool next_in_order(struct load *l, struct op *op)
{
	uint64_t max = l->options->max_bytes / FRONT_SECTOR_BYTES, n;

	if (l->phase == LOAD_FILL) {
		n = l->end_sector - l->cursor;
		*op = (struct op){ OP_WRITE, l->cursor, (uint32_t)(n < max ? n : max) };
	} else {
		n = shadow_next(l->shadow, l->cursor, l->end_sector, max, &op->sector);
		op->kind = OP_READ;
		op->nr_sectors = (uint32_t)n;
	}
	l->cursor = op->sector + op->nr_sectors;
	return op->nr_sectors != 0;
}

static bool next_op(struct load *l, struct op *op)
{
	if (l->holds) {
		*op = l->held;
		l->holds = false;
		return true;
	}
	if (phase_over(l))
		return false;
	if (l->phase != LOAD_MAIN)
		return next_in_order(l, op);
	plan_next(&l->plan, op);
	l->issued++;
	return true;
}

/* Whether what the disk holds afterwards, or what is read, depends on which of two comes first. */
static bool conflicts(const struct load *l, const struct op *op)
{
	for (uint32_t i = 0; l->shadow && i < slots_of(l->options); i++) {
		if (l->slots[i].busy && op_conflict(&l->slots[i].op, op))
			return true;
	}
	return false;
}

static uint8_t operation_of(enum op_kind kind)
{
	static const uint8_t operations[OP_NR_KINDS] = {
		[OP_READ] = BLKIF_OP_READ,
		[OP_WRITE] = BLKIF_OP_WRITE,
		[OP_FLUSH] = BLKIF_OP_FLUSH_DISKCACHE,
		[OP_BARRIER] = BLKIF_OP_WRITE_BARRIER,
		[OP_DISCARD] = BLKIF_OP_DISCARD,
	};

	return operations[kind];
}

static void lay_out(struct load *l, struct load_slot *slot)
{
	uint32_t nr;

	if (l->options->layout == LAYOUT_RANDOM)
		nr = layout_random(&l->plan.random_state, slot->op.nr_sectors, l->max_segments,
				   l->extents);
	else
		nr = layout_pages(slot->op.nr_sectors, l->extents);
	for (uint32_t i = 0; i < nr; i++)
		slot->segments[i] = (struct front_segment){
			.gref = l->pages.grefs[slot->first_page + i],
			.first = l->extents[i].first,
			.last = l->extents[i].last,
		};
	slot->nr_segments = (uint16_t)nr;
}

static void put(struct load *l, struct load_slot *slot)
{
	bool data = op_has_data(&slot->op);
	bool indirect = data && l->nr_indirect &&
			(l->options->always_indirect || slot->nr_segments > FRONT_MAX_DIRECT);
	struct front_request req = {
		.operation = operation_of(slot->op.kind),
		.id = slot->id,
		.sector = slot->op.sector,
		.nr_sectors = slot->op.nr_sectors,
		.nr_segments = slot->nr_segments,
		.segments = slot->segments,
		/* A barrier is never indirect. */
		.indirect_pages = indirect && slot->op.kind != OP_BARRIER ? slot->indirect : NULL,
	};

	front_queue_put(l->queue, &req);
}

static void issue(struct load *l, const struct op *op)
{
	struct load_slot *slot = &l->slots[l->free[--l->nr_free]];

	slot->op = *op;
	slot->busy = true;
	slot->id = ++l->sequence << SLOT_BITS | slot->number;
	slot->nr_segments = 0;
	if (op_has_data(op))
		lay_out(l, slot);
	if (l->shadow)
		check_prepare(l, slot);
	/* What a request carries was being written meanwhile. */
	slot->start_ns = l->shadow ? clock_ns() : l->issue_ns;
	put(l, slot);
}

/* Whether the rate allows one more now. */
static bool in_time(struct load *l)
{
	uint64_t rate = l->options->rate;

	if (!rate || l->phase != LOAD_MAIN)
		return true;
	if (l->issue_ns < l->next_issue_ns)
		return false;
	l->next_issue_ns += NS_PER_S * l->nr_queues / rate;
	return true;
}

/* Puts what there is room for. Return: false if nothing more will come in this phase. */
static bool issue_all(struct load *l)
{
	uint32_t room = l->depth - in_flight(l);
	struct op op;

	/* A whole batch, or nothing. */
	if (room < l->options->batch && in_flight(l))
		return true;
	/*
	 * One look for all that go together: the clock costs as much as a request does. They have been on
	 * their way since the first of them was made, since the backend hears of them all at once.
	 */
	l->issue_ns = clock_ns();
	for (; room && in_time(l); room--) {
		if (!next_op(l, &op))
			return false;
		if (conflicts(l, &op)) {
			l->held = op;
			l->holds = true;
			break;
		}
		issue(l, &op);
	}
	return true;
}

static void count(struct load *l, const struct load_slot *slot, int16_t status, uint64_t now)
{
	struct load_kind_result *kind = &l->result.kinds[slot->op.kind];
	uint64_t bytes = op_has_data(&slot->op) ? slot->op.nr_sectors * FRONT_SECTOR_BYTES : 0;

	__atomic_store_n(&l->completed, l->completed + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&l->completed_bytes, l->completed_bytes + bytes, __ATOMIC_RELAXED);
	if (status != BLKIF_RSP_OKAY) {
		l->result.failed++;
		kind->errors += status != BLKIF_RSP_EOPNOTSUPP;
		kind->unsupported += status == BLKIF_RSP_EOPNOTSUPP;
		check_complain(l, "the request for %u sectors at %" PRIu64 " was answered with %d",
			       slot->op.nr_sectors, slot->op.sector, status);
		return;
	}
	if (l->phase != LOAD_MAIN)
		return;
	kind->bytes += bytes;
	histogram_add(&kind->latency, now - slot->start_ns);
}

static void complete(struct load *l, const struct front_response *rsp, uint64_t now)
{
	uint32_t number = rsp->id & ((1u << SLOT_BITS) - 1);
	struct load_slot *slot = &l->slots[number];

	if (number >= slots_of(l->options) || !slot->busy || slot->id != rsp->id) {
		l->result.protocol_errors++;
		check_complain(l, "there is a response to no request: id %#" PRIx64, rsp->id);
		return;
	}
	/* An indirect request is answered with what it does; Linux cuts a disk off otherwise. */
	if (rsp->operation != operation_of(slot->op.kind)) {
		l->result.protocol_errors++;
		check_complain(l, "operation %u was answered as %u", operation_of(slot->op.kind),
			       rsp->operation);
	}
	if (l->shadow)
		check_answer(l, slot, rsp->status == BLKIF_RSP_OKAY);
	count(l, slot, rsp->status, now);
	slot->busy = false;
	l->free[l->nr_free++] = number;
}

/* Return: how many responses there were, or -EPROTO. */
static int reap(struct load *l)
{
	struct front_response responses[RESPONSES];
	int n = front_queue_poll(l->queue, responses, RESPONSES);
	uint64_t now;

	if (n <= 0)
		return n;
	now = clock_ns();
	for (int i = 0; i < n; i++)
		complete(l, &responses[i], now);
	l->progress_ns = now;
	return n;
}

static uint32_t sleep_us(const struct load *l, uint64_t now)
{
	if (!l->options->rate || l->phase != LOAD_MAIN || in_flight(l) == l->depth)
		return LOOK_AGAIN_US;
	if (l->next_issue_ns <= now)
		return 0;
	now = (l->next_issue_ns - now) / NS_PER_US + 1;
	return now < LOOK_AGAIN_US ? (uint32_t)now : LOOK_AGAIN_US;
}

/* Nothing came: polls on for as long as it is to, or sleeps. */
static int wait(struct load *l)
{
	uint64_t now = clock_ns();
	int err;

	if (in_flight(l) && now - l->progress_ns > l->options->timeout_s * NS_PER_S) {
		l->result.lost += in_flight(l);
		check_complain(l, "%u requests are not answered within %" PRIu64 " s", in_flight(l),
			       l->options->timeout_s);
		return -ETIMEDOUT;
	}
	if (now - l->progress_ns < l->options->poll_us * NS_PER_US)
		return 0;
	err = front_queue_wait(l->queue, sleep_us(l, now));
	if (!in_flight(l))
		l->progress_ns = clock_ns();
	return err == -ETIMEDOUT || err == -EINTR ? 0 : err;
}

static void die_when_due(const struct load *l)
{
	uint64_t after = l->options->die_after;

	if (after && l->phase == LOAD_MAIN && l->completed >= share(l, after) && in_flight(l))
		raise(SIGKILL);
}

static void begin(struct load *l, enum load_phase phase)
{
	uint64_t now = clock_ns();

	l->phase = phase;
	l->cursor = l->first_sector;
	l->issued = 0;
	l->started_ns = l->next_issue_ns = l->progress_ns = now;
	l->deadline_ns = 0;
	if (l->options->seconds > 0)
		l->deadline_ns = now + (uint64_t)(l->options->seconds * (double)NS_PER_S);
}

int load_run(struct load *l, enum load_phase phase)
{
	bool more = true;
	int n = 0;

	begin(l, phase);
	while (n >= 0) {
		more = more && issue_all(l);
		n = front_queue_push(l->queue);
		if (n < 0)
			break;
		die_when_due(l);
		if (!more && (!in_flight(l) || (l->abandon && phase == LOAD_MAIN)))
			return 0;
		n = reap(l);
		if (!n)
			n = wait(l);
	}
	if (n == -EPROTO) {
		l->result.protocol_errors++;
		check_complain(l, "the backend claims more responses than there were requests");
	}
	return l->error = n;
}

bool load_wrong(const struct load_result *r)
{
	uint64_t wrong = r->failed + r->protocol_errors + r->lost + r->touched;

	for (int i = 0; i < STAMP_NR_VERDICTS; i++)
		wrong += r->wrong[i];
	return wrong;
}
