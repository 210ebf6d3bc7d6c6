/* SPDX-License-Identifier: BSD-2-Clause */
/* Who else serves, or has served: one that lives, and what dead ones have left. */
#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "aside.h"
#include "leftover.h"
#include "log.h"

/* After the start: by then guests are served again. */
#define SETTLE_S 1

/* One daemon for each state directory: two would answer for the same disks. */
int predecessor_lock(struct daemon *d)
{
	const char *dir = d->options.state_dir;
	struct error e = { "" };
	int err = instance_open(&d->instance, dir, &e);

	if (err) {
		log_error("%s", e.text);
		return err;
	}
	err = instance_serve(&d->instance);
	if (err == -EWOULDBLOCK && d->options.standby) {
		d->stands_by = true;
		return 0;
	}
	if (err == -EWOULDBLOCK)
		log_error("another xenblkd is running: it holds %s/lock; a second one takes a "
			  "class and a state-dir of its own, or --standby to take over from it",
			  dir);
	else if (err)
		log_error("cannot lock %s/lock: %s", dir, strerror(-err));
	if (err)
		instance_close(&d->instance);
	return err;
}

/* What dead ones have left, as far as it is in the way. */
int predecessor_release(struct daemon *d, struct error *e)
{
	int err = instance_release(&d->instance, e);

	/* Later on there are no hypercalls any more. */
	if (!err && d->confine.user)
		err = instance_settle(&d->instance, e);
	return err;
}

/* What a predecessor may have left, if this one serves; and a place for what it will itself. */
int predecessor_take_place(struct daemon *d, struct error *e)
{
	const char *dir = d->options.state_dir;
	int err = d->stands_by ? leftover_check(dir, e) : predecessor_release(d, e);

	if (!err)
		err = instance_make_dir(&d->instance, !d->stands_by, e);
	if (!err && !d->stands_by)
		err = confine_give_dir(&d->confine, dir, e);
	return err;
}

void predecessor_settle(struct daemon *d)
{
	struct error e = { "" };

	if (instance_settle(&d->instance, &e))
		log_error("%s", e.text);
}

void predecessor_settle_due(struct reactor_fd *rfd)
{
	struct daemon *d = container_of(rfd, struct daemon, settle_fd);
	uint64_t count;

	if (read(rfd->fd, &count, sizeof(count)) > 0)
		predecessor_settle(d);
}

/* When guests are served again. */
void predecessor_settle_later(struct daemon *d)
{
	struct itimerspec in = { .it_value.tv_sec = SETTLE_S };

	if (instance_unsettled(&d->instance))
		timerfd_settime(d->settle_fd.fd, 0, &in, NULL);
}

/* Of a record, by its name: whether its disk is still in xenstore. */
static bool is_there(void *arg, const char *disk)
{
	struct daemon *d = arg;
	const char *ids = strchr(disk, '-');
	unsigned int domid, devid;
	char *frontend;

	if (!ids || sscanf(ids, "-%u-%u", &domid, &devid) != 2)
		return true;
	frontend = store_read(&d->store, XBT_NULL, "%s/backend/%.*s/%u/%u/frontend", d->store.root,
			      (int)(ids - disk), disk, domid, devid);
	free(frontend);
	return frontend != NULL;
}

/* What a start does with what is left, and no more of it. */
int predecessor_clean(struct daemon *d)
{
	const char *dir = d->options.state_dir;
	struct error e = { "" };
	int err = instance_release(&d->instance, &e);

	if (!err)
		err = instance_settle(&d->instance, &e);
	if (err) {
		log_error("%s", e.text);
		return err;
	}
	aside_sweep(dir, is_there, d);
	control_sweep(dir);
	log_info("%s is clean: what is left there is for the daemon that serves those disks next",
		 dir);
	return 0;
}
