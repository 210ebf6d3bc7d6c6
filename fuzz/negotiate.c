/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A life of a disk: events in any order, and the actions carried out as vbd.c does. What it has open,
 * and what runs, must always be what the state says.
 */
#include "input.h"
#include "negotiate.h"

#define NO_EVENT  NEGOTIATE_NR_EVENTS
#define MAX_CHAIN 4 /* of events that an event brings about at once */

enum queue {
	NO_QUEUE,
	SERVING,
	DRAINING,
};

struct disk {
	struct input *in;
	enum negotiate_state state;
	enum queue queue;
	bool bdev, freed, released;
};

/* Return: what came of them. */
static enum negotiate_event act(struct disk *d, uint32_t actions)
{
	enum negotiate_event event = NO_EVENT;

	must(!d->freed || !actions);
	must(!(actions & ACTION_OPEN) || !(actions & ACTION_CONNECT));
	if (actions & ACTION_OPEN) {
		must(!d->bdev && !d->released);
		d->bdev = !(input_u8(d->in) & 1);
		event = d->bdev ? EVENT_OPENED : EVENT_OPEN_FAILED;
	}
	must(!(actions & ACTION_PUBLISH) || d->bdev);
	if (actions & ACTION_CONNECT) {
		must(d->bdev && d->queue == NO_QUEUE);
		if (input_u8(d->in) & 1)
			event = EVENT_CONNECT_FAILED;
		else
			d->queue = SERVING;
	}
	if (actions & ACTION_DRAIN) {
		/* Once: it is a message of the queue's. */
		must(d->queue == SERVING);
		d->queue = DRAINING;
	}
	if (actions & ACTION_CLOSE_BDEV) {
		must(d->queue == NO_QUEUE);
		d->bdev = false;
	}
	if (actions & ACTION_FREE) {
		must(!d->bdev && d->queue == NO_QUEUE);
		d->freed = true;
	}
	return event;
}

/* As negotiate.h says. */
static void check_state(const struct disk *d)
{
	bool open = d->state >= NEGOTIATE_WAITING && d->state <= NEGOTIATE_LEAVING;
	bool queue = d->state >= NEGOTIATE_CONNECTED && d->state <= NEGOTIATE_LEAVING;

	must(d->bdev == open);
	must((d->queue != NO_QUEUE) == queue);
	must((d->queue == SERVING) ==
	     (d->state == NEGOTIATE_CONNECTED || d->state == NEGOTIATE_CLOSING));
	must(d->freed == (d->state == NEGOTIATE_GONE));
	must(d->state != NEGOTIATE_OPENING);
}

static void feed(struct disk *d, enum negotiate_event event)
{
	for (int i = 0; event != NO_EVENT; i++) {
		struct negotiate_step step = negotiate(d->state, event);

		must(i < MAX_CHAIN);
		must(step.state < NEGOTIATE_NR_STATES);
		must(negotiate_state_name(step.state) && negotiate_event_name(event));
		d->state = step.state;
		d->released |= step.state == NEGOTIATE_RELEASED;
		event = act(d, step.actions);
	}
	check_state(d);
}

static void one_event(struct disk *d)
{
	enum negotiate_event event = input_u8(d->in) % NEGOTIATE_NR_EVENTS;

	switch (event) {
	case EVENT_OPENED:
	case EVENT_OPEN_FAILED:
	case EVENT_CONNECT_FAILED:
		return; /* of our own making: act() */
	case EVENT_DRAINED:
		if (d->queue != DRAINING)
			return;
		d->queue = NO_QUEUE;
		break;
	case EVENT_BROKEN:
		if (d->queue == NO_QUEUE)
			return;
		break;
	default:
		break;
	}
	feed(d, event);
}

/* Whatever it has come to: when the toolstack removes it, it goes. */
static void remove_disk(struct disk *d)
{
	if (d->state != NEGOTIATE_GONE)
		feed(d, EVENT_REMOVED);
	if (d->queue == DRAINING) {
		d->queue = NO_QUEUE;
		feed(d, EVENT_DRAINED);
	}
	must(d->freed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct disk d = { .in = &in };
	struct negotiate_step begin;
	char *value;

	begin = negotiate_begin(EVENT_FRONTEND_GONE +
				input_u8(&in) % (EVENT_FRONTEND_OTHER - EVENT_FRONTEND_GONE + 1));
	d.state = begin.state;
	feed(&d, act(&d, begin.actions));
	for (int i = 0; i < 256 && in.left && !d.freed; i++)
		one_event(&d);
	remove_disk(&d);

	value = input_line(&in);
	must(negotiate_frontend_event(value) >= EVENT_FRONTEND_GONE &&
	     negotiate_frontend_event(value) <= EVENT_FRONTEND_OTHER);
	free(value);
	return 0;
}
