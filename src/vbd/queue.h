/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue - one ring on one reactor: its io pool, its channel to the bdev, its event channel.
 *
 * A disk has one or several. The control thread makes it, binds and starts it, asks it to stop, and frees it when it has said that it is
 * drained; in between it belongs to the reactor, or to one after the other. The stages of the pipeline that concern a single
 * queue are here; those that batch over all queues are in pipeline.c.
 */
#ifndef XENBLKD_QUEUE_H
#define XENBLKD_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "bdev.h"
#include "io.h"
#include "persistent.h"
#include "pipeline.h"
#include "reactor.h"
#include "record.h"
#include "request.h"
#include "ring.h"
#include "stats.h"
#include "throttle.h"
#include "trace.h"
#include "xfer.h"

/* One a slot of the largest ring. */
#define QUEUE_MAX_IOS 512u

/* What the control thread hears from a queue; each at most once, on the control thread. */
struct queue_events {
	/* The guest broke the protocol; the queue takes no more. queue_stop() is to follow. */
	void (*broken)(void *arg);
	/* Stopped: nothing in flight, port unbound, channel gone. queue_destroy() may follow. */
	void (*drained)(void *arg);
	/* The same, but for that: queue_rejoin() is to follow, or queue_stop(). */
	void (*parted)(void *arg);
	void *arg;
};

/* What a predecessor that was killed had in flight on the same ring. */
struct queue_inherited {
	const struct queue_record *record;
	uint32_t nr;
	const struct io_record **ios; /* in the order of the ring; in @record */
};

/**
 * queue_record_in_flight - the requests that were in flight when the process ended that wrote it
 *
 * @out: room for @nr_ios; filled in the order of the ring
 *
 * Return: how many.
 */
uint32_t queue_record_in_flight(const struct queue_record *q, uint32_t nr_ios,
				const struct io_record **out);

/* As long as its reactor. */
#define QUEUE_POLL_REACTORS UINT64_MAX

/* So many times as long it polls without work while its bdev has requests: to sleep takes system calls. */
#define QUEUE_PATIENCE 4u

struct queue_args {
	struct pipeline *pipeline;
	struct reactor *control; /* where the events go */
	struct queue_events events;
	struct ring ring; /* attached; its pages outlive the queue */
	uint32_t domid;
	uint32_t remote_port; /* the guest's */
	struct request_limits limits;
	struct bdev *bdev; /* outlives the queue */
	uint32_t direct_from_bytes; /* this long or longer: direct; TRANSFER_COPY_ALL: none is */
	bool persistent; /* the guest's pages stay mapped; then none goes direct */
	uint64_t poll_ns; /* how long it polls without work; QUEUE_POLL_REACTORS */
	const char *state_dir;
	const char *name; /* of the record in it */
	const char *disk; /* for messages; outlives the queue */
	struct queue_identity identity; /* of the ring */
	const struct queue_inherited *inherited; /* or NULL; the ring stands where it says */
	bool *flush_failed; /* the disk's, shared by all its queues; outlives the queue */
	struct throttle *throttle; /* likewise */
	uint32_t number; /* of the disk's queues */
	bool paused;
};

struct queue {
	struct pipeline *pipeline;
	struct list_node link; /* in pipeline->active while there is work */
	struct ring ring;
	struct request_limits limits;
	uint32_t direct_from_bytes; /* the control thread may change it */
	uint64_t poll_ns; /* a counter: likewise */
	struct persistent *persistent; /* NULL: its pages do not stay mapped */
	const char *disk;
	uint32_t domid;
	uint32_t remote_port, port;

	struct bdev *bdev;
	struct bdev_channel *channel;
	struct reactor_fd channel_fd; /* fd is -1 if the bdev has none: it must be polled */

	struct io *ios; /* ring.nr_entries of them */
	struct record record;
	struct queue_record *in_record;
	struct share *share; /* its guest's, of the pipeline */
	struct list free; /* ios */
	struct list again; /* ios that a predecessor had in flight, and that have not begun here */
	struct list pending; /* ios that the bdev has not got yet, in the order of the ring */
	struct list settled; /* ios that are only to be answered */
	struct list parked[THROTTLE_NR_WAYS]; /* ios that were taken and wait for a limit */
	uint32_t nr_parked;
	uint32_t in_flight; /* ios that are not free */
	uint32_t nr_at_bdev; /* ios that the bdev has */
	struct io *barrier; /* the one that runs: nothing else does; or NULL */
	uint32_t responses; /* written, not yet pushed */
	uint64_t last_work_ns;

	bool *flush_failed; /* see queue_answer(); other reactors may set it too */
	struct throttle *throttle;
	uint32_t number;
	uint64_t
		due_ns; /* when something may go that waits for a limit; UINT64_MAX: nothing does */
	bool held; /* what is first on the ring is a barrier that waits for a limit, or parked ios */
	bool paused; /* nothing is taken off the ring */

	bool starved; /* there are requests, but no room for them until others are done */
	bool short_of_room; /* and that is not because its guest has its share already */
	bool broken;
	bool stopping;
	bool ended; /* no longer its reactor's */
	/* The control thread's. */
	struct pipeline *move_to; /* once it is drained; NULL: nowhere */
	bool homeless; /* no reactor could take it */
	bool parting, parted; /* from its bdev: see queue_part() */

	struct queue_stats stats;
	struct trace *trace; /* NULL: nobody wants to know */

	struct reactor *control;
	struct queue_events events;
	struct reactor_msg stop_msg, broken_msg, drained_msg;
};

/* Thread: control. queue_create: Return: 0 or -errno. */
int queue_create(const struct queue_args *args, struct queue **out);
void queue_destroy(struct queue *q);

/* queue_leave - likewise, but its record is put aside, as of a daemon that was killed. */
void queue_leave(struct queue *q);

/*
 * queue_bind - binds the port and opens the channel: all of serving that can fail
 *
 * So a disk binds all its queues before it starts the first, and nothing has been taken off a ring
 * when the last of them fails.
 *
 * Thread: control. Return: 0 or -errno.
 */
int queue_bind(struct queue *q);

/* queue_unbind - the reverse, of a queue that was not started. Thread: control. */
void queue_unbind(struct queue *q);

/* queue_start - serves, from now on. Thread: control. */
void queue_start(struct queue *q);

/* queue_stop - finishes what was taken, unbinds, then events.drained(). Thread: control. */
void queue_stop(struct queue *q);

/**
 * queue_move - finishes what was taken, and goes on on another reactor
 *
 * The guest notices nothing but a pause: what it asks for meanwhile waits on the ring. Should there be
 * no memory for it, it stays where it is; where even that fails, events.broken().
 *
 * Thread: control. Not of one that has been stopped, or moves already: see queue_moves().
 */
void queue_move(struct queue *q, struct pipeline *to);

static inline bool queue_moves(const struct queue *q)
{
	return q->move_to || q->parting || q->parted;
}

/**
 * queue_part - finishes what was taken, and lets go of its bdev; then events.parted()
 *
 * The guest notices nothing but a pause, as with queue_move(). Should it move, it stays. One that is
 * stopped before it is joined again has its events.drained() as any other.
 *
 * Thread: control. Not of one that has been stopped.
 */
void queue_part(struct queue *q);

/**
 * queue_rejoin - goes on with another bdev
 *
 * @args: bdev, limits and direct_from_bytes are looked at
 *
 * Thread: control, after events.parted(). Return: 0; or -errno: it is of no more use, and is to be stopped.
 */
int queue_rejoin(struct queue *q, const struct queue_args *args);

/* queue_resize - the disk has another size by now. Thread: control. */
void queue_resize(struct queue *q, uint64_t size_bytes);

/**
 * queue_pause - takes nothing more off the ring, or does so again
 *
 * What was taken goes on to its end, whatever the limits. Nothing is lost: the rest waits on the ring.
 *
 * Thread: control.
 */
void queue_pause(struct queue *q, bool paused);

/* queue_set_transfer - as in queue_args, for requests to come. Thread: control. */
void queue_set_transfer(struct queue *q, uint32_t direct_from_bytes);

/**
 * queue_trace - tells of each request that it answers from now on (trace.h), or does not any more
 *
 * @filter: or NULL
 *
 * Thread: control. Return: 0, or -ENOMEM, and nothing has changed.
 */
int queue_trace(struct queue *q, const struct trace_filter *filter);

/* queue_set_poll - as in queue_args, from now on. Thread: control. */
void queue_set_poll(struct queue *q, uint64_t poll_ns);

/* The stages. Thread: the reactor's. */

/* queue_take - takes what is on the ring, as far as there is room. Return: requests taken. */
uint32_t queue_take(struct queue *q);

/**
 * queue_parse_segments - the second half of an indirect request; it is ready to be brought in then
 *
 * @pages: private copies of what the guest wrote
 *
 * Return: as request_parse_segments().
 */
int16_t queue_parse_segments(struct queue *q, struct io *io,
			     const struct raw_segments *const *pages);

/* queue_refuse - writes the response of a request that is not valid and frees @io. */
void queue_refuse(struct queue *q, struct io *io, int16_t status);

/* queue_has_more - true if there are requests on the ring that the next turn may take. */
bool queue_has_more(const struct queue *q);

/* queue_reap - what the bdev is done with. Return: completions. */
uint32_t queue_reap(struct queue *q);

/* queue_submit_and_reap - hands pending ios to the bdev, and reaps. Return: completions. */
uint32_t queue_submit_and_reap(struct queue *q);

/* queue_answer - writes the response of @io by io->status and frees it. */
void queue_answer(struct queue *q, struct io *io);

/* queue_respond - pushes the responses written; one event if the guest wants one. */
void queue_respond(struct queue *q);

/* queue_settle - after a turn: an idle queue leaves the list, a stopped one ends. */
void queue_settle(struct queue *q);

/* queue_polls - true if it had work so recently that it is polled, whether there is more or not. */
bool queue_polls(const struct queue *q);

/* queue_arm - before sleep. Return: false if there is work. */
bool queue_arm(struct queue *q);

#endif
