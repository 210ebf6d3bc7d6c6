/* SPDX-License-Identifier: BSD-2-Clause */
#include "front.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/xenbus.h>

#define STATE(s) (1u << XenbusState##s)

int front_open(struct front *f, struct store *store, const struct front_device *device)
{
	memset(f, 0, sizeof(*f));
	f->store = store;
	f->device = *device;
	f->gntshr = xengntshr_open(NULL, 0);
	return f->gntshr ? 0 : -errno;
}

void front_fini(struct front *f)
{
	xengntshr_close(f->gntshr);
}

/* A number that the backend may have written, or @missing. */
static uint64_t offered(struct front *f, const char *node, uint64_t missing)
{
	char *text = store_read(f->store, XBT_NULL, "%s/%s", f->device.backend, node);
	uint64_t value = text ? strtoull(text, NULL, 10) : missing;

	free(text);
	return value;
}

static void read_transport(struct front *f)
{
	struct front_offer *o = &f->offer;
	uint32_t pages;

	*o = (struct front_offer){ 0 };
	o->max_ring_order = (uint32_t)offered(f, "max-ring-page-order", 0);
	/* The older way of saying it. */
	pages = (uint32_t)offered(f, "max-ring-pages", 1);
	while (o->max_ring_order < FRONT_MAX_RING_ORDER && 2u << o->max_ring_order <= pages)
		o->max_ring_order++;
	o->max_queues = (uint32_t)offered(f, "multi-queue-max-queues", 1);
	o->max_indirect_segments = (uint32_t)offered(f, "feature-max-indirect-segments", 0);
	o->persistent = offered(f, "feature-persistent", 0);
}

static void read_disk(struct front *f)
{
	struct front_offer *o = &f->offer;

	o->sector_size = (uint32_t)offered(f, "sector-size", FRONT_SECTOR_BYTES);
	o->physical_sector_size = (uint32_t)offered(f, "physical-sector-size", o->sector_size);
	o->sectors = offered(f, "sectors", 0);
	o->info = (uint32_t)offered(f, "info", 0);
	o->flush = offered(f, "feature-flush-cache", 0);
	o->barrier = offered(f, "feature-barrier", 0);
	o->discard = offered(f, "feature-discard", 0);
	o->discard_secure = offered(f, "discard-secure", 0);
	o->discard_granularity = (uint32_t)offered(f, "discard-granularity", o->sector_size);
	o->discard_alignment = (uint32_t)offered(f, "discard-alignment", 0);
}

static int write_state(struct front *f, uint32_t state)
{
	char text[12];

	snprintf(text, sizeof(text), "%u", state);
	return store_write(f->store, XBT_NULL, f->device.frontend, "state", text);
}

/* Why a backend did not come to a state: in its own words, if it left some. */
static int explain(struct front *f, int err, const char *what, struct error *e)
{
	static const char *const nodes[] = { "xenblkd-error", "hotplug-error" };
	uint32_t state = front_backend_state(f);
	char *words = NULL;
	char dir[STORE_PATH_MAX];
	int n;

	/* xenbus_dev_error() of Linux writes below error/, under the rest of the path. */
	n = snprintf(dir, sizeof(dir), "/local/domain/%u/", f->device.backend_domid);
	words = store_read(f->store, XBT_NULL, "%serror/%s/error", dir,
			   !strncmp(f->device.backend, dir, (size_t)n) ? f->device.backend + n
								       : "");
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]) && !words; i++)
		words = store_read(f->store, XBT_NULL, "%s/%s", f->device.backend, nodes[i]);
	error_set(e, -err, "%s (the backend is at state %u)%s%s", what, state, words ? ": " : "",
		  words ? words : "");
	free(words);
	return err;
}

static int await(struct front *f, uint32_t wanted, const char *what, struct error *e)
{
	int state = front_device_wait(f->store, f->device.backend, wanted, f->timeout_ms);

	return state < 0 ? explain(f, state, what, e) : state;
}

/* A backend that closes instead does not want us. */
static int await_connected(struct front *f, struct error *e)
{
	static const char what[] = "the backend did not connect";
	int state = await(f, STATE(Connected) | STATE(Closing) | STATE(Closed), what, e);

	if (state < 0)
		return state;
	return state == XenbusStateConnected ? 0 : explain(f, -ECONNREFUSED, what, e);
}

/* To state 1, and the backend to 2, from wherever a predecessor left them. */
static int begin(struct front *f, struct error *e)
{
	int state = (int)front_backend_state(f), err;

	/* A backend that is still on its way down would be taken for one that refuses. */
	if (state == XenbusStateClosing &&
	    front_device_state(f->store, f->device.frontend) == XenbusStateClosed)
		front_device_wait(f->store, f->device.backend, STATE(Closed), f->timeout_ms);
	err = write_state(f, XenbusStateInitialising);
	if (err)
		return error_set(e, -err, "cannot write the frontend's state: %s", strerror(-err));
	state = await(f, STATE(InitWait), "the backend did not get ready", e);
	return state < 0 ? state : 0;
}

static uint32_t bounded(uint32_t wish, uint32_t offer, bool exact)
{
	return exact || wish < offer ? wish : offer;
}

static int open_queues(struct front *f, const struct front_wishes *w, struct error *e)
{
	uint32_t order = bounded(w->ring_order, f->offer.max_ring_order, w->exact);
	uint32_t nr = bounded(w->nr_queues, f->offer.max_queues, w->exact);

	nr = nr ? nr : 1;
	if (nr > FRONT_MAX_QUEUES || order > FRONT_MAX_RING_ORDER)
		return error_set(e, EINVAL,
				 "%u queues and a ring order of %u, expected %u and %u at most", nr,
				 order, FRONT_MAX_QUEUES, FRONT_MAX_RING_ORDER);
	f->ring_order = order;
	for (f->nr_queues = 0; f->nr_queues < nr; f->nr_queues++) {
		int err = front_queue_open(&f->queues[f->nr_queues], f->gntshr,
					   f->device.backend_domid, w->abi, 1u << order);

		if (err) {
			front_abandon(f);
			return error_set(e, -err, "cannot make a ring of %u pages: %s", 1u << order,
					 strerror(-err));
		}
	}
	return 0;
}

void front_abandon(struct front *f)
{
	while (f->nr_queues)
		front_queue_close(&f->queues[--f->nr_queues]);
}

struct publication {
	struct front *f;
	const struct front_wishes *wishes;
};

static int put(struct store *s, xs_transaction_t t, const char *dir, const char *node,
	       uint32_t value)
{
	char text[12];

	snprintf(text, sizeof(text), "%u", value);
	return store_write(s, t, dir, node, text);
}

static int publish_queue(struct front *f, xs_transaction_t t, const char *dir,
			 const struct front_queue *q)
{
	char node[24];
	int err = put(f->store, t, dir, "event-channel", q->port);

	if (!f->ring_order)
		return err ? err : put(f->store, t, dir, "ring-ref", q->pages.grefs[0]);
	for (uint32_t i = 0; i < q->pages.nr && !err; i++) {
		snprintf(node, sizeof(node), "ring-ref%u", i);
		err = put(f->store, t, dir, node, q->pages.grefs[i]);
	}
	return err;
}

/* What an earlier connection left, that of another process too. */
static int unpublish(struct front *f, xs_transaction_t t)
{
	static const char *const stale[] = { "ring-ref",	  "ring-page-order",
					     "num-ring-pages",	  "event-channel",
					     "protocol",	  "multi-queue-num-queues",
					     "feature-persistent" };
	const char *dir = f->device.frontend;
	unsigned int nr;
	char **names;
	int err = 0;

	for (size_t i = 0; i < sizeof(stale) / sizeof(stale[0]) && !err; i++)
		err = store_remove(f->store, t, dir, stale[i]);
	names = xs_directory(f->store->xs, t, dir, &nr);
	for (unsigned int i = 0; names && i < nr && !err; i++) {
		if (!strncmp(names[i], "ring-ref", 8) || !strncmp(names[i], "queue-", 6))
			err = store_remove(f->store, t, dir, names[i]);
	}
	free(names);
	return err;
}

static int publish_queues(struct front *f, xs_transaction_t t)
{
	const char *dir = f->device.frontend;
	char path[STORE_PATH_MAX + 32];
	int err;

	if (f->nr_queues == 1)
		return publish_queue(f, t, dir, &f->queues[0]);
	err = put(f->store, t, dir, "multi-queue-num-queues", f->nr_queues);
	for (uint32_t i = 0; i < f->nr_queues && !err; i++) {
		snprintf(path, sizeof(path), "%s/queue-%u", dir, i);
		err = publish_queue(f, t, path, &f->queues[i]);
	}
	return err;
}

static int publish_fn(struct store *s, xs_transaction_t t, void *arg)
{
	const struct publication *p = arg;
	const struct front_wishes *w = p->wishes;
	struct front *f = p->f;
	const char *dir = f->device.frontend, *protocol = front_abi_protocol(w->abi);
	int err = unpublish(f, t);

	if (!err && protocol)
		err = store_write(s, t, dir, "protocol", protocol);
	if (!err && w->persistent)
		err = put(s, t, dir, "feature-persistent", 1);
	if (!err && f->ring_order)
		err = put(s, t, dir, "ring-page-order", f->ring_order);
	if (!err)
		err = publish_queues(f, t);
	for (uint32_t i = 0; i < w->nr_spoilt && !err; i++)
		err = store_write(s, t, dir, w->spoilt[i].name, w->spoilt[i].value);
	return err;
}

static int publish(struct front *f, const struct front_wishes *w, struct error *e)
{
	struct publication p = { .f = f, .wishes = w };
	int err = store_transact(f->store, publish_fn, &p);

	if (!err)
		err = write_state(f, w->skip_initialised ? XenbusStateConnected
							 : XenbusStateInitialised);
	return err ? error_set(e, -err, "cannot write the frontend's nodes: %s", strerror(-err))
		   : 0;
}

int front_connect(struct front *f, const struct front_wishes *w, struct error *e)
{
	int err;

	f->timeout_ms = w->timeout_ms;
	err = begin(f, e);
	if (err)
		return err;
	read_transport(f);
	err = open_queues(f, w, e);
	if (err)
		return err;
	err = publish(f, w, e);
	if (!err)
		err = await_connected(f, e);
	if (!err) {
		read_disk(f);
		err = write_state(f, XenbusStateConnected);
		if (err)
			error_set(e, -err, "cannot write the frontend's state: %s", strerror(-err));
	}
	if (err)
		front_abandon(f);
	return err;
}

int front_close(struct front *f, struct error *e)
{
	int err = write_state(f, XenbusStateClosing);

	if (!err)
		err = await(f, STATE(Closing) | STATE(Closed), "the backend did not begin to close",
			    e);
	if (err >= 0)
		err = write_state(f, XenbusStateClosed);
	if (!err)
		err = await(f, STATE(Closed), "the backend did not close", e);
	front_abandon(f);
	return err < 0 ? err : 0;
}
