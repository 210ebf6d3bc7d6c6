/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <xenevtchn.h>

#include "machine.h"
#include "tap.h"

#define FRONT 1
#define BACK  0

static xenevtchn_handle *front, *back;
static int front_port, back_port;

static xenevtchn_handle *open_as(unsigned int domid)
{
	xenevtchn_handle *h;

	be(domid);
	h = xenevtchn_open(NULL, 0);
	if (!h || fcntl(xenevtchn_fd(h), F_SETFL, O_NONBLOCK))
		abort();
	return h;
}

static bool is_readable(xenevtchn_handle *h)
{
	struct pollfd p = { xenevtchn_fd(h), POLLIN, 0 };

	return poll(&p, 1, 0) == 1;
}

static void connect_them(void)
{
	front = open_as(FRONT);
	back = open_as(BACK);
	front_port = xenevtchn_bind_unbound_port(front, BACK);
	back_port = xenevtchn_bind_interdomain(back, FRONT, (evtchn_port_t)front_port);
	if (front_port <= 0 || back_port <= 0)
		abort();
	/* A port fires once when it is bound. */
	if (xenevtchn_pending(back) != back_port ||
	    xenevtchn_unmask(back, (evtchn_port_t)back_port))
		abort();
}

static void disconnect_them(void)
{
	xenevtchn_close(front);
	xenevtchn_close(back);
}

static void an_event_makes_the_fd_readable(void)
{
	connect_them();
	check(!is_readable(front) && !is_readable(back));
	check_eq(xenevtchn_pending(front), -1);
	check_eq(errno, EAGAIN);
	check_eq(xenevtchn_notify(back, (evtchn_port_t)back_port), 0);
	check(is_readable(front) && !is_readable(back));
	check_eq(xenevtchn_pending(front), front_port);
	check(!is_readable(front));
	disconnect_them();
}

static void a_port_is_masked_until_unmask(void)
{
	connect_them();
	xenevtchn_notify(back, (evtchn_port_t)back_port);
	check_eq(xenevtchn_pending(front), front_port);
	xenevtchn_notify(back, (evtchn_port_t)back_port);
	xenevtchn_notify(back, (evtchn_port_t)back_port);
	check_eq(xenevtchn_pending(front), -1);
	check_eq(xenevtchn_unmask(front, (evtchn_port_t)front_port), 0);
	check_eq(xenevtchn_pending(front), front_port);
	check_eq(xenevtchn_unmask(front, (evtchn_port_t)front_port), 0);
	check_eq(xenevtchn_pending(front), -1);
	disconnect_them();
}

static void who_may_bind(void)
{
	xenevtchn_handle *third = open_as(3);

	front = open_as(FRONT);
	front_port = xenevtchn_bind_unbound_port(front, BACK);
	check(front_port > 0);
	errno = 0;
	check_eq(xenevtchn_bind_interdomain(third, FRONT, (evtchn_port_t)front_port), -1);
	check_eq(errno, EINVAL);
	check_eq(xenevtchn_bind_interdomain(third, FRONT, 4000), -1);
	check_eq(errno, EINVAL);
	check_eq(xenevtchn_bind_interdomain(third, 100, 1), -1);
	check_eq(errno, ESRCH);
	xenevtchn_close(third);
	xenevtchn_close(front);
}

static void a_port_is_bound_once(void)
{
	connect_them();
	check_eq(xenevtchn_bind_interdomain(back, FRONT, (evtchn_port_t)front_port), -1);
	check_eq(errno, EINVAL);
	disconnect_them();
}

static void closing_one_end_makes_the_other_unbound(void)
{
	connect_them();
	check_eq(xenevtchn_unbind(back, (evtchn_port_t)back_port), 0);
	check_eq(xenevtchn_unbind(back, (evtchn_port_t)back_port), -1);
	check_eq(errno, ENOTCONN);
	check_eq(xenevtchn_notify(back, (evtchn_port_t)back_port), -1);
	check_eq(errno, ENOTCONN);
	/* Nobody hears it, and nobody says so. */
	check_eq(xenevtchn_notify(front, (evtchn_port_t)front_port), 0);
	back_port = xenevtchn_bind_interdomain(back, FRONT, (evtchn_port_t)front_port);
	check(back_port > 0);
	check_eq(xenevtchn_pending(back), back_port);
	xenevtchn_unmask(back, (evtchn_port_t)back_port);
	xenevtchn_notify(front, (evtchn_port_t)front_port);
	check_eq(xenevtchn_pending(back), back_port);
	disconnect_them();
}

static void ports_end_with_their_process(void)
{
	xenevtchn_handle *h;
	int port, ready[2];
	char c;
	pid_t pid;

	front = open_as(FRONT);
	port = xenevtchn_bind_unbound_port(front, BACK);
	check(port > 0);
	check_eq(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		h = open_as(BACK);
		if (xenevtchn_bind_interdomain(h, FRONT, (evtchn_port_t)port) <= 0 ||
		    write(ready[1], "x", 1) != 1)
			abort();
		pause();
	}
	check_eq(read(ready[0], &c, 1), 1);
	back = open_as(BACK);
	check_eq(xenevtchn_bind_interdomain(back, FRONT, (evtchn_port_t)port), -1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	check(xenevtchn_bind_interdomain(back, FRONT, (evtchn_port_t)port) > 0);
	disconnect_them();
}

static void events_are_lost_and_late_on_request(void)
{
	struct pollfd p;

	connect_them();
	check_eq(sim_set("lose_event=1"), 0);
	xenevtchn_notify(back, (evtchn_port_t)back_port);
	check_eq(xenevtchn_pending(front), -1);
	check_eq(count("events_lost"), 1);
	check_eq(sim_set("delay_event=1 delay_event_us=20000"), 0);
	xenevtchn_notify(back, (evtchn_port_t)back_port);
	check_eq(xenevtchn_pending(front), -1);
	p = (struct pollfd){ xenevtchn_fd(front), POLLIN, 0 };
	check_eq(poll(&p, 1, 10000), 1);
	check_eq(xenevtchn_pending(front), front_port);
	disconnect_them();
}

int main(void)
{
	machine_create();
	tap_run(an_event_makes_the_fd_readable);
	tap_run(a_port_is_masked_until_unmask);
	tap_run(who_may_bind);
	tap_run(a_port_is_bound_once);
	tap_run(closing_one_end_makes_the_other_unbound);
	tap_run(ports_end_with_their_process);
	tap_run(events_are_lost_and_late_on_request);
	return tap_end();
}
