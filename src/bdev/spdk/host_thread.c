/* SPDX-License-Identifier: BSD-2-Clause */
#include <spdk/stdinc.h>
#include <spdk/thread.h>
#include <sys/timerfd.h>

#include "clock.h"
#include "host_thread.h"

#define IDLE_MAX_NS (10 * 1000 * NS_PER_US)

static __thread struct host_thread *mine;

struct host_thread *host_thread_mine(void)
{
	return mine;
}

static uint32_t thread_poll(struct poller *p)
{
	struct host_thread *t = container_of(p, struct host_thread, poller);
	uint32_t work = 0;

	if (atomic_load_explicit(&t->waker.asleep, memory_order_relaxed))
		env_is_awake(&t->waker);
	if (!t->exiting || !spdk_thread_is_exited(t->spdk))
		work = spdk_thread_poll(t->spdk, 0, 0) > 0;
	if (work)
		t->last_work_ns = t->reactor->now_ns;
	if (t->polled)
		t->polled(t);
	return work;
}

static uint64_t idle_ns(const struct host_thread *t)
{
	uint64_t idle = (t->reactor->now_ns - t->last_work_ns) / 4;

	return idle < t->idle_min_ns ? t->idle_min_ns : idle > IDLE_MAX_NS ? IDLE_MAX_NS : idle;
}

/* Return: in how long it has to be polled again; 0: not at all. */
static uint64_t due_ns(const struct host_thread *t)
{
	uint64_t tick = spdk_thread_next_poller_expiration(t->spdk);
	uint64_t due = tick ? env_ns_until(tick) + 1 : 0;

	if (spdk_thread_has_active_pollers(t->spdk) && (!due || due > idle_ns(t)))
		due = idle_ns(t);
	return due;
}

static bool thread_arm(struct poller *p)
{
	struct host_thread *t = container_of(p, struct host_thread, poller);
	struct itimerspec in = { 0 };
	uint64_t due;

	if (t->exiting)
		return spdk_thread_is_exited(t->spdk);
	due = due_ns(t);
	in.it_value.tv_sec = (time_t)(due / NS_PER_S);
	in.it_value.tv_nsec = (long)(due % NS_PER_S);
	timerfd_settime(t->timer_fd.fd, 0, &in, NULL);
	return env_may_sleep(&t->waker);
}

/* The turn that follows polls. */
static void fd_ready(struct reactor_fd *rfd)
{
	uint64_t count;

	if (read(rfd->fd, &count, sizeof(count)) < 0)
		return;
}

static int open_fds(struct host_thread *t)
{
	int err = 0;

	t->timer_fd =
		(struct reactor_fd){ timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
				     fd_ready };
	t->waker_fd = (struct reactor_fd){ eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), fd_ready };
	t->waker.fd = t->waker_fd.fd;
	if (t->timer_fd.fd < 0 || t->waker_fd.fd < 0)
		err = -errno;
	if (!err)
		err = reactor_add_fd(t->reactor, &t->timer_fd);
	if (!err) {
		err = reactor_add_fd(t->reactor, &t->waker_fd);
		if (err)
			reactor_del_fd(t->reactor, &t->timer_fd);
	}
	if (!err)
		return 0;
	if (t->timer_fd.fd >= 0)
		close(t->timer_fd.fd);
	if (t->waker_fd.fd >= 0)
		close(t->waker_fd.fd);
	return err;
}

static void close_fds(struct host_thread *t)
{
	reactor_del_fd(t->reactor, &t->waker_fd);
	reactor_del_fd(t->reactor, &t->timer_fd);
	close(t->waker_fd.fd);
	close(t->timer_fd.fd);
}

int host_thread_start(struct host_thread *t, struct reactor *r, const char *name, uint32_t core,
		      uint32_t nr_cores)
{
	int err;

	*t = (struct host_thread){ .reactor = r,
				   .poller = { .poll = thread_poll, .arm = thread_arm },
				   .idle_min_ns = 100 * NS_PER_US };
	list_init(&t->channels);
	err = open_fds(t);
	if (err)
		return err;
	env_set_core(core, nr_cores);
	env_next_ring_wakes(&t->waker);
	t->spdk = spdk_thread_create(name, NULL);
	env_next_ring_wakes(NULL);
	if (!t->spdk) {
		close_fds(t);
		return -ENOMEM;
	}
	/* For good: what is called from outside of a poll is called on it, too. */
	spdk_set_thread(t->spdk);
	mine = t;
	reactor_add_poller(r, &t->poller);
	return 0;
}

void host_thread_end(struct host_thread *t)
{
	spdk_thread_exit(t->spdk);
	t->exiting = true;
}

bool host_thread_is_over(const struct host_thread *t)
{
	return spdk_thread_is_exited(t->spdk);
}

void host_thread_free(struct host_thread *t)
{
	reactor_del_poller(t->reactor, &t->poller);
	close_fds(t);
	spdk_set_thread(NULL);
	mine = NULL;
	spdk_thread_destroy(t->spdk);
}
