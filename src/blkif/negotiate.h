/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * negotiate - the life of one virtual disk as a pure function: (state, event) -> state, actions.
 *
 * Frontend and backend each write a xenbus state into xenstore, the toolstack makes, takes back
 * and removes the nodes, the bdev opens or does not, a queue drains. Each of these is an event; the
 * shell (vbd/) derives it from what it reads and carries out the actions in the order of their
 * bits. Events may come twice or not at all (watches are coalesced): an event that changes nothing
 * in a state is ignored there, and a state that cannot be interrupted is left with ACTION_REREAD,
 * so that the shell reads what toolstack and frontend say once more and feeds it in again.
 *
 * The bdev is open from WAITING to LEAVING; a queue exists from CONNECTED to LEAVING.
 *
 * Sources: <xen/io/xenbus.h>, the state diagrams in <xen/io/blkif.h>, and what frontends do.
 *
 * Thread: any; no state of its own.
 */
#ifndef XENBLKD_NEGOTIATE_H
#define XENBLKD_NEGOTIATE_H

#include <stdint.h>

enum negotiate_state {
	NEGOTIATE_OPENING, /* the nodes are there; the bdev is being opened */
	NEGOTIATE_BUSY, /* somebody has the device, and is expected to let go of it */
	NEGOTIATE_REFUSED, /* the bdev did not open: said so, waiting to be removed */
	NEGOTIATE_WAITING, /* features published, waiting for the frontend's ring */
	NEGOTIATE_CONNECTED, /* a queue serves the ring */
	NEGOTIATE_CLOSING, /* on the way out; the queue still serves until the frontend closes */
	NEGOTIATE_DRAINING, /* the queue finishes what it holds; then CLOSED */
	NEGOTIATE_RESTARTING, /* as DRAINING, but the frontend has begun anew; then WAITING */
	NEGOTIATE_FAILING, /* as DRAINING, because of something the guest did; then FAILED */
	NEGOTIATE_YIELDING, /* as DRAINING, because another domain has the disk now; then RELEASED */
	NEGOTIATE_LEAVING, /* as DRAINING, because the disk or the daemon goes; then GONE */
	NEGOTIATE_PARTING, /* the frontend closes before it was ever connected: we said so too */
	NEGOTIATE_FAILED, /* cut off; the frontend may close it or begin anew */
	NEGOTIATE_CLOSED, /* nothing is connected; the frontend may begin anew */
	NEGOTIATE_RELEASED, /* as CLOSED, but the toolstack takes the disk: nothing begins anew */
	NEGOTIATE_GONE, /* to be freed */
	NEGOTIATE_NR_STATES,
};

enum negotiate_event {
	/* Of the backend's own making. */
	EVENT_OPENED, /* the bdev is open */
	EVENT_OPEN_FAILED,
	EVENT_OPEN_BUSY, /* for now: a retry follows */
	EVENT_CONNECT_FAILED, /* the frontend's ring or port cannot be used */
	EVENT_DRAINED, /* the queue holds nothing, and is gone */
	EVENT_BROKEN, /* the guest broke the protocol on its ring */

	/* The frontend's state node: XenbusStateUnknown if it is not there. */
	EVENT_FRONTEND_GONE, /* 0, or no node */
	EVENT_FRONTEND_INITIALISING, /* 1 */
	EVENT_FRONTEND_INITIALISED, /* 3: its ring is published */
	EVENT_FRONTEND_CONNECTED, /* 4: the same, for a frontend that skips 3 */
	EVENT_FRONTEND_CLOSING, /* 5 */
	EVENT_FRONTEND_CLOSED, /* 6 */
	EVENT_FRONTEND_OTHER, /* 2, 7, 8, or something that is no state: means nothing to us */

	/* The toolstack's doing. */
	EVENT_OFFLINE, /* it asks for the disk back: online is 0, whatever our state node says (it
			  was set to 5 with that, but we may have written over it) */
	EVENT_REMOVED, /* our nodes are gone */

	EVENT_SUPERSEDED, /* the same machine goes on with the disk in another domain */

	EVENT_RETRY, /* time to see whether a bdev opens that did not */
	EVENT_STOP, /* the daemon ends */
	NEGOTIATE_NR_EVENTS,
};

/* What the shell has to do, in this order. */
enum negotiate_action {
	ACTION_REPORT = 1 << 0, /* write the error nodes */
	ACTION_OPEN = 1 << 1, /* open the bdev: EVENT_OPENED or EVENT_OPEN_FAILED */
	ACTION_PUBLISH = 1 << 2, /* write features and properties */
	ACTION_CONNECT = 1 << 3, /* map the ring, bind the port, start the queue, write state 4,
				    Connected; EVENT_CONNECT_FAILED if that does not work */
	ACTION_DRAIN = 1 << 4, /* stop the queue: EVENT_DRAINED follows later */
	ACTION_CLOSE_BDEV = 1 << 5, /* give the device back */
	ACTION_WAIT = 1 << 6, /* write state 2, InitWait */
	ACTION_CLOSING = 1 << 7, /* write state 5, Closing */
	ACTION_CLOSED = 1 << 8, /* write state 6, Closed, unless the node says so already: writing
				   wakes our own watch, and EVENT_OFFLINE leads here again */
	ACTION_REREAD = 1 << 9, /* read what toolstack and frontend say now, and feed it in, in
				   that order */
	ACTION_FREE = 1 << 10, /* the disk is gone; nothing of it may be used after this */
};

struct negotiate_step {
	enum negotiate_state state;
	uint32_t actions; /* enum negotiate_action, or 0 */
};

/**
 * negotiate - what an event means in a state
 *
 * Total: every pair is defined; an event that means nothing gives the same state and no action.
 */
struct negotiate_step negotiate(enum negotiate_state state, enum negotiate_event event);

/**
 * negotiate_begin - where the life of a disk begins, and what is to be done first
 *
 * A new disk's frontend is at 1. One that has closed, under an earlier daemon, finds us at 6 without
 * our having been at 2 in between: if it begins anew just then, it would take the 6 for its answer.
 *
 * @frontend: what its state means
 */
struct negotiate_step negotiate_begin(enum negotiate_event frontend);

/* negotiate_frontend_event - the event for a value of the frontend's node "state"; NULL: no node. */
enum negotiate_event negotiate_frontend_event(const char *value);

/* Names for the log: "waiting", "frontend initialised". */
const char *negotiate_state_name(enum negotiate_state state);
const char *negotiate_event_name(enum negotiate_event event);

#endif
