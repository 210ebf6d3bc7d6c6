/* SPDX-License-Identifier: BSD-2-Clause */
/* libxenevtchn on the machine of state.h. */
#include <xenevtchn.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "event.h"

struct xenevtchn_handle {
	uint32_t queue;
	int fd;
};

static int answer(int err)
{
	if (err >= 0)
		return err;
	errno = -err;
	return -1;
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
	xenevtchn_handle *xce;
	int queue = sim_open();

	if (queue < 0) {
		errno = -queue;
		return NULL;
	}
	xce = calloc(1, sizeof(*xce));
	if (!xce)
		return NULL;
	sim_lock(&sim()->events_lock);
	queue = sim_event_open(sim_domid(), &xce->fd);
	sim_unlock(&sim()->events_lock);
	if (queue >= 0) {
		xce->queue = (uint32_t)queue;
		return xce;
	}
	free(xce);
	errno = -queue;
	return NULL;
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd, unsigned open_flags)
{
	errno = ENOSYS;
	return NULL;
}

int xenevtchn_close(xenevtchn_handle *xce)
{
	if (!xce)
		return 0;
	sim_lock(&sim()->events_lock);
	sim_event_close(xce->queue);
	sim_unlock(&sim()->events_lock);
	close(xce->fd);
	free(xce);
	return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
	return xce->fd;
}

/* A late event is sent by a thread that sleeps first. */
struct late {
	uint16_t domid;
	uint32_t port;
};

static void *late_main(void *arg)
{
	struct late late = *(struct late *)arg;
	uint64_t us = sim()->controls.delay_event_us;
	struct timespec ts = { (time_t)(us / 1000000), (long)(us % 1000000 * 1000) };

	free(arg);
	nanosleep(&ts, NULL);
	sim_lock(&sim()->events_lock);
	sim_event_fire(late.domid, late.port);
	sim_unlock(&sim()->events_lock);
	return NULL;
}

static bool send_late(uint16_t domid, uint32_t port)
{
	struct late *late = malloc(sizeof(*late));
	sigset_t all, before;
	pthread_t thread;
	int err;

	if (!late)
		return false;
	*late = (struct late){ domid, port };
	/* The program's signals are not this thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&thread, NULL, late_main, late);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		free(late);
	else
		pthread_detach(thread);
	return !err;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	struct sim_state *s = sim();
	uint16_t domid;
	uint32_t peer;
	int err;

	SIM_COUNT(events, 1);
	sim_cost(s->controls.cost_event_ns);
	sim_lock(&s->events_lock);
	err = sim_event_peer(xce->queue, port, &domid, &peer);
	if (!err && sim_fault(&s->controls.lose_event))
		SIM_COUNT(events_lost, 1);
	else if (!err && !(sim_fault(&s->controls.delay_event) && send_late(domid, peer)))
		sim_event_fire(domid, peer);
	sim_unlock(&s->events_lock);
	/* Xen drops what nobody listens to. */
	return answer(err == -ENOENT ? 0 : err);
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *xce, uint32_t domid)
{
	int port;

	sim_lock(&sim()->events_lock);
	port = sim_event_listen(xce->queue, (uint16_t)domid);
	sim_unlock(&sim()->events_lock);
	return answer(port);
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
						     evtchn_port_t remote_port)
{
	int port;

	/* It may have been bound by somebody who has died. */
	sim_reap();
	sim_lock(&sim()->events_lock);
	port = sim_event_bind(xce->queue, (uint16_t)domid, remote_port);
	sim_unlock(&sim()->events_lock);
	return answer(port);
}

/* There is nobody who would send one. */
xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned int virq)
{
	return answer(-ENOSYS);
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	int err;

	sim_lock(&sim()->events_lock);
	err = sim_event_unbind(xce->queue, port);
	sim_unlock(&sim()->events_lock);
	return answer(err);
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
	uint32_t port;

	return read(xce->fd, &port, sizeof(port)) == sizeof(port) ? (int)port : -1;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	int err;

	sim_lock(&sim()->events_lock);
	err = sim_event_unmask(xce->queue, port);
	sim_unlock(&sim()->events_lock);
	return answer(err);
}

int xenevtchn_restrict(xenevtchn_handle *xce, domid_t domid)
{
	return answer(-ENOSYS);
}
