/* SPDX-License-Identifier: BSD-2-Clause */
/* In which order a queue hands its requests to the bdev; and what is answered when one fails. */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xen/io/blkif.h>

#include "log.h"
#include "tap.h"

/* A bdev that notes what it is given, and ends it when it is told to. */
struct script {
	struct bdev bdev;
	struct bdev_channel ch;
	struct bdev_io *held[8];
	uint32_t nr_held;
	struct bdev_io *ending;
	int status;
};

static int script_submit(struct bdev_channel *ch, struct bdev_io *io)
{
	struct script *s = container_of(ch, struct script, ch);

	s->held[s->nr_held++] = io;
	return 0;
}

static uint32_t script_poll(struct bdev_channel *ch)
{
	struct script *s = container_of(ch, struct script, ch);
	struct bdev_io *io = s->ending;

	if (!io)
		return 0;
	s->ending = NULL;
	io->done(io, s->status);
	return 1;
}

static const struct bdev_ops script_ops = { .submit = script_submit, .poll = script_poll };

struct rig {
	bool flush_failed;
	struct throttle throttle;
	struct script script;
	struct reactor reactor;
	struct pipeline pl;
	struct queue *q;
	void *ring_page;
	char dir[32];
};

static bool rig_open(struct rig *rig)
{
	struct queue_args args = { .pipeline = &rig->pl, .disk = "test", .name = "queue" };

	*rig = (struct rig){ .dir = "/tmp/xenblkd-test-XXXXXX" };
	rig->script.bdev.ops = &script_ops;
	rig->script.ch.bdev = &rig->script.bdev;
	rig->pl.reactor = &rig->reactor;
	list_init(&rig->pl.incoming);
	list_init(&rig->pl.outgoing);
	rig->ring_page = calloc(1, 4096);
	args.bdev = &rig->script.bdev;
	args.state_dir = rig->dir;
	args.flush_failed = &rig->flush_failed;
	args.throttle = &rig->throttle;
	if (!rig->ring_page || !mkdtemp(rig->dir) ||
	    ring_attach(&args.ring, &abi_x86_64, rig->ring_page, 1) || queue_create(&args, &rig->q))
		return false;
	rig->q->channel = &rig->script.ch;
	return true;
}

static void rig_close(struct rig *rig)
{
	queue_destroy(rig->q);
	rmdir(rig->dir);
	free(rig->ring_page);
}

/* A request as it comes out of bring in. */
static struct io *add(struct rig *rig, enum request_op op, uint16_t nr_segments)
{
	struct io *io = list_entry(list_pop(&rig->q->free), struct io, link);

	io->record->request = (struct request){
		.op = op,
		.nr_segments = nr_segments,
		.offset_bytes = 4096,
		.len_bytes = nr_segments * 4096u,
	};
	io->flushed = false;
	io->status = 0;
	rig->q->in_flight++;
	ring_consume(&rig->q->ring);
	list_add_tail(&rig->q->pending, &io->link);
	return io;
}

static void turn(struct rig *rig)
{
	queue_submit_and_reap(rig->q);
}

/* The bdev ends what it was given as number @i; then another turn. */
static void end(struct rig *rig, uint32_t i, int status)
{
	rig->script.ending = rig->script.held[i];
	rig->script.status = status;
	turn(rig);
	turn(rig);
}

static bool given(const struct rig *rig, uint32_t i, const struct io *io, enum bdev_op op)
{
	return i < rig->script.nr_held && rig->script.held[i] == &io->bio && io->bio.op == op;
}

static void polls_for_as_long_as_is_said(void)
{
	struct rig rig;

	check(rig_open(&rig));
	rig.reactor.poll_ns = 1000;
	rig.q->last_work_ns = 5000;
	queue_set_poll(rig.q, QUEUE_POLL_REACTORS);
	rig.reactor.now_ns = 5999;
	check(queue_polls(rig.q));
	rig.reactor.now_ns = 6000;
	check(!queue_polls(rig.q));
	queue_set_poll(rig.q, 2000);
	check(queue_polls(rig.q));
	queue_set_poll(rig.q, 0);
	rig.reactor.now_ns = 5000;
	check(!queue_polls(rig.q));
	rig_close(&rig);
}

static void polls_longer_while_the_device_has_requests(void)
{
	struct rig rig;
	struct io *io;

	check(rig_open(&rig));
	queue_set_poll(rig.q, 1000);
	io = add(&rig, REQUEST_WRITE, 1);
	turn(&rig);
	check(given(&rig, 0, io, BDEV_WRITE));
	rig.q->last_work_ns = 5000;
	rig.reactor.now_ns = 5000 + QUEUE_PATIENCE * 1000 - 1;
	check(queue_polls(rig.q));
	rig.reactor.now_ns++;
	check(!queue_polls(rig.q));
	rig.reactor.now_ns = 5999;
	end(&rig, 0, 0);
	check(queue_polls(rig.q));
	rig.reactor.now_ns = 6000;
	check(!queue_polls(rig.q));
	rig_close(&rig);
}

static void writes_run_side_by_side(void)
{
	struct rig rig;

	check(rig_open(&rig));
	add(&rig, REQUEST_WRITE, 1);
	add(&rig, REQUEST_DISCARD, 0);
	add(&rig, REQUEST_FLUSH, 0);
	add(&rig, REQUEST_READ, 1);
	turn(&rig);
	check_eq(rig.script.nr_held, 4);
	rig_close(&rig);
}

static void a_barrier_keeps_its_two_sides_apart(void)
{
	struct io *before, *barrier, *after, *also_after;
	struct rig rig;

	check(rig_open(&rig));
	before = add(&rig, REQUEST_WRITE, 1);
	barrier = add(&rig, REQUEST_BARRIER, 2);
	after = add(&rig, REQUEST_WRITE, 1);
	also_after = add(&rig, REQUEST_DISCARD, 0);
	turn(&rig);
	turn(&rig);
	check_eq(rig.script.nr_held, 1);
	check(given(&rig, 0, before, BDEV_WRITE));
	end(&rig, 0, 0);
	check_eq(rig.script.nr_held, 2);
	check(given(&rig, 1, barrier, BDEV_FLUSH));
	check_eq(barrier->bio.len_bytes, 0);
	end(&rig, 1, 0);
	check_eq(rig.script.nr_held, 3);
	check(given(&rig, 2, barrier, BDEV_WRITE));
	check(barrier->bio.fua);
	check_eq(barrier->bio.offset_bytes, 4096);
	check_eq(barrier->bio.len_bytes, 8192);
	check_eq(barrier->bio.nr_iov, 2);
	end(&rig, 2, 0);
	check_eq(rig.script.nr_held, 5);
	check(given(&rig, 3, after, BDEV_WRITE));
	check(!after->bio.fua);
	check(given(&rig, 4, also_after, BDEV_DISCARD));
	rig_close(&rig);
}

static void a_barrier_waits_for_the_last_before_it(void)
{
	struct io *barrier;
	struct rig rig;

	check(rig_open(&rig));
	add(&rig, REQUEST_WRITE, 1);
	add(&rig, REQUEST_DISCARD, 0);
	add(&rig, REQUEST_WRITE, 1);
	barrier = add(&rig, REQUEST_BARRIER, 0);
	turn(&rig);
	end(&rig, 2, 0);
	end(&rig, 0, -EIO);
	check_eq(rig.script.nr_held, 3);
	end(&rig, 1, 0);
	check_eq(rig.script.nr_held, 4);
	check(given(&rig, 3, barrier, BDEV_FLUSH));
	end(&rig, 3, 0);
	check_eq(barrier->status, 0);
	check_eq(rig.script.nr_held, 4);
	rig_close(&rig);
}

static void barriers_run_one_after_the_other(void)
{
	struct rig rig;

	check(rig_open(&rig));
	add(&rig, REQUEST_BARRIER, 0);
	add(&rig, REQUEST_BARRIER, 0);
	add(&rig, REQUEST_READ, 1);
	turn(&rig);
	check_eq(rig.script.nr_held, 1);
	end(&rig, 0, 0);
	check_eq(rig.script.nr_held, 2);
	end(&rig, 1, 0);
	check_eq(rig.script.nr_held, 3);
	rig_close(&rig);
}

static void a_flush_with_data_writes_behind_the_flush(void)
{
	struct io *flush;
	struct rig rig;

	check(rig_open(&rig));
	flush = add(&rig, REQUEST_FLUSH, 1);
	add(&rig, REQUEST_WRITE, 1);
	turn(&rig);
	check_eq(rig.script.nr_held, 2);
	check(given(&rig, 0, flush, BDEV_FLUSH));
	end(&rig, 0, 0);
	check_eq(rig.script.nr_held, 3);
	check(given(&rig, 2, flush, BDEV_WRITE));
	check(flush->bio.fua);
	end(&rig, 2, 0);
	check(!list_empty(&rig.pl.outgoing));
	check_eq(flush->status, 0);
	rig_close(&rig);
}

/* The status of the response to the one request that was answered. */
static int16_t answer(struct rig *rig, struct io *io)
{
	int16_t status;

	list_del(&io->link);
	queue_answer(rig->q, io);
	memcpy(&status,
	       (uint8_t *)rig->ring_page + 64 +
		       (rig->q->ring.rsp_prod - 1) % 32 * (size_t)abi_x86_64.entry_bytes +
		       offsetof(struct abi_response, status),
	       sizeof(status));
	return status;
}

/* BLKIF_RSP_ERROR and EOPNOTSUPP Linux would take for success. */
static void a_barrier_that_fails_is_said_to(struct io *(*fail)(struct rig *rig))
{
	struct rig rig;
	struct io *io, *behind;

	check(rig_open(&rig));
	io = fail(&rig);
	check(io->status);
	check_eq(answer(&rig, io), -5);
	check(rig.flush_failed);
	check(!rig.q->barrier);
	behind = add(&rig, REQUEST_READ, 1);
	turn(&rig);
	check(given(&rig, rig.script.nr_held - 1, behind, BDEV_READ));
	rig_close(&rig);
}

static struct io *fail_in_flush(struct rig *rig)
{
	struct io *io = add(rig, REQUEST_BARRIER, 1);

	turn(rig);
	end(rig, 0, -EOPNOTSUPP);
	return io;
}

static struct io *fail_in_write(struct rig *rig)
{
	struct io *io = add(rig, REQUEST_BARRIER, 1);

	turn(rig);
	end(rig, 0, 0);
	end(rig, 1, -EIO);
	return io;
}

static void a_failed_flush_in_a_barrier_fails_it(void)
{
	a_barrier_that_fails_is_said_to(fail_in_flush);
}

static void a_failed_write_in_a_barrier_fails_it(void)
{
	a_barrier_that_fails_is_said_to(fail_in_write);
}

static void a_discard_that_cannot_be_is_not_supported(void)
{
	struct rig rig;
	struct io *io;

	check(rig_open(&rig));
	io = add(&rig, REQUEST_DISCARD, 0);
	turn(&rig);
	end(&rig, 0, -EOPNOTSUPP);
	check_eq(answer(&rig, io), BLKIF_RSP_EOPNOTSUPP);
	check(!rig.flush_failed);
	io = add(&rig, REQUEST_DISCARD, 0);
	turn(&rig);
	end(&rig, 1, -EIO);
	check_eq(answer(&rig, io), BLKIF_RSP_ERROR);
	rig_close(&rig);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	tap_run(writes_run_side_by_side);
	tap_run(a_barrier_keeps_its_two_sides_apart);
	tap_run(a_barrier_waits_for_the_last_before_it);
	tap_run(barriers_run_one_after_the_other);
	tap_run(a_flush_with_data_writes_behind_the_flush);
	tap_run(a_failed_flush_in_a_barrier_fails_it);
	tap_run(a_failed_write_in_a_barrier_fails_it);
	tap_run(a_discard_that_cannot_be_is_not_supported);
	tap_run(polls_for_as_long_as_is_said);
	tap_run(polls_longer_while_the_device_has_requests);
	return tap_end();
}
