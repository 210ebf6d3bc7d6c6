/* SPDX-License-Identifier: BSD-2-Clause */
#include "reactor.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tap.h"

#define NR_SENDERS 3
#define NR_MSGS	   2000

struct numbered {
	struct reactor_msg msg;
	struct sender *sender;
	int number;
};

struct sender {
	struct reactor *to;
	struct numbered msgs[NR_MSGS];
	int arrived; /* on the reactor's thread */
	bool in_order;
	pthread_t thread;
};

static void arrive(struct reactor_msg *msg)
{
	struct numbered *n = container_of(msg, struct numbered, msg);

	n->sender->in_order &= n->number == n->sender->arrived;
	n->sender->arrived++;
}

static void *send_all(void *arg)
{
	struct sender *s = arg;

	for (int i = 0; i < NR_MSGS; i++) {
		s->msgs[i] = (struct numbered){ { .fn = arrive }, s, i };
		reactor_send(s->to, &s->msgs[i].msg);
	}
	return NULL;
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void delivers_all_messages_of_many_senders_in_order(void)
{
	static struct sender senders[NR_SENDERS];
	struct reactor r;

	check_eq(reactor_init(&r, 0), 0);
	check_eq(reactor_start(&r, "test", -1), 0);
	for (int i = 0; i < NR_SENDERS; i++) {
		senders[i].to = &r;
		senders[i].in_order = true;
		pthread_create(&senders[i].thread, NULL, send_all, &senders[i]);
	}
	for (int i = 0; i < NR_SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	reactor_call(&r, nothing, NULL);
	reactor_join(&r);
	reactor_fini(&r);
	for (int i = 0; i < NR_SENDERS; i++) {
		check_eq(senders[i].arrived, NR_MSGS);
		check(senders[i].in_order);
	}
}

static int add_one(void *arg)
{
	return ++*(int *)arg;
}

static void call_gives_back_the_result(void)
{
	struct reactor r;
	int n = 41, result;

	check_eq(reactor_init(&r, 0), 0);
	check_eq(reactor_start(&r, "test", -1), 0);
	result = reactor_call(&r, add_one, &n);
	reactor_join(&r);
	reactor_fini(&r);
	check_eq(result, 42);
	check_eq(n, 42);
}

/* A poller with so much work, of which some comes up only while it is being armed. */
struct work {
	struct poller poller;
	struct reactor *r;
	int left, late, polls, arms;
};

static uint32_t work_poll(struct poller *p)
{
	struct work *w = container_of(p, struct work, poller);

	w->polls++;
	if (!w->left)
		return 0;
	w->left--;
	return 1;
}

static bool work_arm(struct poller *p)
{
	struct work *w = container_of(p, struct work, poller);

	w->arms++;
	if (!w->late)
		return true;
	w->left += w->late;
	w->late = 0;
	return false;
}

struct wake {
	struct reactor_fd rfd;
	struct work *work;
};

static void wake_ready(struct reactor_fd *rfd)
{
	struct wake *wake = container_of(rfd, struct wake, rfd);
	uint64_t count;

	if (read(rfd->fd, &count, sizeof(count)) == sizeof(count))
		reactor_stop(wake->work->r);
}

/* Runs @w until it sleeps and an event that was there before the start wakes it. */
static int run_work(struct work *w, uint64_t poll_ns)
{
	struct wake wake = { .rfd = { .fd = eventfd(1, 0), .ready = wake_ready }, .work = w };
	struct reactor r;
	int err = reactor_init(&r, poll_ns);

	if (err)
		return err;
	w->r = &r;
	w->poller = (struct poller){ .poll = work_poll, .arm = work_arm };
	reactor_add_poller(&r, &w->poller);
	err = reactor_add_fd(&r, &wake.rfd);
	reactor_run(&r);
	reactor_del_poller(&r, &w->poller);
	reactor_fini(&r);
	close(wake.rfd.fd);
	return err;
}

static void sleeps_only_when_armed(void)
{
	struct work w = { .left = 5 };

	check_eq(run_work(&w, 0), 0);
	check_eq(w.left, 0);
	check_eq(w.polls, 6);
	check_eq(w.arms, 1);
}

static void looks_at_descriptors_under_constant_work(void)
{
	struct work w = { .left = INT32_MAX };

	check_eq(run_work(&w, 0), 0);
	check(w.left > 0);
}

/* Has work once, in its second turn; it takes long, and in the meantime somebody writes to a descriptor. */
struct once {
	struct work work;
	struct wake wake;
};

static uint32_t once_poll(struct poller *p)
{
	struct once *o = container_of(p, struct once, work.poller);
	uint64_t one = 1;

	if (++o->work.polls != 2)
		return 0;
	usleep(2000);
	return write(o->wake.rfd.fd, &one, sizeof(one)) == sizeof(one);
}

static bool once_arm(struct poller *p)
{
	struct once *o = container_of(p, struct once, work.poller);

	return ++o->work.arms > 1;
}

static void looks_at_descriptors_once_when_there_is_no_more_work(void)
{
	struct once o = { .work.poller = { .poll = once_poll, .arm = once_arm },
			  .wake = { { eventfd(0, 0), wake_ready }, &o.work } };
	struct reactor r;

	check_eq(reactor_init(&r, 0), 0);
	o.work.r = &r;
	reactor_add_poller(&r, &o.work.poller);
	check_eq(reactor_add_fd(&r, &o.wake.rfd), 0);
	reactor_run(&r);
	reactor_del_poller(&r, &o.work.poller);
	reactor_fini(&r);
	close(o.wake.rfd.fd);
	/* The look was that of sleep. */
	check_eq(o.work.arms, 2);
	check_eq(r.stats.sleeps, 1);
}

static int read_stats(void *arg)
{
	struct work *w = arg;

	return w->left + w->late;
}

static void takes_up_work_that_comes_while_arming(void)
{
	struct work w = { .late = 7 };
	struct reactor r;

	check_eq(reactor_init(&r, 0), 0);
	w.r = &r;
	w.poller = (struct poller){ .poll = work_poll, .arm = work_arm };
	reactor_add_poller(&r, &w.poller);
	check_eq(reactor_start(&r, "test", -1), 0);
	while (reactor_call(&r, read_stats, &w))
		sched_yield();
	reactor_join(&r);
	reactor_fini(&r);
	check_eq(w.left, 0);
	check(r.stats.sleeps >= 1);
}

static uint32_t stopping_poll(struct poller *p)
{
	struct work *w = container_of(p, struct work, poller);

	reactor_stop(w->r);
	return 0;
}

static void does_not_sleep_after_a_poller_stopped_it(void)
{
	struct work w = { .poller = { .poll = stopping_poll, .arm = work_arm } };
	struct reactor r;

	check_eq(reactor_init(&r, 0), 0);
	w.r = &r;
	reactor_add_poller(&r, &w.poller);
	reactor_run(&r); /* would never return */
	reactor_del_poller(&r, &w.poller);
	reactor_fini(&r);
	check_eq(w.arms, 0);
}

/* Of two descriptors that are ready at once, the first to be looked at ends the other. */
struct rival {
	struct reactor_fd rfd;
	struct reactor *r;
	struct rival *other;
	int calls;
};

static void rival_ready(struct reactor_fd *rfd)
{
	struct rival *rival = container_of(rfd, struct rival, rfd);

	rival->calls++;
	reactor_del_fd(rival->r, &rival->other->rfd);
	reactor_stop(rival->r);
}

static void does_not_look_at_what_another_has_ended(void)
{
	struct reactor r;
	struct rival a = { .rfd = { eventfd(1, 0), rival_ready }, .r = &r };
	struct rival b = { .rfd = { eventfd(1, 0), rival_ready }, .r = &r, .other = &a };

	a.other = &b;
	check_eq(reactor_init(&r, 0), 0);
	check_eq(reactor_add_fd(&r, &a.rfd), 0);
	check_eq(reactor_add_fd(&r, &b.rfd), 0);
	reactor_run(&r);
	reactor_fini(&r);
	close(a.rfd.fd);
	close(b.rfd.fd);
	check_eq(a.calls + b.calls, 1);
}

int main(void)
{
	tap_run(does_not_look_at_what_another_has_ended);
	tap_run(does_not_sleep_after_a_poller_stopped_it);
	tap_run(looks_at_descriptors_once_when_there_is_no_more_work);
	tap_run(delivers_all_messages_of_many_senders_in_order);
	tap_run(call_gives_back_the_result);
	tap_run(sleeps_only_when_armed);
	tap_run(looks_at_descriptors_under_constant_work);
	tap_run(takes_up_work_that_comes_while_arming);
	return tap_end();
}
