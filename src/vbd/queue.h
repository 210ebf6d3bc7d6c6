/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue - one ring on one reactor: its io pool, its channel to the bdev, its event channel.
 *
 * A disk has one or several. The control thread makes it, binds and starts it, asks it to stop, and frees it when it has said that it is
 * drained; in between it belongs to the reactor. The stages of the pipeline that concern a single
 * queue are here; those that batch over all queues are in pipeline.c.
 */
#ifndef XENBLKD_QUEUE_H
#define XENBLKD_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "bdev.h"
#include "io.h"
#include "pipeline.h"
#include "reactor.h"
#include "record.h"
#include "request.h"
#include "ring.h"
#include "xfer.h"

/* One a slot of the largest ring. */
#define QUEUE_MAX_IOS 512u

struct queue_stats {
	uint64_t reads, writes, discards, barriers, flushes; /* answered, whatever the status */
	uint64_t bytes_read, bytes_written; /* of those that succeeded */
	uint64_t errors; /* failed at the device or at a grant */
	uint64_t refused; /* not a valid request */
	uint64_t indirect; /* of all these, those with segments in the guest's pages */
	uint64_t notifies; /* events sent to the guest */
};

static inline void queue_stats_add(struct queue_stats *sum, const struct queue_stats *st)
{
	sum->reads += st->reads;
	sum->discards += st->discards;
	sum->barriers += st->barriers;
	sum->writes += st->writes;
	sum->flushes += st->flushes;
	sum->bytes_read += st->bytes_read;
	sum->bytes_written += st->bytes_written;
	sum->errors += st->errors;
	sum->refused += st->refused;
	sum->indirect += st->indirect;
	sum->notifies += st->notifies;
}

/* What the control thread hears from a queue; each at most once, on the control thread. */
struct queue_events {
	/* The guest broke the protocol; the queue takes no more. queue_stop() is to follow. */
	void (*broken)(void *arg);
	/* Stopped: nothing in flight, port unbound, channel gone. queue_destroy() may follow. */
	void (*drained)(void *arg);
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
	const char *state_dir;
	const char *name; /* of the record in it */
	const char *disk; /* for messages; outlives the queue */
	struct queue_identity identity; /* of the ring */
	const struct queue_inherited *inherited; /* or NULL; the ring stands where it says */
	bool *flush_failed; /* the disk's, shared by all its queues; outlives the queue */
};

struct queue {
	struct pipeline *pipeline;
	struct list_node link; /* in pipeline->active while there is work */
	struct ring ring;
	struct request_limits limits;
	uint32_t direct_from_bytes;
	const char *disk;
	uint32_t domid;
	uint32_t remote_port, port;

	struct bdev *bdev;
	struct bdev_channel *channel;
	struct reactor_fd channel_fd; /* fd is -1 if the bdev has none: it must be polled */

	struct io *ios; /* ring.nr_entries of them */
	struct record record;
	struct queue_record *in_record;
	struct list free; /* ios */
	struct list again; /* ios that a predecessor had in flight, and that have not begun here */
	struct list pending; /* ios that the bdev has not got yet, in the order of the ring */
	struct list settled; /* ios that are only to be answered */
	uint32_t in_flight; /* ios that are not free */
	uint32_t nr_at_bdev; /* ios that the bdev has */
	struct io *barrier; /* the one that runs: nothing else does; or NULL */
	uint32_t responses; /* written, not yet pushed */
	uint64_t last_work_ns;

	bool *flush_failed; /* see queue_answer(); other reactors may set it too */
	bool starved; /* there are requests, but no room for them until others are done */
	bool broken;
	bool stopping;

	struct queue_stats stats;

	struct reactor *control;
	struct queue_events events;
	struct reactor_msg stop_msg, broken_msg, drained_msg;
};

/* Thread: control. queue_create: Return: 0 or -errno. */
int queue_create(const struct queue_args *args, struct queue **out);
void queue_destroy(struct queue *q);

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

/* queue_submit - hands pending ios to the bdev, and reaps. Return: completions. */
uint32_t queue_submit_and_reap(struct queue *q);

/* queue_answer - writes the response of @io by io->status and frees it. */
void queue_answer(struct queue *q, struct io *io);

/* queue_respond - pushes the responses written; one event if the guest wants one. */
void queue_respond(struct queue *q);

/* queue_settle - after a turn: an idle queue leaves the list, a stopped one ends. */
void queue_settle(struct queue *q);

/* queue_arm - before sleep. Return: false if there is work. */
bool queue_arm(struct queue *q);

#endif
