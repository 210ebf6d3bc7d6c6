/* SPDX-License-Identifier: BSD-2-Clause */
#include "ahead.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "log.h"
#include "vbd_store.h"

/* From a change to when it is read, with all that came after it. */
#define LOOK_S 1

/* Events taken at one go. */
#define MAX_EVENTS_PER_TURN 1024u
#define MAX_EVENTS	    65536u

struct disk {
	struct list_node link;
	unsigned int domid, devid;
	char path[STORE_PATH_MAX];
	char *frontend; /* watched; NULL: it is not complete, or somebody else's */
	bool known; /* it has not changed since it was read */
	bool seen; /* in this look */
	bool first; /* an event comes of the watch itself */
};

static struct disk *find_disk(struct ahead *a, unsigned int domid, unsigned int devid)
{
	struct disk *d;

	list_for_each (d, &a->disks, link) {
		if (d->domid == domid && d->devid == devid)
			return d;
	}
	return NULL;
}

static void look_later(struct ahead *a)
{
	struct itimerspec in = { .it_value.tv_sec = LOOK_S };

	if (!a->runs || a->waits)
		return;
	a->waits = true;
	timerfd_settime(a->look_fd.fd, 0, &in, NULL);
}

static void forget_disk(struct ahead *a, struct disk *d)
{
	char domain[64];

	d->known = false;
	store_cache_forget(&a->cache, d->path, true);
	if (d->frontend)
		store_cache_forget(&a->cache, d->frontend, true);
	/* Not watched, and made and gone with the disk. */
	snprintf(domain, sizeof(domain), "/local/domain/%u", d->domid);
	store_cache_forget(&a->cache, domain, false);
	snprintf(domain, sizeof(domain), "/local/domain/%u/vm", d->domid);
	store_cache_forget(&a->cache, domain, false);
}

/* Which disks there are. */
static void forget_names(struct ahead *a, unsigned int domid)
{
	char path[STORE_PATH_MAX + 16];

	store_cache_forget(&a->cache, a->path, false);
	snprintf(path, sizeof(path), "%s/%u", a->path, domid);
	store_cache_forget(&a->cache, path, false);
}

static void forget_all(struct ahead *a)
{
	struct disk *d;

	store_cache_clear(&a->cache);
	list_for_each (d, &a->disks, link)
		d->known = false;
}

void ahead_event(struct ahead *a, const char *path, const char *token)
{
	size_t len = strlen(a->path);
	unsigned int domid, devid;
	struct disk *d;

	if (sscanf(token, AHEAD_TOKEN "/%u/%u", &domid, &devid) == 2) {
		d = find_disk(a, domid, devid);
		if (d && d->first)
			d->first = false;
		else if (d && d->known)
			forget_disk(a, d);
	} else if (!strncmp(path, a->path, len) &&
		   sscanf(path + len, "/%u/%u", &domid, &devid) == 2) {
		d = find_disk(a, domid, devid);
		if (d && d->known)
			forget_disk(a, d);
		forget_names(a, domid);
	} else if (a->first) {
		a->first = false;
		return;
	} else {
		forget_all(a);
	}
	look_later(a);
}

static void watch_frontend(struct ahead *a, struct disk *d, const char *frontend)
{
	char token[64];

	snprintf(token, sizeof(token), AHEAD_TOKEN "/%u/%u", d->domid, d->devid);
	if (d->frontend && strcmp(d->frontend, frontend)) {
		xs_unwatch(a->host.store->xs, d->frontend, token);
		free(d->frontend);
		d->frontend = NULL;
	}
	if (d->frontend || !xs_watch(a->host.store->xs, frontend, token))
		return;
	d->frontend = strdup(frontend);
	d->first = true;
	if (!d->frontend)
		xs_unwatch(a->host.store->xs, frontend, token);
}

/* What a disk is asked when it is taken on, in any order. */
static void read_disk(struct ahead *a, struct disk *d)
{
	struct vbd v = { .host = &a->host };
	struct settings settings;
	struct transport transport;
	struct vbd_view view;
	struct error e;

	d->known = true;
	if (vbd_config_read(a->host.store, d->path, &v.config))
		return;
	watch_frontend(a, d, v.config.frontend);
	snprintf(v.path, sizeof(v.path), "%s", d->path);
	vbd_view_read(&v, &view);
	vbd_offered_queues(&v);
	vbd_settings_read(&v, &settings);
	if (view.frontend == EVENT_FRONTEND_CONNECTED)
		transport_read(a->host.store, v.config.frontend, TRANSPORT_MAX_QUEUES, &transport,
			       &e);
	vbd_config_free(&v.config);
	/* What is not watched is not to be relied on: nor is whether its domain lives. */
	if (!d->frontend || view.frontend == EVENT_FRONTEND_GONE)
		forget_disk(a, d);
}

static void free_disk(struct ahead *a, struct disk *d)
{
	char token[64];

	snprintf(token, sizeof(token), AHEAD_TOKEN "/%u/%u", d->domid, d->devid);
	if (d->frontend)
		xs_unwatch(a->host.store->xs, d->frontend, token);
	list_del(&d->link);
	free(d->frontend);
	free(d);
}

static struct disk *make_disk(struct ahead *a, unsigned int domid, unsigned int devid)
{
	struct disk *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->domid = domid;
	d->devid = devid;
	list_add_tail(&a->disks, &d->link);
	return d;
}

static void look_at(void *arg, const char *path)
{
	struct ahead *a = arg;
	unsigned int domid, devid;
	struct disk *d;

	if (sscanf(path + strlen(a->path), "/%u/%u", &domid, &devid) != 2)
		return;
	d = find_disk(a, domid, devid);
	if (!d)
		d = make_disk(a, domid, devid);
	if (!d)
		return;
	d->seen = true;
	if (d->known)
		return;
	snprintf(d->path, sizeof(d->path), "%s", path);
	read_disk(a, d);
}

/* At all that is not known. */
static void look(struct ahead *a)
{
	struct disk *d, *tmp;

	a->waits = false;
	list_for_each (d, &a->disks, link)
		d->seen = false;
	/* Who serves says what is wrong. */
	log_hush(true);
	store_cache_learn(&a->cache, true);
	vbd_each(a->host.store, a->path, look_at, a);
	store_cache_learn(&a->cache, false);
	log_hush(false);
	list_for_each_safe (d, tmp, &a->disks, link) {
		if (d->seen)
			continue;
		forget_disk(a, d);
		free_disk(a, d);
	}
}

static void look_due(struct reactor_fd *rfd)
{
	struct ahead *a = container_of(rfd, struct ahead, look_fd);
	uint64_t expirations;

	if (read(rfd->fd, &expirations, sizeof(expirations)) > 0)
		look(a);
}

/* Return: whether there may be more. */
static bool take_events(struct ahead *a, uint32_t max)
{
	char **event;

	for (uint32_t i = 0; i < max; i++) {
		event = xs_check_watch(a->host.store->xs);
		if (!event)
			return false;
		ahead_event(a, event[XS_WATCH_PATH], event[XS_WATCH_TOKEN]);
		free(event);
	}
	return true;
}

static void store_ready(struct reactor_fd *rfd)
{
	/* The descriptor stays readable for those that are left. */
	take_events(container_of(rfd, struct ahead, store_fd), MAX_EVENTS_PER_TURN);
}

static void stop_looking(struct ahead *a)
{
	if (!a->runs)
		return;
	a->runs = false;
	reactor_del_fd(a->control, &a->store_fd);
	reactor_del_timer(a->control, &a->look_fd);
}

int ahead_begin(struct ahead *a, struct store *store, struct reactor *control, const char *class,
		struct error *e)
{
	int err;

	*a = (struct ahead){ .host = { .store = store, .class = class },
			     .control = control,
			     .first = true };
	list_init(&a->disks);
	store_cache_init(&a->cache);
	snprintf(a->path, sizeof(a->path), "%s/backend/%s", store->root, class);
	if (!xs_watch(store->xs, a->path, AHEAD_TOKEN))
		return error_set(e, errno, "cannot watch %s: %s", a->path, strerror(errno));
	a->store_fd = (struct reactor_fd){ xs_fileno(store->xs), store_ready };
	err = reactor_add_fd(control, &a->store_fd);
	if (err)
		goto unwatch;
	err = reactor_add_timer(control, &a->look_fd, look_due);
	if (err)
		goto del_store_fd;
	a->runs = true;
	store->cache = &a->cache;
	look(a);
	return 0;
del_store_fd:
	reactor_del_fd(control, &a->store_fd);
unwatch:
	xs_unwatch(store->xs, a->path, AHEAD_TOKEN);
	return error_set(e, -err, "cannot wait for changes in xenstore: %s", strerror(-err));
}

void ahead_turn(struct ahead *a)
{
	struct store *s = a->host.store;
	unsigned int len;

	if (!a->runs)
		return;
	stop_looking(a);
	/* Whatever was changed before this is answered has its events before. */
	free(xs_read(s->xs, XBT_NULL, "domid", &len));
	/* Who writes faster than that has not been read ahead. */
	if (take_events(a, MAX_EVENTS))
		forget_all(a);
}

void ahead_end(struct ahead *a)
{
	struct store *s = a->host.store;
	struct disk *d, *tmp;

	if (!s || !s->cache)
		return;
	s->cache = NULL;
	stop_looking(a);
	list_for_each_safe (d, tmp, &a->disks, link)
		free_disk(a, d);
	xs_unwatch(s->xs, a->path, AHEAD_TOKEN);
	store_cache_clear(&a->cache);
}
