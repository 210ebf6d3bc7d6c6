/* SPDX-License-Identifier: BSD-2-Clause */
#include "backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "aside.h"
#include "log.h"
#include "vbd_store.h"

#define CLASS_TOKEN "class"

/*
 * Watch events taken at one go. They come down to which disks are to be looked at, so many cost little;
 * but guests cause them as fast as they write, and there is more to do.
 */
#define MAX_EVENTS_PER_TURN 1024

/*
 * Between two attempts to open the device of a guest that waits for it: the second one is soon, for a
 * process that was killed leaves its last requests in the kernel, and they hold its claim until they
 * are over: some 10 ms, as tried. We may be its successor.
 */
#define RETRY_FIRST_MS 10u
#define RETRY_MS       1000u

/* Between two looks at how idle the CPUs are. */
#define IDLE_S 1

static struct vbd *find_vbd(struct backend *b, unsigned int domid, unsigned int devid)
{
	struct vbd *v;

	list_for_each (v, &b->vbds, link) {
		if (v->config.domid == domid && v->config.devid == devid)
			return v;
	}
	return NULL;
}

static void mark_all(struct backend *b)
{
	struct vbd *v;

	list_for_each (v, &b->vbds, link)
		v->dirty = true;
	b->rescan = true;
}

/* @what: behind the class's directory: "/3/51712/state", or less */
static void class_changed(struct backend *b, const char *what)
{
	unsigned int domid, devid;
	struct vbd *v;

	if (sscanf(what, "/%u/%u", &domid, &devid) != 2) {
		mark_all(b);
		return;
	}
	v = find_vbd(b, domid, devid);
	if (v)
		v->dirty = true;
	else
		b->rescan = true;
}

static void event_taken(struct backend *b, const char *path, const char *token)
{
	size_t len = strlen(b->path);
	unsigned int domid, devid;

	if (!strncmp(token, AHEAD_TOKEN, strlen(AHEAD_TOKEN))) {
		if (b->ahead)
			ahead_event(b->ahead, path, token);
	} else if (!strcmp(token, CLASS_TOKEN)) {
		if (!strncmp(path, b->path, len))
			class_changed(b, path + len);
	} else if (sscanf(token, "frontend/%u/%u", &domid, &devid) == 2) {
		struct vbd *v = find_vbd(b, domid, devid);

		if (v)
			v->dirty = true;
	}
}

/* A disk that we do not know, if it is complete and ours. */
static void probe(void *arg, const char *path)
{
	struct backend *b = arg;
	struct vbd_config config;
	struct vbd *v;
	int err = vbd_config_read(b->host.store, path, &config);

	if (err) {
		if (err == -EXDEV)
			log_debug("%s: left alone: its script is not block-xenblkd", path);
		return;
	}
	if (find_vbd(b, config.domid, config.devid)) {
		vbd_config_free(&config);
		return;
	}
	v = vbd_create(&b->host, path, &config);
	if (!v) {
		log_error("%s: no memory for another disk", path);
		vbd_config_free(&config);
		return;
	}
	list_add_tail(&b->vbds, &v->link);
	/* A guest that waits for it is served before others' devices are opened. */
	vbd_refresh(v);
}

static bool has_disk(void *arg, const char *disk)
{
	struct backend *b = arg;
	struct vbd *v;
	char name[64];

	list_for_each (v, &b->vbds, link) {
		vbd_record_name(v, name, sizeof(name));
		if (!strcmp(name, disk))
			return true;
	}
	return false;
}

static void scan(struct backend *b)
{
	int err = vbd_each(b->host.store, b->path, probe, b);

	/* Once, for guests that went while there was no daemon. */
	if (!b->swept && (!err || err == -ENOENT)) {
		b->swept = true;
		aside_sweep(b->host.state_dir, has_disk, b);
	}
}

static void store_ready(struct reactor_fd *rfd)
{
	struct backend *b = container_of(rfd, struct backend, store_fd);
	char **event;

	/* The descriptor stays readable for those that are left. */
	for (int i = 0; i < MAX_EVENTS_PER_TURN; i++) {
		event = xs_check_watch(b->host.store->xs);
		if (!event)
			return;
		event_taken(b, event[XS_WATCH_PATH], event[XS_WATCH_TOKEN]);
		free(event);
	}
}

/* One disk, or the scan, in each turn: what else the control thread has to do comes in between. */
static uint32_t backend_poll(struct poller *p)
{
	struct backend *b = container_of(p, struct backend, poller);
	struct vbd *v;

	list_for_each (v, &b->vbds, link) {
		if (!v->dirty)
			continue;
		/* Behind the others, so that each has its turn before it has another. */
		list_del(&v->link);
		list_add_tail(&b->vbds, &v->link);
		vbd_refresh(v);
		return 1;
	}
	if (b->rescan && !b->stopping) {
		b->rescan = false;
		scan(b);
		return 1;
	}
	/* Guests are served; from here on it has time. */
	if (b->ahead) {
		ahead_end(b->ahead);
		b->ahead = NULL;
		return 1;
	}
	list_for_each (v, &b->vbds, link) {
		if (vbd_settle(v))
			return 1;
	}
	if (b->stopping && list_empty(&b->vbds))
		b->stopped(b);
	return 0;
}

static bool backend_arm(struct poller *p)
{
	(void)p;
	return true;
}

static void retry_due(struct reactor_fd *rfd)
{
	struct backend *b = container_of(rfd, struct backend, retry_fd);
	uint64_t expirations;
	struct vbd *v;

	if (read(rfd->fd, &expirations, sizeof(expirations)) < 0)
		return;
	b->retry_armed = false;
	b->retried_at_ns = clock_ns();
	b->retry_ms = 2 * b->retry_ms < RETRY_MS ? 2 * b->retry_ms : RETRY_MS;
	list_for_each (v, &b->vbds, link)
		vbd_retry(v);
}

static void vbd_retry_later(struct vbd_host *host)
{
	struct backend *b = container_of(host, struct backend, host);
	struct itimerspec in = { 0 };

	/* Who asks more often than that does not put it off. */
	if (b->retry_armed)
		return;
	b->retry_armed = true;
	/* They are about something else than the last ones. */
	if (clock_ns() - b->retried_at_ns > 2ull * RETRY_MS * 1000 * NS_PER_US)
		b->retry_ms = RETRY_FIRST_MS;
	in.it_value.tv_sec = b->retry_ms / 1000;
	in.it_value.tv_nsec = b->retry_ms % 1000 * 1000 * NS_PER_US;
	timerfd_settime(b->retry_fd.fd, 0, &in, NULL);
}

static void keep_idle(struct backend *b, bool keep)
{
	struct itimerspec each = { { IDLE_S, 0 }, { IDLE_S, 0 } }, never = { { 0 } };

	if (b->keeps_idle == keep)
		return;
	b->keeps_idle = keep;
	timerfd_settime(b->idle_fd.fd, 0, keep ? &each : &never, NULL);
}

static void vbd_keep_idle(struct vbd_host *host)
{
	keep_idle(container_of(host, struct backend, host), true);
}

/* Time that the reactors had no work, and did not sleep. */
static uint64_t spun_ns(const struct datapath *dp)
{
	uint64_t sum = 0, now_ns = clock_ns();

	for (uint32_t i = 0; i < dp->nr; i++) {
		const struct reactor *r = &dp->reactors[i].reactor;
		uint64_t slept_at_ns = counter_read(&r->slept_at_ns);

		sum += (slept_at_ns ? slept_at_ns : now_ns) - counter_read(&r->stats.busy_ns) -
		       counter_read(&r->stats.asleep_ns);
	}
	return sum;
}

static void idle_due(struct reactor_fd *rfd)
{
	struct backend *b = container_of(rfd, struct backend, idle_fd);
	uint64_t expirations;
	bool keep = false;
	struct vbd *v;

	if (read(rfd->fd, &expirations, sizeof(expirations)) < 0)
		return;
	b->host.idle_percent = idle_percent(&b->idle, spun_ns(b->host.datapath));
	list_for_each (v, &b->vbds, link) {
		if (!v->settings.poll_idle_percent)
			continue;
		keep = true;
		vbd_set_poll(v);
	}
	keep_idle(b, keep);
}

static void vbd_gone(struct vbd_host *host)
{
	container_of(host, struct backend, host)->rescan = true;
}

int backend_start(struct backend *b, const struct backend_args *args, struct error *e)
{
	int err;

	*b = (struct backend){
		.host = { .store = args->store,
			  .control = args->control,
			  .datapath = args->datapath,
			  .dmem = args->dmem,
			  .transfer = args->transfer,
			  .state_dir = args->state_dir,
			  .class = args->class,
			  .vbds = &b->vbds,
			  .max_queues = args->max_queues,
			  .gone = vbd_gone,
			  .retry_later = vbd_retry_later,
			  .keep_idle = vbd_keep_idle,
			  .idle_percent = 100 },
		.poller = { .poll = backend_poll, .arm = backend_arm },
		.ahead = args->ahead,
		.rescan = true,
		.retry_ms = RETRY_FIRST_MS,
		.stopped = args->stopped,
	};
	list_init(&b->vbds);
	snprintf(b->path, sizeof(b->path), "%s/backend/%s", args->store->root, args->class);
	b->host.gnttab = xengnttab_open(NULL, 0);
	if (!b->host.gnttab)
		return error_set(e, errno, "cannot open /dev/xen/gntdev: %s", strerror(errno));
	if (!xs_watch(args->store->xs, b->path, CLASS_TOKEN)) {
		err = error_set(e, errno, "cannot watch %s: %s", b->path, strerror(errno));
		goto close_gnttab;
	}
	b->store_fd = (struct reactor_fd){ xs_fileno(args->store->xs), store_ready };
	err = reactor_add_fd(args->control, &b->store_fd);
	if (err) {
		error_set(e, -err, "cannot wait for xenstore: %s", strerror(-err));
		goto unwatch;
	}
	err = reactor_add_timer(args->control, &b->retry_fd, retry_due);
	if (err)
		goto del_store_fd;
	err = reactor_add_timer(args->control, &b->idle_fd, idle_due);
	if (err)
		goto del_retry_fd;
	idle_open(&b->idle);
	reactor_add_poller(args->control, &b->poller);
	return 0;
del_retry_fd:
	reactor_del_timer(args->control, &b->retry_fd);
del_store_fd:
	error_set(e, -err, "cannot make a timer: %s", strerror(-err));
	reactor_del_fd(args->control, &b->store_fd);
unwatch:
	xs_unwatch(args->store->xs, b->path, CLASS_TOKEN);
close_gnttab:
	xengnttab_close(b->host.gnttab);
	return err;
}

void backend_resize(struct backend *b)
{
	struct error e;
	struct vbd *v;
	int err;

	list_for_each (v, &b->vbds, link) {
		err = vbd_resize(v, &e);
		if (err && err != -EOPNOTSUPP && err != -ENODEV)
			log_warning("%s: %s", v->name, e.text);
	}
}

void backend_retry(struct backend *b)
{
	struct vbd *v;

	list_for_each (v, &b->vbds, link) {
		v->wants_retry |= v->state == NEGOTIATE_REFUSED;
		vbd_retry(v);
	}
}

void backend_set_transfer(struct backend *b, const struct transfer *transfer)
{
	struct vbd *v;

	b->host.transfer = *transfer;
	list_for_each (v, &b->vbds, link)
		vbd_set_transfer(v);
}

void backend_stop(struct backend *b)
{
	struct vbd *v, *tmp;

	b->stopping = true;
	list_for_each_safe (v, tmp, &b->vbds, link)
		vbd_stop(v);
}

void backend_fini(struct backend *b)
{
	reactor_del_poller(b->host.control, &b->poller);
	idle_close(&b->idle);
	reactor_del_timer(b->host.control, &b->idle_fd);
	reactor_del_timer(b->host.control, &b->retry_fd);
	reactor_del_fd(b->host.control, &b->store_fd);
	xs_unwatch(b->host.store->xs, b->path, CLASS_TOKEN);
	xengnttab_close(b->host.gnttab);
}
