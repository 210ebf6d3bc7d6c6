/* SPDX-License-Identifier: BSD-2-Clause */
/* States in any order; connections made and ended without an end; guests that die in each of them. */
#include "ask_cases.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xen/io/xenbus.h>

#define STATE(s) (1u << XenbusState##s)

static void pause_ms(long ms)
{
	struct timespec ts = { 0, ms * 1000000 };

	nanosleep(&ts, NULL);
}

/* These states, one after the other; a point is a pause. */
static void write_states(struct hostile *h, const char *states)
{
	char text[2] = "";

	for (; *states; states++) {
		if (*states == '.') {
			pause_ms(2);
			continue;
		}
		text[0] = *states;
		session_write(h, "state", text);
	}
}

/* From a disk that was connected once, or that is. */
static void states(struct hostile *h, const struct hostile_case *k)
{
	if (k->number && session_connect(h, NULL, 0))
		hostile_wrong(h, "it is not connected");
	write_states(h, k->text);
}

static void random_states(struct hostile *h, const struct hostile_case *k)
{
	for (int turn = 0; turn < 10; turn++) {
		char text[16];
		size_t n = 0;

		for (; n < sizeof(text) - 1; n++)
			text[n] = "0123456.."[hostile_random(h) % 9];
		text[n] = '\0';
		if (turn % 2)
			session_connect(h, NULL, 0);
		write_states(h, text);
		session_disconnect(h);
	}
	(void)k;
}

/* ----- connected and not, again and again */

static void flap(struct hostile *h, const struct hostile_case *k)
{
	struct front_wishes before = h->wishes;
	uint32_t rounds = h->options.rounds;

	if (k->number) {
		h->wishes.exact = false;
		h->wishes.nr_queues = 16;
		h->wishes.ring_order = 4;
		rounds = rounds / 10 + 1;
	}
	for (uint32_t i = 0; i < rounds && !h->why[0]; i++) {
		if (session_connect(h, NULL, 0))
			hostile_wrong(h, "it does not connect for the %uth time", i + 1);
		else if (k->text)
			front_abandon(h->front);
		else
			session_disconnect(h);
	}
	h->wishes = before;
}

/* Asks for something wrong, again and again. */
static void flap_refused(struct hostile *h, const struct hostile_case *k)
{
	for (uint32_t i = 0; i < h->options.rounds && !h->why[0]; i++) {
		if (!session_connect(h, k->nodes, k->nr_nodes))
			hostile_wrong(h, "it was connected");
		session_disconnect(h);
	}
}

/* All requests of a ring, and away. */
static void abandon_in_flight(struct hostile *h, const struct hostile_case *k)
{
	uint8_t entry[FRONT_ENTRY_MAX_BYTES], operation;
	struct front_queue *q = hostile_queue(h);
	uint64_t id;

	for (uint32_t i = 0; i < h->options.rounds && !h->why[0]; i++) {
		if (session_connect(h, NULL, 0)) {
			hostile_wrong(h, "it does not connect for the %uth time", i + 1);
			return;
		}
		while (front_ring_free(&q->ring)) {
			ask_encode(h, &k->ask, entry, &id, &operation);
			front_queue_put_raw(q, entry);
		}
		front_queue_push(q);
		front_abandon(h->front);
	}
}

/* ----- dies */

extern char **environ;

static void dies(struct hostile *h, const struct hostile_case *k)
{
	char where[40], device[STORE_PATH_MAX + 16];
	char *argv[] = { "hostile", where, device, NULL };
	int status = 0;
	pid_t pid;

	snprintf(where, sizeof(where), "--die=%s", k->text);
	snprintf(device, sizeof(device), "--device=%s", h->front->device.frontend);
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) ||
	    waitpid(pid, &status, 0) != pid)
		hostile_wrong(h, "nobody died: %s", strerror(errno));
	else if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		hostile_wrong(h, "it ended of itself, with status %d", WEXITSTATUS(status));
}

static void die(void)
{
	kill(getpid(), SIGKILL);
}

/* Requests in all queues, of 11 segments that name pages that there are. */
static void fill_queues(struct hostile *h)
{
	struct front_segment segments[FRONT_MAX_DIRECT];
	const struct front_request req = { .operation = W,
					   .id = 7,
					   .sector = 4096,
					   .nr_segments = FRONT_MAX_DIRECT,
					   .segments = segments };

	if (front_pages_create(&h->pages, h->front->gntshr, 0, FRONT_MAX_DIRECT, true))
		return;
	for (uint32_t i = 0; i < FRONT_MAX_DIRECT; i++)
		segments[i] = (struct front_segment){ h->pages.grefs[i], 0, 7 };
	for (uint32_t i = 0; i < h->front->nr_queues; i++) {
		while (!front_queue_put(&h->front->queues[i], &req))
			;
		front_queue_push(&h->front->queues[i]);
	}
}

/* Nodes of a ring, without waiting for anything; half of them, if so wished. */
static void publish(struct hostile *h, bool half)
{
	struct front_queue *q = hostile_queue(h);
	char text[12];

	if (front_queue_open(q, h->front->gntshr, 0, FRONT_ABI_X86_64, 1))
		return;
	snprintf(text, sizeof(text), "%u", q->pages.grefs[0]);
	session_write(h, "ring-ref", text);
	snprintf(text, sizeof(text), "%u", q->port);
	session_write(h, "event-channel", half ? NULL : text);
}

static void get_ready(struct hostile *h)
{
	session_write(h, "state", "1");
	front_device_wait(&h->store, h->front->device.backend, STATE(InitWait),
			  h->options.timeout_ms);
}

static void die_connected(struct hostile *h, const char *where)
{
	if (!strcmp(where, "many-queues")) {
		h->wishes.exact = false;
		h->wishes.nr_queues = 16;
		h->wishes.ring_order = 4;
	}
	if (session_connect(h, NULL, 0))
		return;
	if (!strcmp(where, "in-flight") || !strcmp(where, "many-queues"))
		fill_queues(h);
	if (!strcmp(where, "5") || !strcmp(where, "6"))
		session_write(h, "state", where);
	if (!strcmp(where, "1-again"))
		session_write(h, "state", "1");
	die();
}

int hostile_die(struct hostile *h, const char *where)
{
	struct front_device device;
	struct error e;

	h->front = &h->fronts[0];
	if (front_device_find(&h->store, h->options.device, &device, &e) ||
	    front_open(h->front, &h->store, &device))
		return EXIT_FAILURE;
	if (!strcmp(where, "0")) {
		session_write(h, "state", NULL);
		die();
	} else if (!strcmp(where, "1")) {
		get_ready(h);
		die();
	} else if (!strncmp(where, "3", 1)) {
		get_ready(h);
		publish(h, !strcmp(where, "3-half"));
		session_write(h, "state", "3");
		die();
	} else if (!strcmp(where, "transaction")) {
		xs_transaction_t t = xs_transaction_start(h->store.xs);

		store_write(&h->store, t, device.frontend, "state", "1");
		die();
	}
	die_connected(h, where);
	return EXIT_FAILURE;
}

#define CLOSED(name_, does_, text_)                                                            \
	{                                                                                      \
		.name = name_, .does = does_, .fate = FATE_ANY, .run = states, .closed = true, \
		.text = text_                                                                  \
	}

#define CONNECTED(name_, does_, text_)                                                         \
	{                                                                                      \
		.name = name_, .does = does_, .fate = FATE_ANY, .run = states, .closed = true, \
		.text = text_, .number = 1                                                     \
	}

#define DIES(name_, does_, text_)                                                            \
	{                                                                                    \
		.name = name_, .does = does_, .fate = FATE_ANY, .run = dies, .closed = true, \
		.text = text_                                                                \
	}

static const struct hostile_case cases[] = {
	CLOSED("closed-0", "a disk that is closed: state 0", "0."),
	CLOSED("closed-1", "1", "1."),
	CLOSED("closed-2", "2, which is a backend's", "2."),
	CLOSED("closed-3", "3, with the nodes of a ring that is no more", "3."),
	CLOSED("closed-4", "4, with them", "4."),
	CLOSED("closed-5", "5", "5."),
	CLOSED("closed-6", "6", "6."),
	CLOSED("closed-7", "7", "7."),
	CLOSED("closed-8", "8", "8."),
	CLOSED("closed-9", "9, which there is not", "9."),
	CLOSED("closed-up", "all of them upwards", "0123456789"),
	CLOSED("closed-down", "all of them downwards", "9.8.7.6.5.4.3.2.1.0."),
	CLOSED("closed-1-3", "1 and 3 by turns", "1.3.1.3.1.3.1.3"),
	CLOSED("closed-1-5", "1 and 5 by turns", "1.5.1.5.1.5.1.5"),
	CLOSED("closed-1-6", "1 and 6 by turns", "161616.1.6.1.6"),
	CLOSED("closed-3-4", "3 and 4 by turns", "343434.3.4.3.4"),
	CLOSED("closed-5-6", "5 and 6 by turns", "565656.5.6.5.6"),
	CONNECTED("connected-0", "a disk that is connected: state 0", "0."),
	CONNECTED("connected-1", "1, as another kernel of the same guest does", "1."),
	CONNECTED("connected-2", "2", "2."),
	CONNECTED("connected-3", "3 again", "3.3.3."),
	CONNECTED("connected-4", "4 again", "4.4.4."),
	CONNECTED("connected-6", "6 without 5", "6."),
	CONNECTED("connected-5-4", "5, and 4 after all", "5.4.4."),
	CONNECTED("connected-5-1", "5, and 1", "5.1."),
	CONNECTED("connected-6-4", "6, and 4", "6.4."),
	CONNECTED("connected-1-4", "1 and 4 at once", "1414141414"),
	CONNECTED("connected-7-8", "7 and 8, as if it were reconfigured", "7.8.7.8."),
	{ .name = "random",
	  .does = "states at random, connected and not",
	  .fate = FATE_ANY,
	  .run = random_states,
	  .closed = true },

	{ .name = "flap",
	  .does = "connects and closes, many times",
	  .fate = FATE_ANY,
	  .run = flap,
	  .closed = true },
	{ .name = "flap-large",
	  .does = "with 16 queues of 16 pages, if it can have them",
	  .fate = FATE_ANY,
	  .run = flap,
	  .closed = true,
	  .number = 1 },
	{ .name = "flap-abandoned",
	  .does = "connects many times and never closes",
	  .fate = FATE_ANY,
	  .run = flap,
	  .closed = true,
	  .text = "abandoned" },
	{ .name = "flap-in-flight",
	  .does = "likewise, with a full ring in flight",
	  .fate = FATE_ANY,
	  .run = abandon_in_flight,
	  .closed = true,
	  .ask = { .op = R, .nr = 11 } },
	{ .name = "flap-indirect",
	  .does = "likewise, with indirect requests of 256 pages",
	  .fate = FATE_ANY,
	  .run = abandon_in_flight,
	  .closed = true,
	  .ask = { .op = R, .indirect = true, .nr = 256 } },
	{ .name = "flap-refused",
	  .does = "asks for a ring that it has not granted, many times",
	  .fate = FATE_ANY,
	  .run = flap_refused,
	  .closed = true,
	  .nodes = (const struct front_node[]){ { "ring-ref", "4294967295" } },
	  .nr_nodes = 1 },

	DIES("dies-0", "dies when it has removed its state", "0"),
	DIES("dies-1", "dies at state 1", "1"),
	DIES("dies-3", "dies at state 3, at once", "3"),
	DIES("dies-3-half", "dies at state 3, with half of its nodes", "3-half"),
	DIES("dies-transaction", "dies within a transaction", "transaction"),
	DIES("dies-4", "dies at state 4", "4"),
	DIES("dies-in-flight", "dies with a full ring of writes in flight", "in-flight"),
	DIES("dies-many-queues", "dies with 16 full rings of 16 pages", "many-queues"),
	DIES("dies-1-again", "dies at state 1 after 4", "1-again"),
	DIES("dies-5", "dies at state 5", "5"),
	DIES("dies-6", "dies at state 6", "6"),
};

const struct hostile_group states_group = { "state", cases, NR(cases) };
