/* SPDX-License-Identifier: BSD-2-Clause */
#include "transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int read_abi(struct store *s, const char *frontend, struct transport *t, struct error *e)
{
	char *protocol = store_read(s, XBT_NULL, "%s/protocol", frontend);
	int err = 0;

	t->abi = abi_from_protocol(protocol);
	if (!t->abi)
		err = error_set(e, EPROTO,
				"the frontend's protocol is \"%.32s\", expected %s or %s", protocol,
				abi_x86_64.protocol, abi_x86_32.protocol);
	free(protocol);
	return err;
}

/* A node that may be missing; what is there has to be a number from @min to @max. */
static int read_optional(struct store *s, const char *frontend, const char *node, uint32_t min,
			 uint32_t max, uint32_t *out, struct error *e)
{
	uint32_t value;
	int err = store_read_u32(s, XBT_NULL, &value, "%s/%s", frontend, node);

	if (err == -ENOENT)
		return 0;
	if (err || value < min || value > max)
		return error_set(e, EPROTO, "the frontend's %s is no number from %u to %u", node,
				 min, max);
	*out = value;
	return 0;
}

static int read_ring_pages(struct store *s, const char *frontend, struct transport *t,
			   struct error *e)
{
	uint32_t order = UINT32_MAX, nr = 0;
	int err = read_optional(s, frontend, "ring-page-order", 0, TRANSPORT_MAX_RING_ORDER, &order,
				e);

	if (!err)
		err = read_optional(s, frontend, "num-ring-pages", 1, TRANSPORT_MAX_RING_PAGES, &nr,
				    e);
	if (err)
		return err;
	if (order == UINT32_MAX)
		t->nr_ring_pages = nr ? nr : 1;
	else
		t->nr_ring_pages = 1u << order;
	if ((nr && nr != t->nr_ring_pages) || t->nr_ring_pages & (t->nr_ring_pages - 1))
		return error_set(
			e, EPROTO,
			"the frontend's num-ring-pages is %u, expected a power of two, and "
			"that of its ring-page-order",
			nr);
	return 0;
}

/* @dir: below the frontend's directory, with a slash at its end; or empty */
static int read_queue(struct store *s, const char *frontend, const char *dir,
		      uint32_t nr_ring_pages, struct transport_queue *q, struct error *e)
{
	/* Some number the only page too. */
	if (nr_ring_pages > 1 ||
	    store_read_u32(s, XBT_NULL, &q->ring_refs[0], "%s/%sring-ref", frontend, dir)) {
		for (uint32_t i = 0; i < nr_ring_pages; i++) {
			if (store_read_u32(s, XBT_NULL, &q->ring_refs[i], "%s/%sring-ref%u",
					   frontend, dir, i))
				return error_set(
					e, EPROTO,
					"the frontend has no %sring-ref%s that is a number", dir,
					nr_ring_pages > 1 ? "N for each page" : "");
		}
	}
	if (store_read_u32(s, XBT_NULL, &q->event_channel, "%s/%sevent-channel", frontend, dir))
		return error_set(e, EPROTO, "the frontend has no %sevent-channel that is a number",
				 dir);
	return 0;
}

int transport_read(struct store *s, const char *frontend, uint32_t max_queues,
		   struct transport *out, struct error *e)
{
	struct transport t = { .nr_queues = 1 };
	uint32_t persistent = 0;
	char dir[24];
	int err = read_abi(s, frontend, &t, e);

	if (!err)
		err = read_optional(s, frontend, "multi-queue-num-queues", 1, max_queues,
				    &t.nr_queues, e);
	if (!err)
		err = read_ring_pages(s, frontend, &t, e);
	if (!err)
		err = read_optional(s, frontend, "feature-persistent", 0, 1, &persistent, e);
	if (err)
		return err;
	t.persistent = persistent;
	/* With one queue, what stands in the frontend's own directory is what blkif.h means. */
	if (t.nr_queues == 1 && !read_queue(s, frontend, "", t.nr_ring_pages, &t.queues[0], e))
		goto done;
	for (uint32_t i = 0; i < t.nr_queues; i++) {
		struct error below = { "" };

		snprintf(dir, sizeof(dir), "queue-%u/", i);
		err = read_queue(s, frontend, dir, t.nr_ring_pages, &t.queues[i], &below);
		if (!err)
			continue;
		/* Of a single queue, what is missing in the usual place is what is wrong. */
		if (t.nr_queues > 1)
			*e = below;
		return err;
	}
done:
	*out = t;
	return 0;
}
