/* SPDX-License-Identifier: BSD-2-Clause */
#include "reactor.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"

/* Turns that find nothing, between two looks at the clock: some microseconds. */
#define TURNS_PER_CLOCK 64

/*
 * While it does not sleep, file descriptors are looked at so often: what waits for an event that comes by
 * one is a guest, and all else is timers and messages, of which the mailbox itself tells.
 */
#define FDS_ASLEEP_NS (20 * NS_PER_US)
#define FDS_NS	      (1 * NS_PER_MS)

static void mailbox_ready(struct reactor_fd *rfd)
{
	struct reactor *r = container_of(rfd, struct reactor, mailbox_fd);
	struct reactor_msg *msg, *next, *in_order = NULL;
	uint64_t count;

	/* Emptied before the list is taken: what is sent after that wakes us again. */
	if (read(rfd->fd, &count, sizeof(count)) < 0)
		return;
	msg = atomic_exchange_explicit(&r->mailbox, NULL, memory_order_acquire);
	for (; msg; msg = next) {
		next = msg->next;
		msg->next = in_order;
		in_order = msg;
	}
	for (msg = in_order; msg; msg = next) {
		next = msg->next;
		msg->fn(msg);
	}
}

void reactor_send(struct reactor *r, struct reactor_msg *msg)
{
	struct reactor_msg *head = atomic_load_explicit(&r->mailbox, memory_order_relaxed);
	uint64_t one = 1;

	do {
		msg->next = head;
	} while (!atomic_compare_exchange_weak_explicit(
		&r->mailbox, &head, msg, memory_order_release, memory_order_relaxed));
	/* Who finds the list filled can rely on the wake-up of who filled it. */
	if (!head && write(r->mailbox_fd.fd, &one, sizeof(one)) < 0)
		return; /* only a full counter refuses, and that one is readable */
}

struct call {
	struct reactor_msg msg;
	int (*fn)(void *arg);
	void *arg;
	int result;
	sem_t done;
};

static void call_run(struct reactor_msg *msg)
{
	struct call *call = container_of(msg, struct call, msg);

	call->result = call->fn(call->arg);
	sem_post(&call->done);
}

int reactor_call(struct reactor *r, int (*fn)(void *arg), void *arg)
{
	struct call call = { .msg = { .fn = call_run }, .fn = fn, .arg = arg };

	if (pthread_equal(r->thread, pthread_self()))
		return fn(arg);
	sem_init(&call.done, 0, 0);
	reactor_send(r, &call.msg);
	while (sem_wait(&call.done) < 0 && errno == EINTR)
		;
	sem_destroy(&call.done);
	return call.result;
}

int reactor_init(struct reactor *r, uint64_t poll_ns)
{
	int err;

	*r = (struct reactor){ .poll_ns = poll_ns,
			       .fds_ns = clock_ns(),
			       .turns_since_clock = TURNS_PER_CLOCK };
	list_init(&r->pollers);
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll_fd < 0)
		return -errno;
	r->mailbox_fd.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->mailbox_fd.fd < 0) {
		err = -errno;
		goto close_epoll;
	}
	r->mailbox_fd.ready = mailbox_ready;
	err = reactor_add_fd(r, &r->mailbox_fd);
	if (err)
		goto close_mailbox;
	return 0;
close_mailbox:
	close(r->mailbox_fd.fd);
close_epoll:
	close(r->epoll_fd);
	return err;
}

void reactor_fini(struct reactor *r)
{
	close(r->mailbox_fd.fd);
	close(r->epoll_fd);
}

int reactor_add_fd(struct reactor *r, struct reactor_fd *rfd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = rfd };

	return epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, rfd->fd, &ev) < 0 ? -errno : 0;
}

void reactor_del_fd(struct reactor *r, struct reactor_fd *rfd)
{
	epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, rfd->fd, NULL);
	/* A ready() may end others that are ready too. */
	for (int i = r->event; i < r->nr_events; i++) {
		if (r->events[i].data.ptr == rfd)
			r->events[i].data.ptr = NULL;
	}
}

int reactor_add_timer(struct reactor *r, struct reactor_fd *timer,
		      void (*ready)(struct reactor_fd *timer))
{
	int err;

	*timer = (struct reactor_fd){ timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
				      ready };
	if (timer->fd < 0)
		return -errno;
	err = reactor_add_fd(r, timer);
	if (err)
		close(timer->fd);
	return err;
}

void reactor_del_timer(struct reactor *r, struct reactor_fd *timer)
{
	reactor_del_fd(r, timer);
	close(timer->fd);
}

void reactor_add_poller(struct reactor *r, struct poller *p)
{
	list_add_tail(&r->pollers, &p->link);
}

void reactor_del_poller(struct reactor *r, struct poller *p)
{
	(void)r;
	list_del(&p->link);
}

/* One system call, however many are ready: those that stay so are seen again in another turn. */
static void look_at_fds(struct reactor *r, int timeout_ms)
{
	int nr = epoll_wait(r->epoll_fd, r->events, REACTOR_MAX_EVENTS, timeout_ms);

	r->fds_ns = r->now_ns;
	for (r->nr_events = nr > 0 ? nr : 0, r->event = 0; r->event < r->nr_events; r->event++) {
		struct reactor_fd *rfd = r->events[r->event].data.ptr;

		if (rfd)
			rfd->ready(rfd);
	}
	r->nr_events = 0;
}

static uint32_t poll_all(struct reactor *r)
{
	struct poller *p;
	uint32_t work = 0;

	list_for_each (p, &r->pollers, link)
		work += p->poll(p);
	return work;
}

static bool arm_all(struct reactor *r)
{
	struct poller *p;

	list_for_each (p, &r->pollers, link) {
		if (!p->arm(p))
			return false;
	}
	return true;
}

uint64_t reactor_look_at_clock(struct reactor *r)
{
	uint64_t now_ns = clock_ns();

	/* This is where the turn before ended, or the sleep. */
	if (r->worked)
		counter_add(&r->stats.busy_ns, now_ns - r->now_ns);
	if (r->slept_at_ns) {
		counter_add(&r->stats.asleep_ns, now_ns - r->slept_at_ns);
		counter_set(&r->slept_at_ns, 0);
		/* They were looked at when one of them ended it. */
		r->fds_ns = now_ns;
	}
	r->worked = false;
	r->now_ns = now_ns;
	r->now_is_old = false;
	r->turns_since_clock = 0;
	return now_ns;
}

static bool fds_are_due(const struct reactor *r)
{
	if (r->now_is_old)
		return false;
	return r->now_ns - r->fds_ns >= (r->nr_asleep ? FDS_ASLEEP_NS : FDS_NS) ||
	       atomic_load_explicit(&r->mailbox, memory_order_relaxed);
}

static void reactor_turn(struct reactor *r)
{
	bool worked_before = r->worked;

	counter_add(&r->stats.turns, 1);
	r->now_is_old = true;
	if (r->worked || r->slept_at_ns || ++r->turns_since_clock >= TURNS_PER_CLOCK)
		reactor_look_at_clock(r);
	if (poll_all(r)) {
		reactor_now_ns(r);
		r->worked = true;
		/* The next turn looks at them: it sleeps on them, finds more work, or polls without. */
		if (!worked_before)
			return;
	} else if (r->stop) {
		/* A poller has ended the loop: nothing would wake it. */
		return;
	} else if (arm_all(r)) {
		counter_add(&r->stats.sleeps, 1);
		counter_set(&r->slept_at_ns, r->now_ns);
		look_at_fds(r, -1);
		return;
	}
	if (fds_are_due(r))
		look_at_fds(r, 0);
}

void reactor_run(struct reactor *r)
{
	while (!r->stop)
		reactor_turn(r);
	reactor_look_at_clock(r);
	r->stop = false;
}

void reactor_stop(struct reactor *r)
{
	r->stop = true;
}

void reactor_set_poll_ns(struct reactor *r, uint64_t poll_ns)
{
	counter_set(&r->poll_ns, poll_ns);
}

static void *reactor_thread(void *arg)
{
	reactor_run(arg);
	return NULL;
}

int reactor_start(struct reactor *r, const char *name, int cpu)
{
	pthread_attr_t attr;
	cpu_set_t cpus;
	int err;

	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		err = pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	if (!err)
		err = pthread_create(&r->thread, &attr, reactor_thread, r);
	pthread_attr_destroy(&attr);
	if (err)
		return -err;
	pthread_setname_np(r->thread, name);
	return 0;
}

static int stop_fn(void *arg)
{
	reactor_stop(arg);
	return 0;
}

void reactor_join(struct reactor *r)
{
	reactor_call(r, stop_fn, r);
	pthread_join(r->thread, NULL);
}
