/* SPDX-License-Identifier: BSD-2-Clause */
/* What queues take off their rings while memory is short, and who goes first then. */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xen/io/blkif.h>

#include "tap.h"

#define NR_PAGES  300u
#define NR_TABLES 4u
#define NR_QUEUES 3u /* two guests: the first has the last one too */
#define NR_OPS	  1024u

struct rig {
	struct reactor reactor;
	struct pipeline pl;
	struct dmem dmem;
	struct bdev bdev;
	void *pages[NR_PAGES];
	struct queue *q[NR_QUEUES];
	struct blkif_sring *ring[NR_QUEUES];
	bool flush_failed;
	struct throttle throttle;
	char dir[32];
};

static bool rig_open_queue(struct rig *rig, uint32_t i, const char *name)
{
	struct queue_args args = {
		.pipeline = &rig->pl,
		.control = &rig->reactor,
		.domid = 1 + i % 2,
		.limits = { .size_bytes = 1ull << 30, .flush = true, .max_indirect_segments = 256 },
		.bdev = &rig->bdev,
		.direct_from_bytes = UINT32_MAX,
		.state_dir = rig->dir,
		.name = name,
		.disk = "test",
		.flush_failed = &rig->flush_failed,
		.throttle = &rig->throttle,
		.number = i,
	};

	rig->ring[i] = calloc(1, 4096);
	return rig->ring[i] && !ring_attach(&args.ring, abi_native, rig->ring[i], 1) &&
	       !queue_create(&args, &rig->q[i]);
}

static bool rig_open(struct rig *rig)
{
	struct pipeline *pl = &rig->pl;

	*rig = (struct rig){ .dir = "/tmp/xenblkd-test-XXXXXX" };
	pl->reactor = &rig->reactor;
	list_init(&pl->fetching);
	list_init(&pl->incoming);
	pl->pool =
		(struct dmem_pool){ .dmem = &rig->dmem, .pages = rig->pages, .nr_free = NR_PAGES };
	pl->batch = (struct grant_batch){ .dmem = &rig->dmem,
					  .max = NR_OPS,
					  .copies = calloc(NR_OPS, sizeof(struct gnttab_copy)) };
	return pl->batch.copies && !reactor_init(&rig->reactor, 0) && mkdtemp(rig->dir) &&
	       !table_pool_create(&pl->tables, rig->dir, "tables", NR_TABLES) &&
	       rig_open_queue(rig, 0, "queue-0") && rig_open_queue(rig, 1, "queue-1") &&
	       rig_open_queue(rig, 2, "queue-2");
}

static void rig_close(struct rig *rig)
{
	for (uint32_t i = 0; i < NR_QUEUES; i++) {
		queue_destroy(rig->q[i]);
		free(rig->ring[i]);
	}
	table_pool_destroy(&rig->pl.tables);
	reactor_fini(&rig->reactor);
	free(rig->pl.batch.copies);
	rmdir(rig->dir);
}

/* The guest asks queue @i for @nr segments, which is an indirect request if they are many. */
static void ask(struct rig *rig, uint32_t i, uint8_t operation, uint16_t nr)
{
	struct blkif_sring *s = rig->ring[i];
	union blkif_sring_entry *e = &s->ring[s->req_prod++ % 32];

	memset(e, 0, sizeof(*e));
	e->req.operation = operation;
	e->req.nr_segments = (uint8_t)nr;
	if (nr > BLKIF_MAX_SEGMENTS_PER_REQUEST) {
		struct blkif_request_indirect indirect = { .operation = BLKIF_OP_INDIRECT,
							   .indirect_op = operation,
							   .nr_segments = nr };

		memcpy(e, &indirect, sizeof(indirect));
	}
}

static void takes_what_there_is_memory_for(void)
{
	struct rig rig;

	check(rig_open(&rig));
	rig.pl.pool.nr_free = 20;
	ask(&rig, 0, BLKIF_OP_READ, 11);
	ask(&rig, 0, BLKIF_OP_READ, 11);
	check_eq(queue_take(rig.q[0]), 1);
	check(rig.q[0]->starved);
	check_eq(rig.pl.pool.nr_free, 9);
	/* It has had its turn. */
	check(!rig.pl.hungry);
	rig_close(&rig);
}

static void a_guest_has_no_more_than_is_left_for_others(void)
{
	struct rig rig;

	check(rig_open(&rig));
	rig.pl.pool.nr_free = 120;
	for (int i = 0; i < 10; i++) {
		ask(&rig, 0, BLKIF_OP_READ, 10);
		ask(&rig, 1, BLKIF_OP_READ, 10);
	}
	check_eq(queue_take(rig.q[0]), 6);
	check(rig.q[0]->starved);
	check_eq(queue_take(rig.q[1]), 3);
	check_eq(rig.pl.pool.nr_free, 30);
	rig_close(&rig);
}

static void two_queues_of_a_guest_have_one_share(void)
{
	struct rig rig;

	check(rig_open(&rig));
	rig.pl.pool.nr_free = 120;
	for (int i = 0; i < 10; i++) {
		ask(&rig, 0, BLKIF_OP_READ, 10);
		ask(&rig, 2, BLKIF_OP_READ, 10);
	}
	check_eq(queue_take(rig.q[0]), 6);
	check_eq(queue_take(rig.q[2]), 0);
	check(rig.q[2]->starved);
	rig_close(&rig);
}

/* It waits for what its own guest has, which may not come back for long. */
static void nobody_waits_for_a_share_that_is_not_theirs(void)
{
	struct rig rig;

	check(rig_open(&rig));
	rig.pl.pool.nr_free = 40;
	for (int i = 0; i < 3; i++)
		ask(&rig, 0, BLKIF_OP_READ, 10);
	check_eq(queue_take(rig.q[0]), 2);
	check_eq(queue_take(rig.q[0]), 0);
	check(rig.q[0]->starved && !rig.pl.hungry);
	ask(&rig, 1, BLKIF_OP_READ, 10);
	check_eq(queue_take(rig.q[1]), 1);
	rig_close(&rig);
}

static void what_is_given_back_is_no_longer_of_the_share(void)
{
	struct rig rig;
	struct io *io;

	check(rig_open(&rig));
	rig.pl.pool.nr_free = 40;
	for (int i = 0; i < 3; i++)
		ask(&rig, 0, BLKIF_OP_READ, 10);
	check_eq(queue_take(rig.q[0]), 2);
	check_eq(rig.q[0]->share->pages, 20);
	io = list_entry(list_pop(&rig.q[0]->pending), struct io, link);
	list_del(&io->bio.link);
	io->xfer->bring_out(&rig.pl, io);
	io->status = -EIO;
	io->xfer->brought_out(&rig.pl, io);
	queue_answer(rig.q[0], io);
	check_eq(rig.q[0]->share->pages, 10);
	check_eq(queue_take(rig.q[0]), 1);
	rig_close(&rig);
}

static void an_indirect_request_takes_a_page_and_is_promised_the_others(void)
{
	struct rig rig;

	check(rig_open(&rig));
	ask(&rig, 0, BLKIF_OP_READ, 256);
	for (int i = 0; i < 5; i++)
		ask(&rig, 1, BLKIF_OP_READ, 11);
	check_eq(queue_take(rig.q[0]), 1);
	check_eq(rig.pl.pool.nr_free, NR_PAGES - 1);
	check_eq(rig.pl.promised, 256);
	/* Of 43 that are not, it has 11 and leaves 32: with 22 it would leave 21. */
	check_eq(queue_take(rig.q[1]), 1);
	check(rig.q[1]->starved);
	rig_close(&rig);
}

static void small_requests_do_not_pass_a_hungry_queue(void)
{
	struct rig rig;

	check(rig_open(&rig));
	rig.pl.pool.nr_free = 256;
	ask(&rig, 0, BLKIF_OP_WRITE, 256);
	ask(&rig, 1, BLKIF_OP_READ, 1);
	check_eq(queue_take(rig.q[0]), 0);
	check(rig.pl.hungry == rig.q[0]);
	check_eq(queue_take(rig.q[1]), 0);
	/* It has to be visited again without the guest's doing. */
	check(rig.q[1]->starved);
	rig.pl.pool.nr_free++;
	check_eq(queue_take(rig.q[1]), 0);
	check_eq(queue_take(rig.q[0]), 1);
	check(!rig.pl.hungry);
	rig.pl.pool.nr_free++;
	check_eq(queue_take(rig.q[1]), 1);
	check(!rig.q[1]->starved);
	rig_close(&rig);
}

static void a_request_without_a_table_waits(void)
{
	struct rig rig;

	check(rig_open(&rig));
	for (uint32_t i = 0; i < NR_TABLES; i++) {
		ask(&rig, 0, BLKIF_OP_READ, 12);
		ask(&rig, 1, BLKIF_OP_READ, 12);
	}
	/* Half of them, and then half of the others. */
	check_eq(queue_take(rig.q[0]), 2);
	check_eq(queue_take(rig.q[1]), 1);
	check(rig.q[0]->starved);
	rig.pl.tables.nr_free = 0;
	list_pop(&rig.pl.tables.free);
	check_eq(queue_take(rig.q[0]), 0);
	check(rig.pl.hungry == rig.q[0]);
	rig_close(&rig);
}

static void a_hungry_queue_that_stops_is_hungry_no_more(void)
{
	struct rig rig;

	check(rig_open(&rig));
	rig.pl.pool.nr_free = 100;
	ask(&rig, 0, BLKIF_OP_READ, 256);
	ask(&rig, 1, BLKIF_OP_READ, 11);
	check_eq(queue_take(rig.q[0]), 0);
	rig.q[0]->stopping = true;
	check_eq(queue_take(rig.q[0]), 0);
	check_eq(queue_take(rig.q[1]), 1);
	rig_close(&rig);
}

static void a_hungry_queue_that_breaks_is_hungry_no_more(void)
{
	struct rig rig;

	check(rig_open(&rig));
	rig.pl.pool.nr_free = 100;
	ask(&rig, 0, BLKIF_OP_READ, 256);
	ask(&rig, 1, BLKIF_OP_READ, 11);
	check_eq(queue_take(rig.q[0]), 0);
	rig.ring[0]->req_prod += 100;
	check_eq(queue_take(rig.q[0]), 0);
	check(rig.q[0]->broken);
	check_eq(queue_take(rig.q[1]), 1);
	check(!rig.q[1]->broken);
	rig_close(&rig);
}

static void requests_stay_in_the_order_of_the_ring(void)
{
	static const uint16_t numbers[] = { 1, 20, 2, 30, 3 };
	uint32_t i = 0;
	struct rig rig;
	struct io *io;

	check(rig_open(&rig));
	rig.pl.pool.nr_free = 150;
	for (size_t j = 0; j < sizeof(numbers) / sizeof(numbers[0]); j++)
		ask(&rig, 0, BLKIF_OP_WRITE, numbers[j]);
	check_eq(queue_take(rig.q[0]), 5);
	list_for_each (io, &rig.q[0]->pending, link)
		check_eq(io->record->request.nr_segments, numbers[i++]);
	check_eq(i, 5);
	rig_close(&rig);
}

static void a_flush_that_failed_on_one_queue_ends_writes_on_the_other(void)
{
	struct rig rig;

	check(rig_open(&rig));
	ask(&rig, 0, BLKIF_OP_FLUSH_DISKCACHE, 0);
	check_eq(queue_take(rig.q[0]), 1);
	rig.q[0]->ios[0].status = -EIO;
	list_del(&rig.q[0]->ios[0].link);
	queue_answer(rig.q[0], &rig.q[0]->ios[0]);
	ask(&rig, 1, BLKIF_OP_WRITE, 1);
	ask(&rig, 1, BLKIF_OP_WRITE, 200);
	ask(&rig, 1, BLKIF_OP_READ, 200);
	check_eq(queue_take(rig.q[1]), 3);
	check_eq(rig.q[1]->stats.refused, 2);
	/* The two are to be answered, and that is not done before all of the turn are taken. */
	check_eq(rig.q[1]->in_flight, 3);
	check(!list_empty(&rig.q[1]->settled));
	rig_close(&rig);
}

/* One read and one write a millisecond, of queues that may save up two. */
/* More than fit in a ring of the rig: @nr of a turn are other queues' of the guest. */
static void has_had(struct rig *rig, uint32_t i, uint32_t nr)
{
	rig->q[i]->share->turn = rig->pl.turn;
	rig->q[i]->share->taken = nr;
}

static void a_guest_has_so_many_requests_of_a_turn_and_no_more(void)
{
	struct rig rig;

	check(rig_open(&rig));
	for (int i = 0; i < 20; i++) {
		/* Nonsense, which takes no memory, but time. */
		ask(&rig, 0, 200, 1);
		ask(&rig, 1, BLKIF_OP_READ, 1);
		ask(&rig, 2, BLKIF_OP_READ, 1);
	}
	has_had(&rig, 0, SHARE_TURN_REQUESTS - 30);
	check_eq(queue_take(rig.q[0]), 20);
	check_eq(queue_take(rig.q[1]), 20);
	check_eq(queue_take(rig.q[2]), 10);
	/* It is not short of memory, and has more for the next turn. */
	check(!rig.q[2]->starved);
	check(queue_has_more(rig.q[2]));
	check_eq(queue_take(rig.q[2]), 0);
	rig.pl.turn++;
	check_eq(queue_take(rig.q[2]), 10);
	rig_close(&rig);
}

static void a_queue_for_which_a_turn_had_nothing_goes_first_in_the_next(void)
{
	struct rig rig;

	check(rig_open(&rig));
	for (int i = 0; i < 30; i++) {
		ask(&rig, 0, BLKIF_OP_READ, 1);
		ask(&rig, 2, BLKIF_OP_READ, 1);
	}
	has_had(&rig, 0, SHARE_TURN_REQUESTS - 10);
	check_eq(queue_take(rig.q[0]), 10);
	check_eq(queue_take(rig.q[2]), 0);
	rig.pl.turn++;
	check_eq(queue_take(rig.q[0]), 0);
	check_eq(queue_take(rig.q[2]), 30);
	check_eq(queue_take(rig.q[0]), 20);
	/* Should it not come, nobody waits for it in the turn after that. */
	has_had(&rig, 0, SHARE_TURN_REQUESTS);
	ask(&rig, 2, BLKIF_OP_READ, 1);
	check_eq(queue_take(rig.q[2]), 0);
	rig.pl.turn += 2;
	ask(&rig, 0, BLKIF_OP_READ, 1);
	check_eq(queue_take(rig.q[0]), 1);
	rig_close(&rig);
}

static void a_guest_that_is_alone_has_all_of_a_turn(void)
{
	struct rig rig;

	check(rig_open(&rig));
	queue_destroy(rig.q[1]);
	for (int i = 0; i < 20; i++)
		ask(&rig, 0, BLKIF_OP_READ, 1);
	has_had(&rig, 0, SHARE_TURN_REQUESTS);
	check_eq(queue_take(rig.q[0]), 20);
	free(rig.ring[1]);
	check(rig_open_queue(&rig, 1, "queue-1"));
	for (int i = 0; i < 20; i++)
		ask(&rig, 0, BLKIF_OP_READ, 1);
	check_eq(queue_take(rig.q[0]), 0);
	rig_close(&rig);
}

static void limit(struct rig *rig)
{
	struct throttle_limits l = { .iops = { 1000, 1000 }, .burst_ms = 2 };

	rig->reactor.now_ns = NS_PER_S;
	throttle_set(&rig->throttle, &l, NS_PER_S);
}

static void what_is_beyond_a_limit_is_parked_and_keeps_nothing_else_waiting(void)
{
	struct rig rig;

	check(rig_open(&rig));
	limit(&rig);
	for (int i = 0; i < 3; i++)
		ask(&rig, 0, BLKIF_OP_READ, 1);
	ask(&rig, 0, BLKIF_OP_WRITE, 1);
	check_eq(queue_take(rig.q[0]), 4);
	check_eq(rig.q[0]->nr_parked, 2);
	check_eq(rig.q[0]->in_flight, 4);
	check_eq(rig.q[0]->stats.limited, 2);
	check(rig.q[0]->due_ns > NS_PER_S && rig.q[0]->due_ns <= NS_PER_S + 2000000);
	check_eq(queue_take(rig.q[0]), 0);
	rig.reactor.now_ns = rig.q[0]->due_ns;
	check_eq(queue_take(rig.q[0]), 1);
	rig.reactor.now_ns = rig.q[0]->due_ns;
	check_eq(queue_take(rig.q[0]), 1);
	check_eq(rig.q[0]->nr_parked, 0);
	check_eq(rig.q[0]->due_ns, UINT64_MAX);
	rig_close(&rig);
}

static void a_barrier_stays_behind_what_is_parked(void)
{
	struct rig rig;

	check(rig_open(&rig));
	limit(&rig);
	ask(&rig, 0, BLKIF_OP_READ, 1);
	ask(&rig, 0, BLKIF_OP_READ, 2);
	ask(&rig, 0, BLKIF_OP_WRITE_BARRIER, 3);
	ask(&rig, 0, BLKIF_OP_READ, 4);
	check_eq(queue_take(rig.q[0]), 2);
	check(rig.q[0]->held && rig.q[0]->nr_parked == 1);
	check(!rig.pl.hungry);
	rig.reactor.now_ns += NS_PER_S;
	check_eq(queue_take(rig.q[0]), 3);
	check(!rig.q[0]->held);
	/* The read behind it is not before it either. */
	check_eq(list_entry(rig.q[0]->pending.head.prev, struct io, link)
			 ->record->request.nr_segments,
		 4);
	rig_close(&rig);
}

static void what_is_parked_goes_when_the_queue_stops(void)
{
	struct rig rig;

	check(rig_open(&rig));
	limit(&rig);
	for (int i = 0; i < 5; i++)
		ask(&rig, 0, BLKIF_OP_WRITE, 1);
	check_eq(queue_take(rig.q[0]), 5);
	check_eq(rig.q[0]->nr_parked, 4);
	rig.q[0]->stopping = true;
	ask(&rig, 0, BLKIF_OP_WRITE, 1);
	check_eq(queue_take(rig.q[0]), 4);
	check_eq(rig.q[0]->nr_parked, 0);
	check_eq(rig.q[0]->in_flight, 5);
	rig_close(&rig);
}

static void a_paused_queue_leaves_requests_on_the_ring(void)
{
	struct rig rig;

	check(rig_open(&rig));
	rig.q[0]->paused = true;
	ask(&rig, 0, BLKIF_OP_WRITE, 1);
	check_eq(queue_take(rig.q[0]), 0);
	check(!rig.pl.hungry && !rig.q[0]->starved);
	check(queue_arm(rig.q[0]));
	rig.q[0]->paused = false;
	check(!queue_arm(rig.q[0]));
	check_eq(queue_take(rig.q[0]), 1);
	rig_close(&rig);
}

static void a_parked_write_is_refused_when_a_flush_has_failed(void)
{
	struct rig rig;

	check(rig_open(&rig));
	limit(&rig);
	ask(&rig, 0, BLKIF_OP_WRITE, 1);
	ask(&rig, 0, BLKIF_OP_WRITE, 2);
	check_eq(queue_take(rig.q[0]), 2);
	check_eq(rig.q[0]->nr_parked, 1);
	rig.flush_failed = true;
	rig.reactor.now_ns += NS_PER_S;
	check_eq(queue_take(rig.q[0]), 1);
	check(!list_empty(&rig.q[0]->settled));
	check_eq(list_entry(rig.q[0]->settled.head.next, struct io, link)->record->answer,
		 BLKIF_RSP_ERROR);
	rig_close(&rig);
}

int main(void)
{
	tap_run(takes_what_there_is_memory_for);
	tap_run(a_guest_has_no_more_than_is_left_for_others);
	tap_run(two_queues_of_a_guest_have_one_share);
	tap_run(nobody_waits_for_a_share_that_is_not_theirs);
	tap_run(what_is_given_back_is_no_longer_of_the_share);
	tap_run(an_indirect_request_takes_a_page_and_is_promised_the_others);
	tap_run(small_requests_do_not_pass_a_hungry_queue);
	tap_run(a_request_without_a_table_waits);
	tap_run(a_hungry_queue_that_stops_is_hungry_no_more);
	tap_run(a_hungry_queue_that_breaks_is_hungry_no_more);
	tap_run(requests_stay_in_the_order_of_the_ring);
	tap_run(a_guest_has_so_many_requests_of_a_turn_and_no_more);
	tap_run(a_queue_for_which_a_turn_had_nothing_goes_first_in_the_next);
	tap_run(a_guest_that_is_alone_has_all_of_a_turn);
	tap_run(a_flush_that_failed_on_one_queue_ends_writes_on_the_other);
	tap_run(what_is_beyond_a_limit_is_parked_and_keeps_nothing_else_waiting);
	tap_run(a_barrier_stays_behind_what_is_parked);
	tap_run(what_is_parked_goes_when_the_queue_stops);
	tap_run(a_paused_queue_leaves_requests_on_the_ring);
	tap_run(a_parked_write_is_refused_when_a_flush_has_failed);
	return tap_end();
}
