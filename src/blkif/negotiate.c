/* SPDX-License-Identifier: BSD-2-Clause */
#include "negotiate.h"

#include <assert.h>
#include <stddef.h>
#include <xen/io/xenbus.h>

/*
 * One row a state, one entry an event. An entry that is not there is all zero: OPENING without an
 * action. No row says that (what enters OPENING does so with ACTION_OPEN), so it means "ignored".
 */

/* Deaf to the frontend, which may have gone through several states by the time the bdev is open. */
static const struct negotiate_step opening[NEGOTIATE_NR_EVENTS] = {
	[EVENT_OPENED] = { NEGOTIATE_WAITING, ACTION_PUBLISH | ACTION_WAIT | ACTION_REREAD },
	/* State 2 although it failed: the toolstack waits for it before it asks for the reason. */
	[EVENT_OPEN_FAILED] = { NEGOTIATE_REFUSED, ACTION_REPORT | ACTION_WAIT | ACTION_REREAD },
	[EVENT_OPEN_BUSY] = { NEGOTIATE_BUSY, 0 },
	[EVENT_REMOVED] = { NEGOTIATE_GONE, ACTION_CLOSE_BDEV | ACTION_FREE },
	[EVENT_STOP] = { NEGOTIATE_GONE, ACTION_CLOSE_BDEV | ACTION_FREE },
};

/* A frontend waits for our state 2 as long as it takes; what it said is read again behind OPENED. */
static const struct negotiate_step busy[NEGOTIATE_NR_EVENTS] = {
	[EVENT_FRONTEND_GONE] = { NEGOTIATE_CLOSED, ACTION_CLOSED },
	[EVENT_FRONTEND_CLOSED] = { NEGOTIATE_CLOSED, ACTION_CLOSED },
	[EVENT_OFFLINE] = { NEGOTIATE_RELEASED, ACTION_CLOSED },
	[EVENT_REMOVED] = { NEGOTIATE_GONE, ACTION_FREE },
	[EVENT_RETRY] = { NEGOTIATE_OPENING, ACTION_OPEN },
	[EVENT_STOP] = { NEGOTIATE_GONE, ACTION_FREE },
	[EVENT_SUPERSEDED] = { NEGOTIATE_RELEASED, ACTION_CLOSED },
};

/*
 * Frontends that take our state 2 for a disk and wait for 4, or for our 5 to their 5, are told that
 * there is none (Windows waits for either without an end). Not one that is at 4: it may be a guest
 * whose disk an earlier daemon served, that loses it for good at 5 and else waits for the next.
 */
static const struct negotiate_step refused[NEGOTIATE_NR_EVENTS] = {
	[EVENT_FRONTEND_GONE] = { NEGOTIATE_CLOSED, ACTION_CLOSED },
	[EVENT_FRONTEND_INITIALISED] = { NEGOTIATE_FAILED, ACTION_CLOSING },
	[EVENT_FRONTEND_CLOSING] = { NEGOTIATE_FAILED, ACTION_CLOSING },
	[EVENT_FRONTEND_CLOSED] = { NEGOTIATE_CLOSED, ACTION_CLOSED },
	[EVENT_OFFLINE] = { NEGOTIATE_RELEASED, ACTION_CLOSED },
	[EVENT_REMOVED] = { NEGOTIATE_GONE, ACTION_FREE },
	[EVENT_RETRY] = { NEGOTIATE_OPENING, ACTION_OPEN },
	[EVENT_STOP] = { NEGOTIATE_GONE, ACTION_FREE },
	[EVENT_SUPERSEDED] = { NEGOTIATE_RELEASED, ACTION_CLOSED },
};

static const struct negotiate_step waiting[NEGOTIATE_NR_EVENTS] = {
	[EVENT_FRONTEND_GONE] = { NEGOTIATE_CLOSED, ACTION_CLOSE_BDEV | ACTION_CLOSED },
	[EVENT_FRONTEND_INITIALISED] = { NEGOTIATE_CONNECTED, ACTION_CONNECT },
	[EVENT_FRONTEND_CONNECTED] = { NEGOTIATE_CONNECTED, ACTION_CONNECT },
	/*
	 * Windows first of all closes what it finds: it writes 5 to a backend at 2, and goes on
	 * once that is at 5. Others wait for 5 exactly and take 6 for an error (OVMF).
	 */
	[EVENT_FRONTEND_CLOSING] = { NEGOTIATE_PARTING, ACTION_CLOSE_BDEV | ACTION_CLOSING },
	[EVENT_FRONTEND_CLOSED] = { NEGOTIATE_CLOSED, ACTION_CLOSE_BDEV | ACTION_CLOSED },
	[EVENT_OFFLINE] = { NEGOTIATE_RELEASED, ACTION_CLOSE_BDEV | ACTION_CLOSED },
	[EVENT_REMOVED] = { NEGOTIATE_GONE, ACTION_CLOSE_BDEV | ACTION_FREE },
	[EVENT_STOP] = { NEGOTIATE_GONE, ACTION_CLOSE_BDEV | ACTION_FREE },
	[EVENT_SUPERSEDED] = { NEGOTIATE_RELEASED, ACTION_CLOSE_BDEV | ACTION_CLOSED },
};

static const struct negotiate_step connected[NEGOTIATE_NR_EVENTS] = {
	/* There is no queue to drain. */
	[EVENT_CONNECT_FAILED] = { NEGOTIATE_FAILED,
				   ACTION_REPORT | ACTION_CLOSE_BDEV | ACTION_CLOSING },
	[EVENT_BROKEN] = { NEGOTIATE_FAILING, ACTION_REPORT | ACTION_DRAIN | ACTION_CLOSING },
	[EVENT_FRONTEND_GONE] = { NEGOTIATE_DRAINING, ACTION_DRAIN },
	/* Another kernel began in the same guest, without closing: kexec, a crash kernel. */
	[EVENT_FRONTEND_INITIALISING] = { NEGOTIATE_RESTARTING, ACTION_DRAIN },
	[EVENT_FRONTEND_CLOSING] = { NEGOTIATE_CLOSING, ACTION_CLOSING },
	[EVENT_FRONTEND_CLOSED] = { NEGOTIATE_DRAINING, ACTION_DRAIN },
	/*
	 * The frontend learns it from state 5 and closes when it can; until then it is served. The
	 * toolstack wrote the 5, but our 4 may have been written over it.
	 */
	[EVENT_OFFLINE] = { NEGOTIATE_CLOSING, ACTION_CLOSING },
	[EVENT_REMOVED] = { NEGOTIATE_LEAVING, ACTION_DRAIN },
	[EVENT_STOP] = { NEGOTIATE_LEAVING, ACTION_DRAIN },
	[EVENT_SUPERSEDED] = { NEGOTIATE_YIELDING, ACTION_DRAIN },
};

static const struct negotiate_step closing[NEGOTIATE_NR_EVENTS] = {
	[EVENT_BROKEN] = { NEGOTIATE_FAILING, ACTION_REPORT | ACTION_DRAIN },
	[EVENT_FRONTEND_GONE] = { NEGOTIATE_DRAINING, ACTION_DRAIN },
	[EVENT_FRONTEND_INITIALISING] = { NEGOTIATE_RESTARTING, ACTION_DRAIN },
	[EVENT_FRONTEND_CLOSED] = { NEGOTIATE_DRAINING, ACTION_DRAIN },
	[EVENT_REMOVED] = { NEGOTIATE_LEAVING, ACTION_DRAIN },
	[EVENT_STOP] = { NEGOTIATE_LEAVING, ACTION_DRAIN },
	[EVENT_SUPERSEDED] = { NEGOTIATE_YIELDING, ACTION_DRAIN },
};

static const struct negotiate_step draining[NEGOTIATE_NR_EVENTS] = {
	[EVENT_DRAINED] = { NEGOTIATE_CLOSED, ACTION_CLOSE_BDEV | ACTION_CLOSED | ACTION_REREAD },
	[EVENT_REMOVED] = { NEGOTIATE_LEAVING, 0 },
	[EVENT_STOP] = { NEGOTIATE_LEAVING, 0 },
	[EVENT_SUPERSEDED] = { NEGOTIATE_YIELDING, 0 },
};

static const struct negotiate_step restarting[NEGOTIATE_NR_EVENTS] = {
	[EVENT_DRAINED] = { NEGOTIATE_WAITING, ACTION_PUBLISH | ACTION_WAIT | ACTION_REREAD },
	[EVENT_FRONTEND_GONE] = { NEGOTIATE_DRAINING, 0 },
	[EVENT_FRONTEND_CLOSED] = { NEGOTIATE_DRAINING, 0 },
	[EVENT_REMOVED] = { NEGOTIATE_LEAVING, 0 },
	[EVENT_STOP] = { NEGOTIATE_LEAVING, 0 },
	[EVENT_SUPERSEDED] = { NEGOTIATE_YIELDING, 0 },
};

static const struct negotiate_step failing[NEGOTIATE_NR_EVENTS] = {
	[EVENT_DRAINED] = { NEGOTIATE_FAILED, ACTION_CLOSE_BDEV | ACTION_REREAD },
	[EVENT_REMOVED] = { NEGOTIATE_LEAVING, 0 },
	[EVENT_STOP] = { NEGOTIATE_LEAVING, 0 },
	[EVENT_SUPERSEDED] = { NEGOTIATE_YIELDING, 0 },
};

/* The frontend is suspended for good, or would do harm: nothing that it says is heard. */
static const struct negotiate_step yielding[NEGOTIATE_NR_EVENTS] = {
	[EVENT_DRAINED] = { NEGOTIATE_RELEASED, ACTION_CLOSE_BDEV | ACTION_CLOSED | ACTION_REREAD },
	[EVENT_REMOVED] = { NEGOTIATE_LEAVING, 0 },
	[EVENT_STOP] = { NEGOTIATE_LEAVING, 0 },
};

/* Our state stays as it is: the next daemon finds the guest at 4 and goes on with its ring. */
static const struct negotiate_step leaving[NEGOTIATE_NR_EVENTS] = {
	[EVENT_DRAINED] = { NEGOTIATE_GONE, ACTION_CLOSE_BDEV | ACTION_FREE },
};

/*
 * FAILED and PARTING: our state is 5 and nothing is open. A frontend at 3 or 4 is no reason to go
 * on: it is the one that failed, and has not looked yet.
 */
static const struct negotiate_step shut[NEGOTIATE_NR_EVENTS] = {
	[EVENT_FRONTEND_GONE] = { NEGOTIATE_CLOSED, ACTION_CLOSED },
	[EVENT_FRONTEND_INITIALISING] = { NEGOTIATE_OPENING, ACTION_OPEN },
	[EVENT_FRONTEND_CLOSED] = { NEGOTIATE_CLOSED, ACTION_CLOSED },
	[EVENT_OFFLINE] = { NEGOTIATE_RELEASED, ACTION_CLOSED },
	[EVENT_REMOVED] = { NEGOTIATE_GONE, ACTION_FREE },
	[EVENT_STOP] = { NEGOTIATE_GONE, ACTION_FREE },
	[EVENT_SUPERSEDED] = { NEGOTIATE_RELEASED, ACTION_CLOSED },
};

static const struct negotiate_step closed[NEGOTIATE_NR_EVENTS] = {
	[EVENT_FRONTEND_INITIALISING] = { NEGOTIATE_OPENING, ACTION_OPEN },
	/* Firmware and small kernels publish their ring without having been at 1. */
	[EVENT_FRONTEND_INITIALISED] = { NEGOTIATE_OPENING, ACTION_OPEN },
	[EVENT_FRONTEND_CONNECTED] = { NEGOTIATE_OPENING, ACTION_OPEN },
	[EVENT_OFFLINE] = { NEGOTIATE_RELEASED, ACTION_CLOSED },
	[EVENT_REMOVED] = { NEGOTIATE_GONE, ACTION_FREE },
	[EVENT_STOP] = { NEGOTIATE_GONE, ACTION_FREE },
	[EVENT_SUPERSEDED] = { NEGOTIATE_RELEASED, ACTION_CLOSED },
};

/*
 * At state 6 the toolstack thinks the device unused, and may give it to another: a guest that
 * begins anew now must not have it opened again.
 */
static const struct negotiate_step released[NEGOTIATE_NR_EVENTS] = {
	[EVENT_OFFLINE] = { NEGOTIATE_RELEASED, ACTION_CLOSED },
	[EVENT_REMOVED] = { NEGOTIATE_GONE, ACTION_FREE },
	[EVENT_STOP] = { NEGOTIATE_GONE, ACTION_FREE },
};

static const struct negotiate_step gone[NEGOTIATE_NR_EVENTS];

static const struct {
	const char *name;
	const struct negotiate_step *row; /* NEGOTIATE_NR_EVENTS of them */
} states[NEGOTIATE_NR_STATES] = {
	[NEGOTIATE_OPENING] = { "opening", opening },
	[NEGOTIATE_BUSY] = { "busy", busy },
	[NEGOTIATE_REFUSED] = { "refused", refused },
	[NEGOTIATE_WAITING] = { "waiting", waiting },
	[NEGOTIATE_CONNECTED] = { "connected", connected },
	[NEGOTIATE_CLOSING] = { "closing", closing },
	[NEGOTIATE_DRAINING] = { "draining", draining },
	[NEGOTIATE_RESTARTING] = { "restarting", restarting },
	[NEGOTIATE_FAILING] = { "failing", failing },
	[NEGOTIATE_YIELDING] = { "yielding", yielding },
	[NEGOTIATE_LEAVING] = { "leaving", leaving },
	[NEGOTIATE_PARTING] = { "parting", shut },
	[NEGOTIATE_FAILED] = { "failed", shut },
	[NEGOTIATE_CLOSED] = { "closed", closed },
	[NEGOTIATE_RELEASED] = { "released", released },
	[NEGOTIATE_GONE] = { "gone", gone },
};

static const char *const event_names[NEGOTIATE_NR_EVENTS] = {
	[EVENT_OPENED] = "opened",
	[EVENT_OPEN_FAILED] = "open failed",
	[EVENT_OPEN_BUSY] = "open busy",
	[EVENT_CONNECT_FAILED] = "connect failed",
	[EVENT_DRAINED] = "drained",
	[EVENT_BROKEN] = "broken",
	[EVENT_FRONTEND_GONE] = "frontend gone",
	[EVENT_FRONTEND_INITIALISING] = "frontend initialising",
	[EVENT_FRONTEND_INITIALISED] = "frontend initialised",
	[EVENT_FRONTEND_CONNECTED] = "frontend connected",
	[EVENT_FRONTEND_CLOSING] = "frontend closing",
	[EVENT_FRONTEND_CLOSED] = "frontend closed",
	[EVENT_FRONTEND_OTHER] = "frontend other",
	[EVENT_OFFLINE] = "offline",
	[EVENT_REMOVED] = "removed",
	[EVENT_SUPERSEDED] = "superseded",
	[EVENT_RETRY] = "retry",
	[EVENT_STOP] = "stop",
};

struct negotiate_step negotiate_begin(enum negotiate_event frontend)
{
	static const struct negotiate_step open = { NEGOTIATE_OPENING, ACTION_OPEN };
	static const struct negotiate_step none = { NEGOTIATE_CLOSED, ACTION_CLOSED };

	return frontend == EVENT_FRONTEND_CLOSED ? none : open;
}

struct negotiate_step negotiate(enum negotiate_state state, enum negotiate_event event)
{
	static const struct negotiate_step nothing;
	struct negotiate_step step;

	assert((unsigned)state < NEGOTIATE_NR_STATES);
	assert((unsigned)event < NEGOTIATE_NR_EVENTS);
	step = states[state].row[event];
	if (step.state == nothing.state && step.actions == nothing.actions)
		step.state = state;
	return step;
}

enum negotiate_event negotiate_frontend_event(const char *value)
{
	if (!value)
		return EVENT_FRONTEND_GONE;
	/* States are one digit, and every implementation writes just that. */
	if (!value[0] || value[1])
		return EVENT_FRONTEND_OTHER;

	switch (value[0] - '0') {
	case XenbusStateUnknown:
		return EVENT_FRONTEND_GONE;
	case XenbusStateInitialising:
		return EVENT_FRONTEND_INITIALISING;
	case XenbusStateInitialised:
		return EVENT_FRONTEND_INITIALISED;
	case XenbusStateConnected:
		return EVENT_FRONTEND_CONNECTED;
	case XenbusStateClosing:
		return EVENT_FRONTEND_CLOSING;
	case XenbusStateClosed:
		return EVENT_FRONTEND_CLOSED;
	default:
		return EVENT_FRONTEND_OTHER;
	}
}

const char *negotiate_state_name(enum negotiate_state state)
{
	assert((unsigned)state < NEGOTIATE_NR_STATES);
	return states[state].name;
}

const char *negotiate_event_name(enum negotiate_event event)
{
	assert((unsigned)event < NEGOTIATE_NR_EVENTS);
	return event_names[event];
}
