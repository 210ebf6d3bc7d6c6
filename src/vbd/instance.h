/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * instance - one process among those that share a state directory: one serves, and one may stand by.
 *
 * DIR/lock      held by the process that serves; says which one that is, and its directory
 * DIR/a, DIR/b  one for each process, locked while it lives: records of what it has pinned and batched
 * DIR/b/ready   there while that process stands by: what it is, in words
 *
 * The records of guests' queues are in DIR itself, and outlive both.
 *
 * Locks end with their process, whatever ended it. So a directory that is not locked belonged to a process
 * that is dead. What it left is let go of by whoever serves next, for devices have to be stopped before;
 * unless it only stood by: then no device knew of its memory, and whoever wants its place may do that.
 *
 * Thread: control.
 */
#ifndef XENBLKD_INSTANCE_H
#define XENBLKD_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "reactor.h"

#define INSTANCE_MAX	  2u /* that one serves and one stands by */

#define INSTANCE_PATH_MAX 80

struct instance {
	const char *state_dir;
	int lock_fd; /* of the state directory; who serves holds it */
	int dir_fd; /* of our own, and holds its lock; or -1 */
	char letter; /* of our own */
	char dir[INSTANCE_PATH_MAX]; /* likewise */
	struct reactor_fd turn_fd; /* see instance_await() */
	/* Directories of dead processes, locked, whose memory is still to be let go of: see instance_settle(). */
	uint32_t nr_dead;
	int dead_fds[INSTANCE_MAX];
	char dead[INSTANCE_MAX][INSTANCE_PATH_MAX];
};

/* instance_open - the state directory, made if need be. Return: 0, or -errno and *@e. */
int instance_open(struct instance *i, const char *state_dir, struct error *e);

/* instance_close - lets go of all that it holds; its records are gone before. */
void instance_close(struct instance *i);

/* instance_serve - is the one that serves. Return: 0; -EWOULDBLOCK if there is another; -errno. */
int instance_serve(struct instance *i);

/**
 * instance_await - calls @turn when the other one has ended, and this is the one that serves
 *
 * A thread waits for that, and nothing else ends it but the end of the process.
 *
 * @turn: of i->turn_fd
 *
 * Return: 0 or -errno.
 */
int instance_await(struct instance *i, struct reactor *control,
		   void (*turn)(struct reactor_fd *turn_fd));

/**
 * instance_make_dir - makes its own directory, without records
 *
 * One that stands by waits until what was left there is let go of.
 *
 * @serves: it does, and has let go of what was left (instance_release())
 *
 * Return: 0; -EBUSY if there are two processes already; -errno; and *@e.
 */
int instance_make_dir(struct instance *i, bool serves, struct error *e);

/**
 * instance_release - for one that serves: leftover_release() of all that dead processes left
 *
 * Return: 0, or -errno and *@e.
 */
int instance_release(struct instance *i, struct error *e);

/*
 * instance_settle - lets go of their memory; it takes time, and nobody waits for it.
 * instance_unsettled - true if there is some. instance_close() leaves it for others.
 */
int instance_settle(struct instance *i, struct error *e);

static inline bool instance_unsettled(const struct instance *i)
{
	return i->nr_dead;
}

/* instance_ready - others see that it stands by. Return: 0, or -errno and *@e. */
int instance_ready(struct instance *i, struct error *e);
void instance_unready(struct instance *i);

/**
 * instance_standby - looks for another process, which stands by to go on where this one ends
 *
 * @text: what it says of itself: "xenblkd 1.0, process 123"
 *
 * Return: 0; -ENOENT if there is none; -EPROTONOSUPPORT if it does not understand what this one leaves;
 * and *@e.
 */
int instance_standby(const struct instance *i, char *text, uint32_t size, struct error *e);

#endif
