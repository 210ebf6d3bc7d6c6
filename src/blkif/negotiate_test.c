/* SPDX-License-Identifier: BSD-2-Clause */
#include "negotiate.h"

#include <string.h>

#include "tap.h"

/* One event of a life, and what follows it. */
struct line {
	enum negotiate_event event;
	enum negotiate_state state;
	uint32_t actions;
};

/* Names without their prefixes, for these are read as tables. */
/* clang-format off */
#define ON(event, state, actions) { EVENT_##event, NEGOTIATE_##state, actions }
/* clang-format on */
#define REPORT	   ACTION_REPORT
#define OPEN	   ACTION_OPEN
#define PUBLISH	   ACTION_PUBLISH
#define CONNECT	   ACTION_CONNECT
#define DRAIN	   ACTION_DRAIN
#define CLOSE_BDEV ACTION_CLOSE_BDEV
#define WAIT	   ACTION_WAIT
#define CLOSING	   ACTION_CLOSING
#define CLOSED	   ACTION_CLOSED
#define REREAD	   ACTION_REREAD
#define FREE	   ACTION_FREE

/* What the shell does on its way to a state is most often this. */
#define TO_WAITING (PUBLISH | WAIT | REREAD)
#define TO_REFUSED (REPORT | WAIT | REREAD)
#define TO_CLOSED  (CLOSE_BDEV | CLOSED | REREAD)

/* Every life that gets as far as a disk in use. */
#define ON_BOOT ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_INITIALISED, CONNECTED, CONNECT)

/* Pairs that a story went through. */
static bool told[NEGOTIATE_NR_STATES][NEGOTIATE_NR_EVENTS];

static void tell(const struct line *lines, size_t nr)
{
	enum negotiate_state state = NEGOTIATE_OPENING;

	for (size_t i = 0; i < nr; i++) {
		struct negotiate_step step = negotiate(state, lines[i].event);

		if (step.state != lines[i].state || step.actions != lines[i].actions)
			printf("# line %zu: %s, %s\n", i + 1, negotiate_state_name(state),
			       negotiate_event_name(lines[i].event));
		check_eq(step.state, lines[i].state);
		check_eq(step.actions, lines[i].actions);
		told[state][lines[i].event] = true;
		state = step.state;
	}
}

#define story(...)                                                   \
	do {                                                         \
		static const struct line lines_[] = { __VA_ARGS__ }; \
		tell(lines_, sizeof(lines_) / sizeof(lines_[0]));    \
	} while (0)

/* clang-format off: one event a line */

static void guest_is_created_and_destroyed(void)
{
	story(ON_BOOT, ON(FRONTEND_CONNECTED, CONNECTED, 0),
	      /* The toolstack removes the frontend's nodes, then asks for the disk. */
	      ON(FRONTEND_GONE, DRAINING, DRAIN), ON(OFFLINE, DRAINING, 0),
	      ON(DRAINED, CLOSED, TO_CLOSED), ON(OFFLINE, RELEASED, CLOSED),
	      ON(FRONTEND_GONE, RELEASED, 0), ON(REMOVED, GONE, FREE));
}

static void frontend_is_slow_and_events_come_twice(void)
{
	story(ON(FRONTEND_INITIALISING, OPENING, 0), ON(OPENED, WAITING, TO_WAITING),
	      ON(FRONTEND_INITIALISING, WAITING, 0), ON(FRONTEND_INITIALISING, WAITING, 0),
	      ON(FRONTEND_INITIALISED, CONNECTED, CONNECT), ON(FRONTEND_INITIALISED, CONNECTED, 0),
	      ON(FRONTEND_CONNECTED, CONNECTED, 0), ON(FRONTEND_CONNECTED, CONNECTED, 0));
}

static void frontend_that_did_not_wait_is_read_after_opening(void)
{
	story(ON(FRONTEND_INITIALISED, OPENING, 0), ON(OPENED, WAITING, TO_WAITING),
	      ON(FRONTEND_INITIALISED, CONNECTED, CONNECT));
}

static void disk_is_detached_and_attached(void)
{
	story(ON_BOOT, ON(OFFLINE, CLOSING, CLOSING), ON(FRONTEND_CONNECTED, CLOSING, 0),
	      ON(OFFLINE, CLOSING, 0), ON(FRONTEND_CLOSING, CLOSING, 0),
	      ON(FRONTEND_CLOSED, DRAINING, DRAIN), ON(DRAINED, CLOSED, TO_CLOSED),
	      ON(OFFLINE, RELEASED, CLOSED), ON(FRONTEND_CLOSED, RELEASED, 0),
	      ON(REMOVED, GONE, FREE));
	/* The attached one is a new disk: a new life, in OPENING. */
	story(ON_BOOT);
}

static void disk_in_use_is_served_until_the_frontend_lets_go(void)
{
	story(ON_BOOT, ON(OFFLINE, CLOSING, CLOSING), ON(OFFLINE, CLOSING, 0),
	      ON(FRONTEND_CLOSING, CLOSING, 0), ON(BROKEN, FAILING, REPORT | DRAIN),
	      ON(DRAINED, FAILED, CLOSE_BDEV | REREAD), ON(OFFLINE, RELEASED, CLOSED));
}

static void disk_is_detached_before_the_frontend_came(void)
{
	story(ON(OFFLINE, OPENING, 0), ON(OPENED, WAITING, TO_WAITING),
	      ON(OFFLINE, RELEASED, CLOSE_BDEV | CLOSED), ON(REMOVED, GONE, FREE));
}

static void released_disk_is_not_opened_again(void)
{
	story(ON(OPENED, WAITING, TO_WAITING), ON(OFFLINE, RELEASED, CLOSE_BDEV | CLOSED),
	      ON(FRONTEND_INITIALISING, RELEASED, 0), ON(FRONTEND_INITIALISED, RELEASED, 0),
	      ON(FRONTEND_CONNECTED, RELEASED, 0),
	      /* The toolstack wrote 5 over our 6. */
	      ON(OFFLINE, RELEASED, CLOSED), ON(STOP, GONE, FREE));
}

static void guest_shuts_down_and_begins_anew_in_place(void)
{
	story(ON_BOOT, ON(FRONTEND_CONNECTED, CONNECTED, 0), ON(FRONTEND_CLOSING, CLOSING, CLOSING),
	      ON(FRONTEND_CLOSED, DRAINING, DRAIN), ON(DRAINED, CLOSED, TO_CLOSED),
	      ON(FRONTEND_CLOSED, CLOSED, 0), ON(FRONTEND_INITIALISING, OPENING, OPEN), ON_BOOT);
}

static void module_is_unloaded_without_closing_first(void)
{
	story(ON_BOOT, ON(FRONTEND_CLOSED, DRAINING, DRAIN), ON(FRONTEND_CLOSED, DRAINING, 0),
	      ON(DRAINED, CLOSED, TO_CLOSED), ON(FRONTEND_CLOSED, CLOSED, 0));
}

static void firmware_goes_straight_to_connected_then_the_system_comes(void)
{
	story(ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_CONNECTED, CONNECTED, CONNECT),
	      ON(FRONTEND_CLOSING, CLOSING, CLOSING), ON(FRONTEND_CLOSED, DRAINING, DRAIN),
	      ON(DRAINED, CLOSED, TO_CLOSED), ON(FRONTEND_INITIALISING, OPENING, OPEN), ON_BOOT,
	      ON(FRONTEND_CONNECTED, CONNECTED, 0));
}

static void firmware_begins_anew_while_draining(void)
{
	story(ON_BOOT, ON(FRONTEND_CLOSED, DRAINING, DRAIN), ON(FRONTEND_INITIALISING, DRAINING, 0),
	      ON(DRAINED, CLOSED, TO_CLOSED), ON(FRONTEND_INITIALISING, OPENING, OPEN));
}

static void small_kernel_follows_without_initialising(void)
{
	story(ON_BOOT, ON(FRONTEND_CLOSED, DRAINING, DRAIN), ON(DRAINED, CLOSED, TO_CLOSED),
	      ON(FRONTEND_CONNECTED, OPENING, OPEN), ON(OPENED, WAITING, TO_WAITING),
	      ON(FRONTEND_CONNECTED, CONNECTED, CONNECT));
	story(ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_CLOSED, CLOSED, CLOSE_BDEV | CLOSED),
	      ON(FRONTEND_INITIALISED, OPENING, OPEN));
}

/* FrontendClose() before FrontendPrepare(): 5 to a backend at 2, and on only when that answers. */
static void windows_closes_before_it_connects(void)
{
	story(ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_CLOSING, PARTING, CLOSE_BDEV | CLOSING),
	      ON(FRONTEND_CLOSING, PARTING, 0), ON(FRONTEND_CLOSED, CLOSED, CLOSED),
	      ON(FRONTEND_INITIALISING, OPENING, OPEN), ON_BOOT);
}

static void frontend_gives_up_closing_and_begins_anew(void)
{
	story(ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_CLOSING, PARTING, CLOSE_BDEV | CLOSING),
	      ON(FRONTEND_INITIALISING, OPENING, OPEN), ON(OPENED, WAITING, TO_WAITING),
	      ON(FRONTEND_CLOSING, PARTING, CLOSE_BDEV | CLOSING),
	      ON(FRONTEND_GONE, CLOSED, CLOSED), ON(OFFLINE, RELEASED, CLOSED));
}

static void guest_kexecs(void)
{
	story(ON_BOOT, ON(FRONTEND_INITIALISING, RESTARTING, DRAIN),
	      ON(FRONTEND_INITIALISING, RESTARTING, 0), ON(FRONTEND_INITIALISED, RESTARTING, 0),
	      ON(DRAINED, WAITING, TO_WAITING), ON(FRONTEND_INITIALISED, CONNECTED, CONNECT));
}

static void guest_kexecs_while_closing(void)
{
	story(ON_BOOT, ON(FRONTEND_CLOSING, CLOSING, CLOSING),
	      ON(FRONTEND_INITIALISING, RESTARTING, DRAIN), ON(FRONTEND_CLOSED, DRAINING, 0),
	      ON(DRAINED, CLOSED, TO_CLOSED));
}

static void guest_dies_while_restarting(void)
{
	story(ON_BOOT, ON(FRONTEND_INITIALISING, RESTARTING, DRAIN), ON(BROKEN, RESTARTING, 0),
	      ON(FRONTEND_GONE, DRAINING, 0), ON(BROKEN, DRAINING, 0),
	      ON(DRAINED, CLOSED, TO_CLOSED));
}

static void frontend_closes_while_restarting(void)
{
	story(ON_BOOT, ON(FRONTEND_INITIALISING, RESTARTING, DRAIN),
	      ON(FRONTEND_CLOSING, RESTARTING, 0), ON(DRAINED, WAITING, TO_WAITING),
	      ON(FRONTEND_CLOSING, PARTING, CLOSE_BDEV | CLOSING));
}

static void guest_breaks_its_ring_and_begins_anew(void)
{
	story(ON_BOOT, ON(BROKEN, FAILING, REPORT | DRAIN | CLOSING),
	      ON(FRONTEND_CLOSING, FAILING, 0), ON(DRAINED, FAILED, CLOSE_BDEV | REREAD),
	      ON(FRONTEND_CONNECTED, FAILED, 0), ON(FRONTEND_INITIALISING, OPENING, OPEN), ON_BOOT);
}

static void guest_breaks_its_ring_and_closes(void)
{
	story(ON_BOOT, ON(BROKEN, FAILING, REPORT | DRAIN | CLOSING),
	      ON(FRONTEND_CLOSED, FAILING, 0), ON(DRAINED, FAILED, CLOSE_BDEV | REREAD),
	      ON(FRONTEND_CLOSED, CLOSED, CLOSED), ON(FRONTEND_CLOSED, CLOSED, 0));
}

static void guest_with_a_broken_ring_is_destroyed(void)
{
	story(ON_BOOT, ON(BROKEN, FAILING, REPORT | DRAIN | CLOSING), ON(FRONTEND_GONE, FAILING, 0),
	      ON(OFFLINE, FAILING, 0), ON(DRAINED, FAILED, CLOSE_BDEV | REREAD),
	      ON(OFFLINE, RELEASED, CLOSED), ON(FRONTEND_GONE, RELEASED, 0),
	      ON(REMOVED, GONE, FREE));
}

static void unusable_ring_is_not_tried_again(void)
{
	story(ON_BOOT, ON(CONNECT_FAILED, FAILED, REPORT | CLOSE_BDEV | CLOSING),
	      ON(FRONTEND_INITIALISED, FAILED, 0), ON(FRONTEND_INITIALISED, FAILED, 0),
	      ON(FRONTEND_CLOSING, FAILED, 0), ON(FRONTEND_GONE, CLOSED, CLOSED),
	      ON(FRONTEND_GONE, CLOSED, 0));
}

static void refused_disk_is_removed(void)
{
	story(ON(OPEN_FAILED, REFUSED, TO_REFUSED), ON(FRONTEND_INITIALISING, REFUSED, 0),
	      ON(OFFLINE, RELEASED, CLOSED), ON(REMOVED, GONE, FREE));
	story(ON(OPEN_FAILED, REFUSED, TO_REFUSED), ON(REMOVED, GONE, FREE));
}

static void frontend_of_a_refused_disk_goes_away(void)
{
	story(ON(OPEN_FAILED, REFUSED, TO_REFUSED), ON(FRONTEND_GONE, CLOSED, CLOSED));
	story(ON(OPEN_FAILED, REFUSED, TO_REFUSED), ON(FRONTEND_CLOSED, CLOSED, CLOSED));
}

static void frontend_of_a_refused_disk_is_sent_away(void)
{
	story(ON(OPEN_FAILED, REFUSED, TO_REFUSED), ON(FRONTEND_INITIALISED, FAILED, CLOSING),
	      ON(FRONTEND_INITIALISED, FAILED, 0), ON(FRONTEND_CLOSED, CLOSED, CLOSED),
	      ON(FRONTEND_INITIALISING, OPENING, OPEN));
	story(ON(OPEN_FAILED, REFUSED, TO_REFUSED), ON(FRONTEND_CLOSING, FAILED, CLOSING));
}

static void live_guest_keeps_its_disk_when_the_next_daemon_cannot_open_it(void)
{
	story(ON(OPEN_FAILED, REFUSED, TO_REFUSED), ON(FRONTEND_CONNECTED, REFUSED, 0),
	      ON(STOP, GONE, FREE));
	story(ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_CONNECTED, CONNECTED, CONNECT));
	story(ON(OPEN_FAILED, REFUSED, TO_REFUSED), ON(FRONTEND_CONNECTED, REFUSED, 0),
	      ON(RETRY, OPENING, OPEN), ON(OPEN_FAILED, REFUSED, TO_REFUSED),
	      ON(RETRY, OPENING, OPEN), ON(OPENED, WAITING, TO_WAITING),
	      ON(FRONTEND_CONNECTED, CONNECTED, CONNECT), ON(RETRY, CONNECTED, 0));
}

static void disk_waits_for_one_that_lets_go_of_its_device(void)
{
	story(ON(OPEN_BUSY, BUSY, 0), ON(FRONTEND_INITIALISING, BUSY, 0), ON(RETRY, OPENING, OPEN),
	      ON(OPEN_BUSY, BUSY, 0), ON(FRONTEND_INITIALISED, BUSY, 0), ON(RETRY, OPENING, OPEN),
	      ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_INITIALISED, CONNECTED, CONNECT));
	story(ON(OPEN_BUSY, BUSY, 0), ON(RETRY, OPENING, OPEN),
	      ON(OPEN_FAILED, REFUSED, TO_REFUSED));
	story(ON(OPEN_BUSY, BUSY, 0), ON(FRONTEND_GONE, CLOSED, CLOSED));
	story(ON(OPEN_BUSY, BUSY, 0), ON(FRONTEND_CLOSED, CLOSED, CLOSED));
	story(ON(OPEN_BUSY, BUSY, 0), ON(OFFLINE, RELEASED, CLOSED));
	story(ON(OPEN_BUSY, BUSY, 0), ON(SUPERSEDED, RELEASED, CLOSED));
	story(ON(OPEN_BUSY, BUSY, 0), ON(REMOVED, GONE, FREE));
	story(ON(OPEN_BUSY, BUSY, 0), ON(STOP, GONE, FREE));
}

static void frontend_vanishes_while_waiting(void)
{
	story(ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_GONE, CLOSED, CLOSE_BDEV | CLOSED),
	      ON(FRONTEND_GONE, CLOSED, 0));
}

static void daemon_stops_while_nothing_is_connected(void)
{
	story(ON(STOP, GONE, CLOSE_BDEV | FREE));
	story(ON(OPENED, WAITING, TO_WAITING), ON(STOP, GONE, CLOSE_BDEV | FREE));
	story(ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_CLOSED, CLOSED, CLOSE_BDEV | CLOSED),
	      ON(STOP, GONE, FREE));
	story(ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_CLOSING, PARTING, CLOSE_BDEV | CLOSING),
	      ON(STOP, GONE, FREE));
	story(ON_BOOT, ON(CONNECT_FAILED, FAILED, REPORT | CLOSE_BDEV | CLOSING),
	      ON(STOP, GONE, FREE));
}

static void daemon_stops_while_serving(void)
{
	story(ON_BOOT, ON(STOP, LEAVING, DRAIN), ON(STOP, LEAVING, 0), ON(BROKEN, LEAVING, 0),
	      ON(OFFLINE, LEAVING, 0), ON(FRONTEND_CLOSED, LEAVING, 0),
	      ON(DRAINED, GONE, CLOSE_BDEV | FREE));
	story(ON_BOOT, ON(FRONTEND_CLOSING, CLOSING, CLOSING), ON(STOP, LEAVING, DRAIN));
}

static void daemon_stops_while_draining(void)
{
	story(ON_BOOT, ON(FRONTEND_CLOSED, DRAINING, DRAIN), ON(STOP, LEAVING, 0),
	      ON(DRAINED, GONE, CLOSE_BDEV | FREE));
	story(ON_BOOT, ON(FRONTEND_INITIALISING, RESTARTING, DRAIN), ON(STOP, LEAVING, 0));
	story(ON_BOOT, ON(BROKEN, FAILING, REPORT | DRAIN | CLOSING), ON(STOP, LEAVING, 0));
}

static void nodes_are_removed_while_nothing_is_connected(void)
{
	story(ON(REMOVED, GONE, CLOSE_BDEV | FREE));
	story(ON(OPENED, WAITING, TO_WAITING), ON(REMOVED, GONE, CLOSE_BDEV | FREE));
	story(ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_CLOSED, CLOSED, CLOSE_BDEV | CLOSED),
	      ON(REMOVED, GONE, FREE));
	story(ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_CLOSING, PARTING, CLOSE_BDEV | CLOSING),
	      ON(OFFLINE, RELEASED, CLOSED));
	story(ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_CLOSING, PARTING, CLOSE_BDEV | CLOSING),
	      ON(REMOVED, GONE, FREE));
	story(ON_BOOT, ON(CONNECT_FAILED, FAILED, REPORT | CLOSE_BDEV | CLOSING),
	      ON(REMOVED, GONE, FREE));
}

static void nodes_are_removed_while_serving(void)
{
	story(ON_BOOT, ON(REMOVED, LEAVING, DRAIN), ON(REMOVED, LEAVING, 0),
	      ON(DRAINED, GONE, CLOSE_BDEV | FREE));
	story(ON_BOOT, ON(OFFLINE, CLOSING, CLOSING), ON(REMOVED, LEAVING, DRAIN));
	story(ON_BOOT, ON(OFFLINE, CLOSING, CLOSING), ON(FRONTEND_GONE, DRAINING, DRAIN));
}

static void nodes_are_removed_while_draining(void)
{
	story(ON_BOOT, ON(FRONTEND_GONE, DRAINING, DRAIN), ON(REMOVED, LEAVING, 0));
	story(ON_BOOT, ON(FRONTEND_INITIALISING, RESTARTING, DRAIN), ON(REMOVED, LEAVING, 0));
	story(ON_BOOT, ON(BROKEN, FAILING, REPORT | DRAIN | CLOSING), ON(REMOVED, LEAVING, 0));
}

static void machine_goes_on_in_another_domain(void)
{
	story(ON_BOOT, ON(SUPERSEDED, YIELDING, DRAIN), ON(FRONTEND_CONNECTED, YIELDING, 0),
	      ON(SUPERSEDED, YIELDING, 0), ON(DRAINED, RELEASED, TO_CLOSED),
	      ON(FRONTEND_CONNECTED, RELEASED, 0), ON(SUPERSEDED, RELEASED, 0),
	      ON(OFFLINE, RELEASED, CLOSED), ON(REMOVED, GONE, FREE));
	story(ON_BOOT, ON(FRONTEND_CLOSING, CLOSING, CLOSING), ON(SUPERSEDED, YIELDING, DRAIN),
	      ON(REMOVED, LEAVING, 0), ON(DRAINED, GONE, CLOSE_BDEV | FREE));
	story(ON_BOOT, ON(FRONTEND_CLOSED, DRAINING, DRAIN), ON(SUPERSEDED, YIELDING, 0),
	      ON(STOP, LEAVING, 0));
	story(ON_BOOT, ON(FRONTEND_INITIALISING, RESTARTING, DRAIN), ON(SUPERSEDED, YIELDING, 0));
	story(ON_BOOT, ON(BROKEN, FAILING, REPORT | DRAIN | CLOSING), ON(SUPERSEDED, YIELDING, 0));
}

static void machine_goes_on_elsewhere_before_it_was_served_here(void)
{
	story(ON(OPENED, WAITING, TO_WAITING), ON(SUPERSEDED, RELEASED, CLOSE_BDEV | CLOSED));
	story(ON(OPEN_FAILED, REFUSED, TO_REFUSED), ON(SUPERSEDED, RELEASED, CLOSED));
	story(ON_BOOT, ON(FRONTEND_CLOSED, DRAINING, DRAIN), ON(DRAINED, CLOSED, TO_CLOSED),
	      ON(SUPERSEDED, RELEASED, CLOSED));
	story(ON_BOOT, ON(CONNECT_FAILED, FAILED, REPORT | CLOSE_BDEV | CLOSING),
	      ON(SUPERSEDED, RELEASED, CLOSED));
	story(ON(OPENED, WAITING, TO_WAITING), ON(FRONTEND_CLOSING, PARTING, CLOSE_BDEV | CLOSING),
	      ON(SUPERSEDED, RELEASED, CLOSED));
}

/* clang-format on */

static void disk_that_was_closed_under_another_daemon_stays_closed(void)
{
	struct negotiate_step step = negotiate_begin(EVENT_FRONTEND_CLOSED);

	check_eq(step.state, NEGOTIATE_CLOSED);
	check_eq(step.actions, CLOSED);
	for (unsigned e = EVENT_FRONTEND_GONE; e <= EVENT_FRONTEND_OTHER; e++) {
		if (e == EVENT_FRONTEND_CLOSED)
			continue;
		step = negotiate_begin(e);
		check_eq(step.state, NEGOTIATE_OPENING);
		check_eq(step.actions, OPEN);
	}
}

/* What the header says of the states, to hold every pair against. */
static bool has_bdev(enum negotiate_state s)
{
	return s >= NEGOTIATE_WAITING && s <= NEGOTIATE_LEAVING;
}

static bool has_queue(enum negotiate_state s)
{
	return s >= NEGOTIATE_CONNECTED && s <= NEGOTIATE_LEAVING;
}

static bool is_stopping(enum negotiate_state s)
{
	return s >= NEGOTIATE_DRAINING && s <= NEGOTIATE_LEAVING;
}

static bool is_ignored(enum negotiate_state state, enum negotiate_event event)
{
	struct negotiate_step step = negotiate(state, event);

	return step.state == state && !step.actions;
}

/* A pair that means something, taken apart for the checks below. */
struct pair {
	enum negotiate_state from, to;
	enum negotiate_event event;
	uint32_t actions;
};

static void for_each_pair(void (*verify)(const struct pair *p))
{
	for (unsigned s = 0; s < NEGOTIATE_NR_STATES; s++) {
		for (unsigned e = 0; e < NEGOTIATE_NR_EVENTS; e++) {
			struct negotiate_step step = negotiate(s, e);
			struct pair p = { s, step.state, e, step.actions };

			check(step.state < NEGOTIATE_NR_STATES);
			check(step.actions < ACTION_FREE << 1);
			if (!is_ignored(s, e))
				verify(&p);
			if (tap_test_failed)
				printf("# %s, %s\n", negotiate_state_name(s),
				       negotiate_event_name(e));
			check(!tap_test_failed);
		}
	}
}

static void verify_bdev(const struct pair *p)
{
	bool open = has_bdev(p->from) || p->from == NEGOTIATE_OPENING;
	bool failed = p->event == EVENT_OPEN_FAILED || p->event == EVENT_OPEN_BUSY;

	check_eq(!!(p->actions & OPEN), p->to == NEGOTIATE_OPENING);
	check(!(p->actions & OPEN) || !open);
	check_eq(!!(p->actions & CLOSE_BDEV), open && !failed && !has_bdev(p->to));
	if (has_bdev(p->to) && !has_bdev(p->from))
		check(p->from == NEGOTIATE_OPENING && p->event == EVENT_OPENED);
}

static void verify_queue(const struct pair *p)
{
	bool ends = has_queue(p->from) && !has_queue(p->to);

	check_eq(!!(p->actions & CONNECT), p->from == NEGOTIATE_WAITING && has_queue(p->to));
	check_eq(!!(p->actions & CONNECT),
		 p->from == NEGOTIATE_WAITING && p->to == NEGOTIATE_CONNECTED);
	check_eq(!!(p->actions & DRAIN),
		 has_queue(p->from) && !is_stopping(p->from) && is_stopping(p->to));
	check_eq(ends, p->event == EVENT_DRAINED || p->event == EVENT_CONNECT_FAILED);
	if (p->event == EVENT_DRAINED)
		check(is_stopping(p->from));
	if (is_stopping(p->from))
		check(is_stopping(p->to) || ends);
}

static void verify_states_written(const struct pair *p)
{
	uint32_t written = p->actions & (CONNECT | WAIT | CLOSING | CLOSED);

	check_eq(written & (written - 1), 0);
	check_eq(!!(p->actions & PUBLISH), p->to == NEGOTIATE_WAITING);
	check_eq(!!(p->actions & WAIT), p->to == NEGOTIATE_WAITING || p->to == NEGOTIATE_REFUSED);
	check_eq(!!(p->actions & CLOSED), p->to == NEGOTIATE_CLOSED || p->to == NEGOTIATE_RELEASED);
	if (p->to == NEGOTIATE_PARTING || p->to == NEGOTIATE_FAILED || p->to == NEGOTIATE_FAILING)
		check_eq(!!(p->actions & CLOSING),
			 p->from != NEGOTIATE_CLOSING && p->from != NEGOTIATE_FAILING);
}

static void verify_end(const struct pair *p)
{
	bool told_to_go = p->event == EVENT_REMOVED || p->event == EVENT_STOP;

	check_eq(!!(p->actions & FREE), p->to == NEGOTIATE_GONE);
	check(p->from != NEGOTIATE_GONE);
	check_eq(told_to_go && p->from != NEGOTIATE_LEAVING,
		 (p->to == NEGOTIATE_GONE || p->to == NEGOTIATE_LEAVING) &&
			 p->event != EVENT_DRAINED);
	/* A shell that feeds what it read of toolstack and frontend can go on to use the disk. */
	if (p->actions & FREE)
		check(told_to_go || p->event == EVENT_DRAINED);
}

/* OPENING, and all that drain, ignore what they cannot use: it must be read again behind them. */
static void verify_reread(const struct pair *p)
{
	bool deaf = p->from == NEGOTIATE_OPENING || is_stopping(p->from);
	bool stays = is_stopping(p->to) || p->to == NEGOTIATE_BUSY;

	if (deaf && !stays && p->to != NEGOTIATE_GONE)
		check(p->actions & REREAD);
	if (p->actions & REREAD)
		check(deaf && p->event < EVENT_FRONTEND_GONE);
}

static void bdev_is_opened_and_closed_in_pairs(void)
{
	for_each_pair(verify_bdev);
}

static void queue_is_connected_and_drained_in_pairs(void)
{
	for_each_pair(verify_queue);
}

static void states_written_are_those_of_the_states(void)
{
	for_each_pair(verify_states_written);
}

static void all_ends_are_in_gone(void)
{
	for_each_pair(verify_end);
}

static void nothing_ignored_is_forgotten(void)
{
	for_each_pair(verify_reread);
}

/* Fed the same again, no state makes a circle: an event moves on, or has been done. */
static void same_event_again_comes_to_rest(void)
{
	for (unsigned s = 0; s < NEGOTIATE_NR_STATES; s++) {
		for (unsigned e = EVENT_FRONTEND_GONE; e <= EVENT_STOP; e++) {
			enum negotiate_state state = s;

			for (int i = 0; i < NEGOTIATE_NR_STATES; i++)
				state = negotiate(state, e).state;
			check_eq(negotiate(state, e).state, state);
			check(is_ignored(state, e) || state == NEGOTIATE_RELEASED);
		}
	}
}

static void gone_stays_gone(void)
{
	for (unsigned e = 0; e < NEGOTIATE_NR_EVENTS; e++)
		check(is_ignored(NEGOTIATE_GONE, e));
}

static void other_states_of_the_frontend_mean_nothing(void)
{
	for (unsigned s = 0; s < NEGOTIATE_NR_STATES; s++)
		check(is_ignored(s, EVENT_FRONTEND_OTHER));
}

static void reads_the_states_of_a_frontend(void)
{
	check_eq(negotiate_frontend_event(NULL), EVENT_FRONTEND_GONE);
	check_eq(negotiate_frontend_event("0"), EVENT_FRONTEND_GONE);
	check_eq(negotiate_frontend_event("1"), EVENT_FRONTEND_INITIALISING);
	check_eq(negotiate_frontend_event("2"), EVENT_FRONTEND_OTHER);
	check_eq(negotiate_frontend_event("3"), EVENT_FRONTEND_INITIALISED);
	check_eq(negotiate_frontend_event("4"), EVENT_FRONTEND_CONNECTED);
	check_eq(negotiate_frontend_event("5"), EVENT_FRONTEND_CLOSING);
	check_eq(negotiate_frontend_event("6"), EVENT_FRONTEND_CLOSED);
	check_eq(negotiate_frontend_event("7"), EVENT_FRONTEND_OTHER);
	check_eq(negotiate_frontend_event("8"), EVENT_FRONTEND_OTHER);
}

static void takes_odd_strings_for_no_state(void)
{
	static const char *const odd[] = { "",	 " ",	"9",  "-1",  "+4",   "04",	   "4 ",
					   " 4", "4\n", "44", "0x4", "four", "4294967300", "\xb4" };

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		check_eq(negotiate_frontend_event(odd[i]), EVENT_FRONTEND_OTHER);
}

static void everything_has_a_name_of_its_own(void)
{
	for (unsigned s = 0; s < NEGOTIATE_NR_STATES; s++)
		for (unsigned t = 0; t < s; t++)
			check(strcmp(negotiate_state_name(s), negotiate_state_name(t)));
	for (unsigned e = 0; e < NEGOTIATE_NR_EVENTS; e++)
		for (unsigned f = 0; f < e; f++)
			check(strcmp(negotiate_event_name(e), negotiate_event_name(f)));
	check(!strcmp(negotiate_state_name(NEGOTIATE_WAITING), "waiting"));
	check(!strcmp(negotiate_event_name(EVENT_FRONTEND_INITIALISED), "frontend initialised"));
}

static void verify_told(const struct pair *p)
{
	check(told[p->from][p->event]);
}

static void every_row_was_told_in_a_story(void)
{
	for_each_pair(verify_told);
}

int main(void)
{
	tap_run(guest_is_created_and_destroyed);
	tap_run(frontend_is_slow_and_events_come_twice);
	tap_run(frontend_that_did_not_wait_is_read_after_opening);
	tap_run(disk_is_detached_and_attached);
	tap_run(disk_in_use_is_served_until_the_frontend_lets_go);
	tap_run(disk_is_detached_before_the_frontend_came);
	tap_run(released_disk_is_not_opened_again);
	tap_run(guest_shuts_down_and_begins_anew_in_place);
	tap_run(module_is_unloaded_without_closing_first);
	tap_run(firmware_goes_straight_to_connected_then_the_system_comes);
	tap_run(firmware_begins_anew_while_draining);
	tap_run(small_kernel_follows_without_initialising);
	tap_run(windows_closes_before_it_connects);
	tap_run(frontend_gives_up_closing_and_begins_anew);
	tap_run(guest_kexecs);
	tap_run(guest_kexecs_while_closing);
	tap_run(guest_dies_while_restarting);
	tap_run(frontend_closes_while_restarting);
	tap_run(guest_breaks_its_ring_and_begins_anew);
	tap_run(guest_breaks_its_ring_and_closes);
	tap_run(guest_with_a_broken_ring_is_destroyed);
	tap_run(unusable_ring_is_not_tried_again);
	tap_run(refused_disk_is_removed);
	tap_run(frontend_of_a_refused_disk_goes_away);
	tap_run(frontend_of_a_refused_disk_is_sent_away);
	tap_run(live_guest_keeps_its_disk_when_the_next_daemon_cannot_open_it);
	tap_run(disk_waits_for_one_that_lets_go_of_its_device);
	tap_run(frontend_vanishes_while_waiting);
	tap_run(daemon_stops_while_nothing_is_connected);
	tap_run(daemon_stops_while_serving);
	tap_run(daemon_stops_while_draining);
	tap_run(nodes_are_removed_while_nothing_is_connected);
	tap_run(nodes_are_removed_while_serving);
	tap_run(nodes_are_removed_while_draining);
	tap_run(bdev_is_opened_and_closed_in_pairs);
	tap_run(queue_is_connected_and_drained_in_pairs);
	tap_run(states_written_are_those_of_the_states);
	tap_run(all_ends_are_in_gone);
	tap_run(nothing_ignored_is_forgotten);
	tap_run(same_event_again_comes_to_rest);
	tap_run(gone_stays_gone);
	tap_run(other_states_of_the_frontend_mean_nothing);
	tap_run(reads_the_states_of_a_frontend);
	tap_run(takes_odd_strings_for_no_state);
	tap_run(machine_goes_on_in_another_domain);
	tap_run(machine_goes_on_elsewhere_before_it_was_served_here);
	tap_run(disk_that_was_closed_under_another_daemon_stays_closed);
	tap_run(everything_has_a_name_of_its_own);
	tap_run(every_row_was_told_in_a_story);
	return tap_end();
}
