/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands in xenstore: anything, at any time, as fast as it can be written. */
#include "ask_cases.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <xen/io/xenbus.h>

#include "clock.h"

#define STATE(s) (1u << XenbusState##s)

/* How long a flood goes on at least, with so many nodes, and how many connections are tried meanwhile. */
#define FLOOD_NS      40000000ull
#define FLOOD_WRITES  100u
#define FLOOD_CONNECT 2

/* A value that stands for the reference of a page of ours: what others have granted is not for us. */
#define A_PAGE	  "@"

#define DIGITS_50 "99999999999999999999999999999999999999999999999999"
#define LONG	  DIGITS_50 DIGITS_50 DIGITS_50 DIGITS_50 DIGITS_50 DIGITS_50 DIGITS_50 DIGITS_50

/* Published with these nodes as they are. */
static void spoilt(struct hostile *h, const struct hostile_case *k)
{
	if (!session_connect(h, k->nodes, k->nr_nodes)) {
		if (k->fate == FATE_REFUSED)
			hostile_wrong(h, "it was connected");
		h->seen |= ask_serves(h) ? OKAY : NO_ANSWER;
		session_disconnect(h);
	} else if (k->fate == FATE_SERVED) {
		hostile_wrong(h, "it was not connected");
	}
}

/* Nothing is published but these nodes. */
static void only_these(struct hostile *h, const struct hostile_case *k)
{
	static const char *const usual[] = { "ring-ref",	"ring-ref0",
					     "event-channel",	"protocol",
					     "ring-page-order", "multi-queue-num-queues",
					     "queue-0",		"queue-1" };

	session_write(h, "state", "1");
	front_device_wait(&h->store, h->front->device.backend, STATE(InitWait),
			  h->options.timeout_ms);
	for (size_t i = 0; i < NR(usual); i++)
		session_write(h, usual[i], NULL);
	for (uint32_t i = 0; i < k->nr_nodes; i++)
		session_write(h, k->nodes[i].name, k->nodes[i].value);
	session_write(h, "state", "3");
	if (!session_cut_off(h))
		hostile_wrong(h, "it is not refused");
	for (uint32_t i = 0; i < k->nr_nodes; i++)
		session_write(h, k->nodes[i].name, NULL);
}

/* ----- as fast as it can be written */

struct flood {
	pthread_t thread;
	struct hostile *h;
	atomic_bool stop;
	const struct front_node *nodes; /* one after the other; a value of NULL removes it */
	uint32_t nr;
	struct store store;
	atomic_uint writes;
};

static void *write_nodes(void *arg)
{
	struct flood *f = arg;
	const char *dir = f->h->front->device.frontend;
	char page[12];

	snprintf(page, sizeof(page), "%u", f->h->pages.grefs[1]);
	while (!f->stop) {
		for (uint32_t i = 0; i < f->nr; i++) {
			const char *value = f->nodes[i].value;

			if (value)
				store_write(&f->store, XBT_NULL, dir, f->nodes[i].name,
					    strcmp(value, A_PAGE) ? value : page);
			else
				store_remove(&f->store, XBT_NULL, dir, f->nodes[i].name);
			f->writes++;
		}
	}
	return NULL;
}

static bool flood_start(struct flood *f, struct hostile *h, const struct hostile_case *k)
{
	f->h = h;
	f->nodes = k->nodes;
	f->nr = k->nr_nodes;
	if (store_open(&f->store)) {
		hostile_wrong(h, "no connection to xenstore");
		return false;
	}
	pthread_create(&f->thread, NULL, write_nodes, f);
	return true;
}

static void flood_stop(struct flood *f)
{
	f->stop = true;
	pthread_join(f->thread, NULL);
	store_close(&f->store);
}

/* Nodes that mean nothing once a disk is connected: it is served all the time. */
static void flood_while_served(struct hostile *h, const struct hostile_case *k)
{
	uint64_t end_ns = clock_ns() + FLOOD_NS;
	struct flood f = { 0 };

	if (!flood_start(&f, h, k))
		return;
	while ((clock_ns() < end_ns || f.writes < FLOOD_WRITES) && !(h->seen & NO_ANSWER))
		h->seen |= ask_serves(h) ? OKAY : NO_ANSWER;
	flood_stop(&f);
	session_write(h, "state", "4");
}

/* Connects and closes meanwhile, as it comes. */
static void flood_while_connecting(struct hostile *h, const struct hostile_case *k)
{
	uint32_t timeout_ms = h->wishes.timeout_ms;
	struct flood f = { 0 };

	h->wishes.timeout_ms = 50;
	if (flood_start(&f, h, k)) {
		for (uint32_t i = 0; i < FLOOD_CONNECT || f.writes < FLOOD_WRITES; i++) {
			session_connect(h, NULL, 0);
			session_disconnect(h);
		}
		flood_stop(&f);
	}
	h->wishes.timeout_ms = h->front->timeout_ms = timeout_ms;
}

/* The directory goes, with all that is in it, while the disk is in use. */
static void directory_removed(struct hostile *h, const struct hostile_case *k)
{
	const struct front_device *d = &h->front->device;
	struct xs_permissions perms[] = { { .id = d->frontend_domid, .perms = XS_PERM_NONE },
					  { .id = d->backend_domid, .perms = XS_PERM_READ } };

	(void)k;
	if (session_connect(h, NULL, 0))
		hostile_wrong(h, "it is not connected");
	if (!xs_rm(h->store.xs, XBT_NULL, d->frontend))
		hostile_wrong(h, "it cannot be removed");
	if (!session_cut_off(h))
		hostile_wrong(h, "the backend stays connected");
	xs_mkdir(h->store.xs, XBT_NULL, d->frontend);
	xs_set_permissions(h->store.xs, XBT_NULL, d->frontend, perms, NR(perms));
	session_write(h, "backend", d->backend);
	session_write(h, "backend-id", "0");
}

/* Hundreds of nodes below the one that is watched. */
static void many_children(struct hostile *h, const struct hostile_case *k)
{
	char node[32];

	(void)k;
	for (int i = 0; i < 300; i++) {
		snprintf(node, sizeof(node), "state/%d", i);
		session_write(h, node, "1");
	}
	h->seen |= ask_serves(h) ? OKAY : NO_ANSWER;
	session_write(h, "state", NULL);
	session_write(h, "state", "4");
}

#define NODES(...)                                           \
	.nodes = (const struct front_node[]){ __VA_ARGS__ }, \
	.nr_nodes = NR(((const struct front_node[]){ __VA_ARGS__ }))

#define SPOILT(name_, does_, ...)                                                                  \
	{                                                                                          \
		.name = name_, .does = does_, .fate = FATE_REFUSED, .run = spoilt, .closed = true, \
		NODES(__VA_ARGS__)                                                                 \
	}

#define IGNORED(name_, does_, ...)                                                                 \
	{                                                                                          \
		.name = name_, .does = does_, .answers = OKAY, .fate = FATE_SERVED, .run = spoilt, \
		.closed = true, NODES(__VA_ARGS__)                                                 \
	}

#define ONLY(name_, does_, ...)                                                        \
	{                                                                              \
		.name = name_, .does = does_, .fate = FATE_REFUSED, .run = only_these, \
		.closed = true, NODES(__VA_ARGS__)                                     \
	}

#define FLOOD(name_, does_, ...)                                                          \
	{                                                                                 \
		.name = name_, .does = does_, .answers = OKAY, .run = flood_while_served, \
		NODES(__VA_ARGS__)                                                        \
	}

#define FLOOD_CONNECTING(name_, does_, ...)                                                    \
	{                                                                                      \
		.name = name_, .does = does_, .fate = FATE_ANY, .run = flood_while_connecting, \
		.closed = true, NODES(__VA_ARGS__)                                             \
	}

static const struct hostile_case cases[] = {
	SPOILT("ring-ref-empty", "`ring-ref` is empty", { "ring-ref", "" }),
	SPOILT("ring-ref-word", "it is a word", { "ring-ref", "x" }),
	SPOILT("ring-ref-negative", "it is -1", { "ring-ref", "-1" }),
	SPOILT("ring-ref-2^32", "it is 2^32 + 8", { "ring-ref", "4294967304" }),
	SPOILT("ring-ref-2^64", "it is 2^64 + 8", { "ring-ref", "18446744073709551624" }),
	SPOILT("ring-ref-space", "it has a space before it", { "ring-ref", " 8" }),
	SPOILT("ring-ref-newline", "it has a newline behind it", { "ring-ref", "8\n" }),
	SPOILT("ring-ref-hex", "it is hexadecimal", { "ring-ref", "0x8" }),
	SPOILT("ring-ref-long", "it has 400 digits", { "ring-ref", LONG }),
	SPOILT("ring-ref-bytes", "it is no text", { "ring-ref", "\x01\xff\x7f\x80" }),
	SPOILT("event-channel-empty", "`event-channel` is empty", { "event-channel", "" }),
	SPOILT("event-channel-0", "it is 0", { "event-channel", "0" }),
	SPOILT("event-channel-unbound", "it is one that there is not",
	       { "event-channel", "131071" }),
	SPOILT("event-channel-max", "it is 2^32 - 1", { "event-channel", "4294967295" }),
	SPOILT("event-channel-negative", "it is -1", { "event-channel", "-1" }),
	SPOILT("event-channel-long", "it has 400 digits", { "event-channel", LONG }),
	SPOILT("protocol-unknown", "`protocol` is nobody's", { "protocol", "pdp11-abi" }),
	SPOILT("protocol-empty", "it is empty", { "protocol", "" }),
	SPOILT("protocol-format", "it is a format for printf", { "protocol", "%s%n%s%n%999999d" }),
	SPOILT("protocol-escape", "it is a terminal's escape sequence, and lines",
	       { "protocol", "\x1b[2J\nxenblkd ready: \r\n" }),
	SPOILT("protocol-long", "it has 400 characters", { "protocol", LONG }),
	SPOILT("order-5", "`ring-page-order` is 5", { "ring-page-order", "5" }),
	SPOILT("order-30", "it is 30", { "ring-page-order", "30" }),
	SPOILT("order-32", "it is 32, by which nothing is shifted", { "ring-page-order", "32" }),
	SPOILT("order-64", "it is 64", { "ring-page-order", "64" }),
	SPOILT("order-max", "it is 2^32 - 1", { "ring-page-order", "4294967295" }),
	SPOILT("order-negative", "it is -1", { "ring-page-order", "-1" }),
	SPOILT("order-word", "it is a word", { "ring-page-order", "four" }),
	SPOILT("order-without-pages", "it is 2, and there is one page", { "ring-page-order", "2" }),
	SPOILT("pages-0", "`num-ring-pages` is 0", { "num-ring-pages", "0" }),
	SPOILT("pages-3", "it is 3, no power of two", { "num-ring-pages", "3" }),
	SPOILT("pages-17", "it is 17", { "num-ring-pages", "17" }),
	SPOILT("pages-2^31", "it is 2^31", { "num-ring-pages", "2147483648" }),
	SPOILT("pages-other", "it is 4 and `ring-page-order` 1", { "num-ring-pages", "4" },
	       { "ring-page-order", "1" }),
	SPOILT("queues-0", "`multi-queue-num-queues` is 0", { "multi-queue-num-queues", "0" }),
	SPOILT("queues-17", "it is more than can be offered", { "multi-queue-num-queues", "17" }),
	SPOILT("queues-10^9", "it is a billion", { "multi-queue-num-queues", "1000000000" }),
	SPOILT("queues-max", "it is 2^32 - 1", { "multi-queue-num-queues", "4294967295" }),
	SPOILT("queues-2^32+1", "it is 2^32 + 1", { "multi-queue-num-queues", "4294967297" }),
	SPOILT("queues-negative", "it is -1", { "multi-queue-num-queues", "-1" }),
	SPOILT("queues-missing", "it is 2, and there is one", { "multi-queue-num-queues", "2" }),

	SPOILT("persistent-bytes", "`feature-persistent` is no text",
	       { "feature-persistent", "\xff" }),
	SPOILT("persistent-2", "it is 2", { "feature-persistent", "2" }),

	IGNORED("others", "nodes that mean nothing to a backend say anything",
		{ "virtual-device", "-1" }, { "device-type", LONG },
		{ "backend", "/local/domain/0" }, { "backend-id", "77" },
		{ "feature-large-sector-size", "x" }, { "trusted", "0" }),
	IGNORED("queue-besides", "one queue, and others beside it that nobody has",
		{ "queue-1/ring-ref", "4294967295" }, { "queue-1/event-channel", "0" },
		{ "queue-99/ring-ref", "x" }),

	{ .name = "none",
	  .does = "state 3 with no other node at all",
	  .fate = FATE_REFUSED,
	  .run = only_these,
	  .closed = true },
	ONLY("no-port", "a ring and no event channel", { "ring-ref", "8" }),
	ONLY("no-ring", "an event channel and no ring", { "event-channel", "1" }),
	ONLY("ring-directory", "`ring-ref` is a directory", { "ring-ref/0", "8" },
	     { "event-channel", "1" }),
	ONLY("queue-is-value", "queues that are no directories", { "multi-queue-num-queues", "2" },
	     { "queue-0", "8" }, { "queue-1", "9" }),
	ONLY("queue-half", "the first of two queues alone", { "multi-queue-num-queues", "2" },
	     { "queue-0/ring-ref", "8" }, { "queue-0/event-channel", "1" }),
	ONLY("pages-half", "the first of two pages alone", { "ring-page-order", "1" },
	     { "ring-ref0", "8" }, { "event-channel", "1" }),
	{ .name = "directory-removed",
	  .does = "its directory is removed while the disk is in use",
	  .fate = FATE_ANY,
	  .run = directory_removed,
	  .closed = true },
	{ .name = "children",
	  .does = "300 nodes below `state`",
	  .answers = OKAY,
	  .run = many_children },

	FLOOD("flood-state-4", "`state` is written as what it is, thousands of times a second",
	      { "state", "4" }),
	FLOOD("flood-state-noise", "`state` says anything", { "state", "" }, { "state", "44" },
	      { "state", "x" }, { "state", LONG }, { "state", "-1" }, { "state", "9" },
	      { "state", "4" }),
	FLOOD("flood-nodes", "ring, port and the rest are written anew while they are in use",
	      { "ring-ref", A_PAGE }, { "event-channel", "2" }, { "ring-page-order", "30" },
	      { "multi-queue-num-queues", "1000" }, { "protocol", "x" }, { "new", LONG }),
	FLOOD_CONNECTING("flood-ring-ref", "`ring-ref` changes while it is read",
			 { "ring-ref", "x" }, { "ring-ref", A_PAGE }, { "ring-ref", NULL }),
	FLOOD_CONNECTING("flood-queues", "the number of queues does",
			 { "multi-queue-num-queues", "16" }, { "multi-queue-num-queues", "1" },
			 { "queue-0/ring-ref", A_PAGE }, { "queue-0", NULL }),
	FLOOD_CONNECTING("flood-states", "all states, thousands of times a second",
			 { "state", "1" }, { "state", "3" }, { "state", "4" }, { "state", "5" },
			 { "state", "6" }),
	FLOOD_CONNECTING("flood-1-4", "states 1 and 4 by turns", { "state", "1" },
			 { "state", "4" }),
	FLOOD_CONNECTING("flood-removed", "`state` is removed and written by turns",
			 { "state", NULL }, { "state", "4" }, { "state", NULL }, { "state", "3" }),
};

const struct hostile_group nodes_group = { "node", cases, NR(cases) };
