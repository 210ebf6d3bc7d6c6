/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control thread is woken by, but for its guests: signals, and what they lead to. */
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

/* How often a daemon that is to end says what it still waits for. */
#define STOP_REMINDER_S 10

int daemon_hand_over(void *arg, char *heir, uint32_t size, struct error *e)
{
	struct daemon *d = arg;
	int err;

	if (d->stopping)
		return error_set(e, EBUSY, "this daemon is ending");
	err = instance_standby(&d->instance, d->heir, sizeof(d->heir), e);
	if (err)
		return err;
	d->stopping = true;
	snprintf(heir, size, "%s", d->heir);
	sd_notify(0, "STOPPING=1");
	reactor_stop(&d->control);
	return 0;
}

static void stop(struct daemon *d, uint32_t signo)
{
	struct itimerspec often = { { STOP_REMINDER_S, 0 }, { STOP_REMINDER_S, 0 } };
	char heir[96];
	struct error e;
	int err;

	if (d->stopping) {
		log_error("%s again: ending at once, with I/O in flight", strsignal((int)signo));
		_exit(EXIT_FAILURE);
	}
	err = d->stands_by ? -ENOENT : daemon_hand_over(d, heir, sizeof(heir), &e);
	if (!err)
		return;
	if (err != -ENOENT)
		log_warning("%s", e.text);
	d->stopping = true;
	if (d->stands_by) {
		reactor_stop(&d->control);
		return;
	}
	log_info("%s: finishing what is in flight", strsignal((int)signo));
	sd_notify(0, "STOPPING=1");
	timerfd_settime(d->reminder_fd.fd, 0, &often, NULL);
	backend_stop(&d->backend);
}

/* Who spins on the last CPU takes it from those that would give us work. */
uint64_t daemon_poll_ns(const struct daemon *d)
{
	return d->options.poll_us >= 0		     ? (uint64_t)d->options.poll_us * NS_PER_US
	       : d->nr_cpus > d->options.nr_reactors ? 50 * NS_PER_US
						     : 0;
}

static void say_kept(const char *place, const char *old, const char *anew)
{
	log_warning("%s takes a restart: it stays \"%s\", and is to be \"%s\"", place, old, anew);
}

/* As at the start, as far as it can change under guests; or nothing, if it is wrong. */
static void reload(struct daemon *d)
{
	struct options anew;
	struct error e;

	if (options_parse(d->argc, d->argv, &anew, &e)) {
		log_error("%s; nothing is changed", e.text);
		return;
	}
	options_reload(&d->options, &anew, say_kept);
	log_set_level(d->options.log_level);
	if (d->serving)
		backend_set_transfer(&d->backend, &d->options.transfer);
	for (uint32_t i = 0; i < d->datapath.nr; i++)
		reactor_set_poll_ns(&d->datapath.reactors[i].reactor, daemon_poll_ns(d));
	log_info("the configuration is read again");
}

static void signal_ready(struct reactor_fd *rfd)
{
	struct daemon *d = container_of(rfd, struct daemon, signal_fd);
	struct signalfd_siginfo info;

	if (read(rfd->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGHUP) {
		stop(d, info.ssi_signo);
	} else if (!d->stopping) {
		reload(d);
		if (d->serving)
			backend_resize(&d->backend);
	}
}

static void reminder_ready(struct reactor_fd *rfd)
{
	struct daemon *d = container_of(rfd, struct daemon, reminder_fd);
	struct vbd *v;
	uint64_t count;

	if (read(rfd->fd, &count, sizeof(count)) < 0)
		return;
	list_for_each (v, &d->backend.vbds, link)
		log_warning("%s: still waiting for its device; a second signal ends at once",
			    v->name);
}

/* Blocked in every thread from here on; they arrive on the control thread's loop. */
int signals_open(struct daemon *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d->signal_fd = (struct reactor_fd){ signalfd(-1, &set, SFD_CLOEXEC), signal_ready };
	d->reminder_fd =
		(struct reactor_fd){ timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
				     reminder_ready };
	if (d->signal_fd.fd < 0 || d->reminder_fd.fd < 0 ||
	    reactor_add_fd(&d->control, &d->signal_fd) ||
	    reactor_add_fd(&d->control, &d->reminder_fd) ||
	    reactor_add_timer(&d->control, &d->settle_fd, predecessor_settle_due)) {
		log_error("cannot wait for signals: %s", strerror(errno));
		return -EIO;
	}
	return 0;
}

void signals_close(struct daemon *d)
{
	if (d->settle_fd.fd >= 0)
		reactor_del_timer(&d->control, &d->settle_fd);
	close(d->reminder_fd.fd);
	close(d->signal_fd.fd);
}
