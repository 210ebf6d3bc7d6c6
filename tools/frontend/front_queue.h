/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * front_queue - one ring of a connected disk: requests in, responses out, events.
 *
 * Requests are put and pushed in batches; the backend gets an event only if it asked for one.
 * Whoever polls for responses leaves rsp_event behind, so that the backend sends none;
 * front_queue_wait() asks for one and sleeps.
 *
 * Thread: a queue and its event channel handle belong to one thread; queues share nothing.
 */
#ifndef XENBLKD_FRONT_QUEUE_H
#define XENBLKD_FRONT_QUEUE_H

#include <stdint.h>
#include <xenevtchn.h>

#include "front_pages.h"
#include "front_ring.h"

struct front_queue_stats {
	uint64_t requests, responses;
	uint64_t events_sent; /* one hypercall each */
	uint64_t events_received;
};

struct front_queue {
	struct front_ring ring;
	struct front_pages pages; /* the ring's */
	xenevtchn_handle *evtchn;
	uint32_t port;
	struct front_queue_stats stats;
};

/**
 * front_queue_open - a fresh ring of @nr_pages pages, and a port that the backend may bind
 *
 * Return: 0 or -errno.
 */
int front_queue_open(struct front_queue *q, xengntshr_handle *gntshr, uint32_t backend_domid,
		     enum front_abi abi, uint32_t nr_pages);
void front_queue_close(struct front_queue *q);

/**
 * front_queue_put - puts a request on the ring, not yet visible to the backend
 *
 * Borrows nothing: what @req points to is copied; the granted pages are the backend's until the
 * response. Return: 0, or -EAGAIN if the ring is full.
 */
int front_queue_put(struct front_queue *q, const struct front_request *req);

/* front_queue_put_raw - a ring entry, byte by byte; see front_ring_encode(). Return: as above. */
int front_queue_put_raw(struct front_queue *q, const void *entry);

/* front_queue_push - makes them visible, and sends an event if the backend wants one. */
int front_queue_push(struct front_queue *q);

/* front_queue_notify - an event that the backend did not ask for. Return: 0 or -errno. */
int front_queue_notify(struct front_queue *q);

/**
 * front_queue_poll - takes up to @max responses
 *
 * Return: how many; -EPROTO if the backend claims more responses than there were requests.
 */
int front_queue_poll(struct front_queue *q, struct front_response *out, uint32_t max);

/**
 * front_queue_wait - sleeps until there are responses
 *
 * Return: 0 if there may be some; -ETIMEDOUT; -EPROTO; -errno. -EINTR if a signal came.
 */
int front_queue_wait(struct front_queue *q, uint32_t timeout_us);

#endif
