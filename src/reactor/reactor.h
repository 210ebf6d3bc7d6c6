/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reactor - one thread's loop: pollers while there is work, sleep when there is none.
 *
 * What a reactor owns is touched by its thread alone; others send it messages. Each turn runs all
 * pollers; while they find work the next turn follows at once. Then each poller arms whatever will
 * wake it (a ring's event, a file descriptor), unless it wants to be polled for some time yet; if all
 * did, and none found work in doing so, the thread sleeps in epoll_wait(). A reactor without pollers is simply an
 * event loop: the control thread is one.
 *
 * Thread: reactor_send() and reactor_call() from any; the rest from the reactor's own, or before it
 * runs.
 */
#ifndef XENBLKD_REACTOR_H
#define XENBLKD_REACTOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "counter.h"
#include "list.h"

/* Something that is asked each turn whether it has work. */
struct poller {
	/* Return: how much was done; 0 means that there was nothing. */
	uint32_t (*poll)(struct poller *p);
	/*
	 * Before sleep: arms what wakes it. Return: false if there is work after all, or is
	 * expected so soon that it is better polled for.
	 */
	bool (*arm)(struct poller *p);
	struct list_node link;
};

/* A file descriptor that wakes the reactor; level-triggered. The struct is the caller's. */
struct reactor_fd {
	int fd;
	void (*ready)(struct reactor_fd *rfd);
};

/* A message: @fn runs once on the reactor's thread. The struct is the sender's until then. */
struct reactor_msg {
	void (*fn)(struct reactor_msg *msg);
	struct reactor_msg *next; /* the mailbox's own */
};

/* Descriptors looked at in one turn. */
#define REACTOR_MAX_EVENTS 16

/* Counters of the reactor's own (counter.h); any thread may read them. */
struct reactor_stats {
	uint64_t turns;
	uint64_t busy_ns; /* in turns that found work */
	uint64_t asleep_ns; /* what is in neither was polling without work */
	uint64_t sleeps;
};

struct reactor {
	struct list pollers;
	_Atomic(struct reactor_msg *) mailbox; /* newest first */
	struct reactor_fd mailbox_fd;
	int epoll_fd;
	struct epoll_event events[REACTOR_MAX_EVENTS]; /* being looked at, from event on */
	int event, nr_events;
	uint64_t poll_ns; /* see reactor_poll_ns() */
	uint64_t
		now_ns; /* time at the start of this turn, or of one shortly before: see reactor_now_ns() */
	bool now_is_old;
	bool worked; /* the turn before this one found work */
	uint32_t turns_since_clock;
	uint64_t
		slept_at_ns; /* while it sleeps, and at the start of the turn after that; a counter */
	uint64_t fds_ns; /* when the file descriptors were looked at */
	uint32_t nr_asleep; /* pollers' own: what is served by a descriptor alone, and is urgent */
	bool stop;
	struct reactor_stats stats;
	pthread_t thread;
};

/* reactor_init - an idle reactor. Return: 0 or -errno. */
int reactor_init(struct reactor *r, uint64_t poll_ns);
void reactor_fini(struct reactor *r);

/* reactor_run - the loop, on the calling thread, until reactor_stop(); it can be run again. */
void reactor_run(struct reactor *r);

/* reactor_stop - ends the loop after this turn. Thread: the reactor's. */
void reactor_stop(struct reactor *r);

/*
 * reactor_poll_ns - how long to go on without work before it sleeps: a counter, for pollers to obey,
 * which refuse to be armed for so long. reactor_set_poll_ns - changes it. Thread: any.
 */
void reactor_set_poll_ns(struct reactor *r, uint64_t poll_ns);

static inline uint64_t reactor_poll_ns(const struct reactor *r)
{
	return counter_read(&r->poll_ns);
}

/**
 * reactor_start - runs the loop on a thread of its own
 *
 * @name: of the thread, at most 15 characters
 * @cpu:  to pin it to, or -1 for none
 *
 * Return: 0 or -errno.
 */
int reactor_start(struct reactor *r, const char *name, int cpu);

/* reactor_join - stops what reactor_start() started and waits for it. Thread: another. */
void reactor_join(struct reactor *r);

void reactor_add_poller(struct reactor *r, struct poller *p);
void reactor_del_poller(struct reactor *r, struct poller *p);

/* reactor_look_at_clock - the time; that of this turn from now on. Return: the time. */
uint64_t reactor_look_at_clock(struct reactor *r);

/**
 * reactor_now_ns - the time of this turn
 *
 * The clock is a system call on some machines. So in a turn behind one that found nothing it is not
 * asked but by who has found something, and r->now_ns may be some microseconds old until then.
 */
static inline uint64_t reactor_now_ns(struct reactor *r)
{
	return r->now_is_old ? reactor_look_at_clock(r) : r->now_ns;
}

/* reactor_add_fd - @rfd->ready() is called while @rfd->fd is readable. Return: 0 or -errno. */
int reactor_add_fd(struct reactor *r, struct reactor_fd *rfd);
void reactor_del_fd(struct reactor *r, struct reactor_fd *rfd);

/* reactor_add_timer - a timerfd (CLOCK_MONOTONIC), not armed yet. Return: 0 or -errno. */
int reactor_add_timer(struct reactor *r, struct reactor_fd *timer,
		      void (*ready)(struct reactor_fd *timer));
/* reactor_del_timer - closes it. */
void reactor_del_timer(struct reactor *r, struct reactor_fd *timer);

/* reactor_send - queues a message; never blocks. Messages of one sender arrive in order. */
void reactor_send(struct reactor *r, struct reactor_msg *msg);

/**
 * reactor_call - runs @fn(@arg) on the reactor's thread and waits for it
 *
 * For the control thread: a reactor's turn is short. The reactor must be running, and no two
 * reactors may call each other; its own thread may, and runs it at once.
 *
 * Return: what @fn returned.
 */
int reactor_call(struct reactor *r, int (*fn)(void *arg), void *arg);

#endif
