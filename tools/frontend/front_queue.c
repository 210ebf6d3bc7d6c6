/* SPDX-License-Identifier: BSD-2-Clause */
#include "front_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>

/* A handle whose fd does not block: events are read until there are none. */
static int open_evtchn(xenevtchn_handle **out)
{
	xenevtchn_handle *h = xenevtchn_open(NULL, 0);
	int flags, err;

	if (!h)
		return -errno;
	flags = fcntl(xenevtchn_fd(h), F_GETFL);
	if (flags < 0 || fcntl(xenevtchn_fd(h), F_SETFL, flags | O_NONBLOCK) < 0) {
		err = -errno;
		xenevtchn_close(h);
		return err;
	}
	*out = h;
	return 0;
}

int front_queue_open(struct front_queue *q, xengntshr_handle *gntshr, uint32_t backend_domid,
		     enum front_abi abi, uint32_t nr_pages)
{
	struct front_queue fresh = { 0 };
	int err = open_evtchn(&fresh.evtchn);
	int port;

	if (err)
		return err;
	port = xenevtchn_bind_unbound_port(fresh.evtchn, backend_domid);
	if (port < 0) {
		err = -errno;
		goto close_evtchn;
	}
	fresh.port = (uint32_t)port;
	err = front_pages_create(&fresh.pages, gntshr, backend_domid, nr_pages, true);
	if (err)
		goto close_evtchn;
	front_ring_init(&fresh.ring, abi, fresh.pages.mem, nr_pages);
	*q = fresh;
	return 0;
close_evtchn:
	xenevtchn_close(fresh.evtchn);
	return err;
}

void front_queue_close(struct front_queue *q)
{
	xenevtchn_unbind(q->evtchn, q->port);
	xenevtchn_close(q->evtchn);
	front_pages_destroy(&q->pages);
}

int front_queue_put(struct front_queue *q, const struct front_request *req)
{
	if (!front_ring_free(&q->ring))
		return -EAGAIN;
	front_ring_put(&q->ring, req);
	q->stats.requests++;
	return 0;
}

int front_queue_put_raw(struct front_queue *q, const void *entry)
{
	if (!front_ring_free(&q->ring))
		return -EAGAIN;
	front_ring_put_raw(&q->ring, entry);
	q->stats.requests++;
	return 0;
}

int front_queue_notify(struct front_queue *q)
{
	q->stats.events_sent++;
	return xenevtchn_notify(q->evtchn, q->port) < 0 ? -errno : 0;
}

int front_queue_push(struct front_queue *q)
{
	return front_ring_push(&q->ring) ? front_queue_notify(q) : 0;
}

int front_queue_poll(struct front_queue *q, struct front_response *out, uint32_t max)
{
	int pending = front_ring_pending(&q->ring);
	uint32_t taken = 0;

	if (pending < 0)
		return pending;
	for (; taken < max && taken < (uint32_t)pending; taken++)
		front_ring_take(&q->ring, &out[taken]);
	q->stats.responses += taken;
	return (int)taken;
}

/* Takes the events that came: there is one port, so what they say is only that there are some. */
static int take_events(struct front_queue *q)
{
	int port;

	while ((port = xenevtchn_pending(q->evtchn)) >= 0) {
		q->stats.events_received++;
		if (xenevtchn_unmask(q->evtchn, (evtchn_port_t)port) < 0)
			return -errno;
	}
	return errno == EAGAIN ? 0 : -errno;
}

int front_queue_wait(struct front_queue *q, uint32_t timeout_us)
{
	struct timespec timeout = { .tv_sec = timeout_us / 1000000,
				    .tv_nsec = timeout_us % 1000000 * 1000 };
	struct pollfd pfd = { .fd = xenevtchn_fd(q->evtchn), .events = POLLIN };
	int n = front_ring_arm(&q->ring);

	if (n)
		return n > 0 ? 0 : n;
	n = ppoll(&pfd, 1, &timeout, NULL);
	if (n < 0)
		return -errno;
	return n ? take_events(q) : -ETIMEDOUT;
}
