/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_thread - one of SPDK's threads, polled by a reactor.
 *
 * Thread: all but create are the reactor's.
 */
#ifndef XENBLKD_SPDK_HOST_THREAD_H
#define XENBLKD_SPDK_HOST_THREAD_H

#include "host_env.h"
#include "list.h"
#include "reactor.h"

struct spdk_thread;

struct host_thread {
	struct reactor *reactor;
	struct poller poller;
	struct reactor_fd timer_fd, waker_fd;
	struct env_waker waker;
	struct spdk_thread *spdk;
	uint64_t idle_min_ns; /* between two looks at what wants to be polled always */
	uint64_t last_work_ns;
	struct list channels; /* struct channel (sdisk_io.c) */
	void (*polled)(struct host_thread *t); /* after each poll, or NULL */
	bool exiting; /* spdk_thread_exit() was called */
};

/**
 * host_thread_start - makes it, for the calling thread, and adds it to @r
 *
 * @core: its number among @nr_cores
 *
 * Return: 0 or -errno.
 */
int host_thread_start(struct host_thread *t, struct reactor *r, const char *name, uint32_t core,
		      uint32_t nr_cores);

/* host_thread_end - begins its end: it is polled on until host_thread_is_over(). */
void host_thread_end(struct host_thread *t);
bool host_thread_is_over(const struct host_thread *t);

/* host_thread_free - takes it from the reactor; it is over. */
void host_thread_free(struct host_thread *t);

/* host_thread_mine - that of the calling thread. */
struct host_thread *host_thread_mine(void);

#endif
