/* SPDX-License-Identifier: BSD-2-Clause */
#include "vbd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/xenbus.h>

#include "aside.h"
#include "clock.h"
#include "grant.h"
#include "inherit.h"
#include "medium.h"
#include "point.h"
#include "twin.h"
#include "vbd_store.h"

/* Not one of negotiate's: there is nothing more to feed in. */
#define NO_EVENT NEGOTIATE_NR_EVENTS

static void vbd_feed(struct vbd *v, enum negotiate_event event);

static void vbd_watch_token(const struct vbd *v, char *token, size_t size)
{
	snprintf(token, size, "frontend/%u/%u", v->config.domid, v->config.devid);
}

static bool vbd_watch(struct vbd *v, bool on)
{
	struct xs_handle *xs = v->host->store->xs;
	char path[STORE_PATH_MAX], token[64];

	snprintf(path, sizeof(path), "%s/state", v->config.frontend);
	vbd_watch_token(v, token, sizeof(token));
	return on ? xs_watch(xs, path, token) : xs_unwatch(xs, path, token);
}

bool vbd_may_log(struct vbd *v, struct log_limit *limit)
{
	if (!log_allowed(limit, clock_ns()))
		return false;
	if (limit->suppressed)
		log_warning("%s: %u lines like these were left out", v->name, limit->suppressed);
	limit->suppressed = 0;
	return true;
}

void vbd_set_error(struct vbd *v, enum log_level level, int err, const struct error *e)
{
	v->err = err;
	v->error = *e;
	if (vbd_may_log(v, &v->error_limit))
		log_line(level, "%s: %s", v->name, e->text);
}

static void on_broken(void *arg)
{
	struct vbd *v = arg;
	struct error e;
	int err = error_set(&e, EPROTO, "the guest's ring claims more requests than it has slots");

	vbd_set_error(v, LOG_LEVEL_WARNING, err, &e);
	vbd_feed(v, EVENT_BROKEN);
}

static void on_parted(void *arg)
{
	medium_parted(arg);
}

void vbd_fail(struct vbd *v, int err)
{
	struct error e = v->error;

	vbd_set_error(v, LOG_LEVEL_ERROR, err, &e);
	vbd_feed(v, EVENT_BROKEN);
}

/* The begin of the names of its records. */
void vbd_record_name(const struct vbd *v, char *name, size_t size)
{
	snprintf(name, size, "%s-%u-%u", v->host->class, v->config.domid, v->config.devid);
}

/* Of queues that do not serve, or do no more. */
static void vbd_destroy_queues(struct vbd *v)
{
	while (v->nr_queues) {
		struct vbd_queue *vq = &v->queues[--v->nr_queues];

		queue_stats_add(&v->past, &vq->queue->stats);
		/* A stop does not make good what a flush lost: the next daemon has to know. */
		if (v->stopping && v->flush_failed)
			queue_leave(vq->queue);
		else
			queue_destroy(vq->queue);
		POINT();
		grant_unmap(v->host->gnttab, vq->ring, v->nr_ring_pages);
	}
}

void vbd_stats(const struct vbd *v, struct queue_stats *out)
{
	*out = v->past;
	for (uint32_t i = 0; i < v->nr_queues; i++)
		queue_stats_add(out, &v->queues[i].queue->stats);
}

static void log_stats(struct vbd *v)
{
	struct queue_stats sum = { 0 };

	for (uint32_t i = 0; i < v->nr_queues; i++)
		queue_stats_add(&sum, &v->queues[i].queue->stats);
	log_info("%s: disconnected after %" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64
		 " discards, %" PRIu64 " barriers, %" PRIu64 " flushes, %" PRIu64
		 " errors, %" PRIu64 " refused; %" PRIu64 " were indirect",
		 v->name, sum.reads, sum.writes, sum.discards, sum.barriers, sum.flushes,
		 sum.errors, sum.refused, sum.indirect);
	if (sum.kept)
		log_info("%s: %" PRIu64 " segments went through pages that stayed mapped", v->name,
			 sum.kept);
	for (uint32_t i = 0; i < v->nr_queues && v->nr_queues > 1; i++) {
		const struct queue_stats *st = &v->queues[i].queue->stats;

		log_debug("%s: queue %u had %" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64
			  " flushes",
			  v->name, i, st->reads, st->writes, st->flushes);
	}
}

static void on_drained(void *arg)
{
	struct vbd *v = arg;

	if (--v->nr_undrained)
		return;
	if (vbd_may_log(v, &v->news_limit))
		log_stats(v);
	vbd_destroy_queues(v);
	twin_look_again(v);
	vbd_feed(v, EVENT_DRAINED);
}

void vbd_queue_limits(const struct vbd *v, struct request_limits *out)
{
	*out = (struct request_limits){
		.size_bytes = v->bdev->info.size_bytes,
		.read_only = v->config.read_only,
		.flush = v->bdev->info.flush,
		.discard = vbd_discards(v),
		.discard_secure = v->bdev->info.discard_secure,
		.max_indirect_segments = TABLE_SEGMENTS,
	};
}

static int make_queue(struct vbd *v, const struct transport *t, struct error *e)
{
	struct vbd_host *host = v->host;
	const struct transport_queue *tq = &t->queues[v->nr_queues];
	struct vbd_queue *vq = &v->queues[v->nr_queues];
	char disk[64], name[80];
	struct queue_args args = {
		.pipeline = datapath_choose(host->datapath),
		.control = host->control,
		.events = { .broken = on_broken,
			    .drained = on_drained,
			    .parted = on_parted,
			    .arg = v },
		.domid = v->config.domid,
		.remote_port = tq->event_channel,
		.bdev = v->bdev,
		.direct_from_bytes = vbd_direct_from_bytes(v),
		.persistent = vbd_goes_persistent(v, t),
		.poll_ns = vbd_poll_ns(v),
		.state_dir = host->state_dir,
		.name = name,
		.disk = v->name,
		.flush_failed = &v->flush_failed,
		.throttle = &v->throttle,
		.number = v->nr_queues,
		.paused = v->settings.paused,
		.identity = { .nr_pages = t->nr_ring_pages,
			      .remote_port = tq->event_channel,
			      .entry_bytes = t->abi->entry_bytes },
	};
	struct inherit left;
	int err = grant_map(host->gnttab, v->config.domid, tq->ring_refs, t->nr_ring_pages,
			    &vq->ring);

	if (err)
		return error_set(e, -err, "cannot map ring %u, %u pages from grant %u: %s",
				 v->nr_queues, t->nr_ring_pages, tq->ring_refs[0], strerror(-err));
	vbd_queue_limits(v, &args.limits);
	memcpy(args.identity.refs, tq->ring_refs, t->nr_ring_pages * sizeof(tq->ring_refs[0]));
	vbd_record_name(v, disk, sizeof(disk));
	snprintf(name, sizeof(name), "%s-queue-%u", disk, v->nr_queues);
	err = inherit_ring(host->state_dir, name, t->abi, vq->ring, &args.identity, &args.ring,
			   &left, e);
	if (err)
		goto unmap;
	if (left.inherited.record) {
		args.inherited = &left.inherited;
		v->flush_failed |= left.inherited.record->flush_failed;
		v->nr_inherited += left.inherited.nr;
	}
	POINT();
	err = queue_create(&args, &vq->queue);
	inherit_end(&left);
	if (err) {
		error_set(e, -err, "cannot make a queue in %s: %s%s", host->state_dir,
			  strerror(-err),
			  err == -ENOMEM
				  ? " (or not so much may be locked: ulimit -l, LimitMEMLOCK)"
				  : "");
		goto unmap;
	}
	v->nr_queues++;
	return 0;
unmap:
	grant_unmap(host->gnttab, vq->ring, t->nr_ring_pages);
	return err;
}

/* The rings are served on, or are others: what was left of them is of no use any more. */
static void forget_leftover(struct vbd *v)
{
	char disk[64];

	if (v->forgot)
		return;
	v->forgot = true;

	vbd_record_name(v, disk, sizeof(disk));
	aside_forget(v->host->state_dir, disk);
}

/* All or none. */
static int bind_queues(struct vbd *v, struct error *e)
{
	int err = 0;
	uint32_t i;

	for (i = 0; i < v->nr_queues; i++) {
		err = queue_bind(v->queues[i].queue);
		if (err)
			break;
	}
	if (!err)
		return 0;
	error_set(e, -err,
		  "cannot serve event channel %u: %s; if the guest is alive, has another backend "
		  "it (is xen-blkback loaded)?",
		  v->queues[i].queue->remote_port, strerror(-err));
	while (i)
		queue_unbind(v->queues[--i].queue);
	return err;
}

static int make_queues(struct vbd *v, const struct transport *t, struct error *e)
{
	int err = 0;

	v->nr_ring_pages = t->nr_ring_pages;
	v->flush_failed = false;
	v->nr_inherited = 0;
	while (v->nr_queues < t->nr_queues && !err)
		err = make_queue(v, t, e);
	if (!err)
		err = bind_queues(v, e);
	if (err) {
		vbd_destroy_queues(v);
		return err;
	}
	/* Before anything is answered. */
	POINT();
	forget_leftover(v);
	return 0;
}

void vbd_report_any(struct vbd *v)
{
	if (v->err)
		vbd_report(v);
	else
		vbd_unreport(v);
}

/* Its properties are in xenstore, and an error that is none any more is not. */
static void publish(struct vbd *v)
{
	vbd_publish(v);
	vbd_report_any(v);
	v->publishes_late = false;
}

/* A guest that a daemon was serving has seen them, and waits for its answers. */
static bool may_publish_late(const struct vbd *v)
{
	char disk[64];

	vbd_record_name(v, disk, sizeof(disk));
	return aside_has(v->host->state_dir, disk);
}

/* A guest that is connected keeps the queues that an earlier daemon offered it. */
uint32_t vbd_max_queues(const struct vbd *v)
{
	return v->offered_queues > v->host->max_queues ? v->offered_queues : v->host->max_queues;
}

static enum negotiate_event vbd_connect(struct vbd *v)
{
	struct transport t;
	struct error e = { "" };
	char transfer[64];
	int err = transport_read(v->host->store, v->config.frontend, vbd_max_queues(v), &t, &e);

	if (!err)
		err = make_queues(v, &t, &e);
	if (err) {
		if (v->publishes_late)
			publish(v);
		vbd_set_error(v, LOG_LEVEL_WARNING, err, &e);
		return EVENT_CONNECT_FAILED;
	}
	vbd_warn_not_direct(v);
	vbd_transfer_words(v, transfer, sizeof(transfer));
	if (vbd_may_log(v, &v->news_limit))
		log_info("%s: connected: %s, %u queue%s of %u slots, transfer %s", v->name,
			 t.abi->protocol, v->nr_queues, v->nr_queues > 1 ? "s" : "",
			 ring_entries(t.abi, t.nr_ring_pages), transfer);
	if (v->nr_inherited)
		log_warning(
			"%s: goes on where a daemon that was killed ended: %u requests are carried "
			"out again",
			v->name, v->nr_inherited);
	v->nr_undrained = v->nr_queues;
	for (uint32_t i = 0; i < v->nr_queues; i++) {
		queue_start(v->queues[i].queue);
		POINT();
	}
	if (!v->publishes_late)
		vbd_write_state(v, XenbusStateConnected);
	return NO_EVENT;
}

static void vbd_stop_queues(struct vbd *v)
{
	v->nr_parting = 0;
	for (uint32_t i = 0; i < v->nr_queues; i++)
		queue_stop(v->queues[i].queue);
}

static void vbd_free(struct vbd *v)
{
	struct vbd_host *host = v->host;
	char name[64];

	vbd_watch(v, false);
	vbd_unreport(v);
	/* If it was removed; should the daemon end, the next has to know. */
	if (v->removed) {
		vbd_record_name(v, name, sizeof(name));
		aside_forget(host->state_dir, name);
	}
	list_del(&v->link);
	log_info("%s: gone", v->name);
	vbd_config_free(&v->config);
	free(v);
	host->gone(host);
}

/* In the order of their bits. Return: what came of them, or NO_EVENT. @v may be freed. */
static enum negotiate_event vbd_act(struct vbd *v, uint32_t actions)
{
	enum negotiate_event event = NO_EVENT;

	if (actions & ACTION_REPORT)
		vbd_report(v);
	if (actions & ACTION_OPEN)
		event = medium_open(v);
	if (actions & ACTION_PUBLISH) {
		v->publishes_late = may_publish_late(v);
		if (!v->publishes_late)
			publish(v);
	}
	if (actions & ACTION_CONNECT)
		event = vbd_connect(v);
	if (actions & ACTION_DRAIN)
		vbd_stop_queues(v);
	if (actions & ACTION_CLOSE_BDEV)
		medium_close(v);
	if (actions & ACTION_WAIT && !v->publishes_late)
		vbd_write_state(v, XenbusStateInitWait);
	if (actions & ACTION_CLOSING)
		vbd_write_state(v, XenbusStateClosing);
	if (actions & ACTION_CLOSED)
		vbd_write_state(v, XenbusStateClosed);
	if (actions & ACTION_REREAD)
		v->dirty = true;
	if (actions & ACTION_FREE)
		vbd_free(v);
	return event;
}

static void vbd_feed(struct vbd *v, enum negotiate_event event)
{
	while (event != NO_EVENT) {
		struct negotiate_step step = negotiate(v->state, event);

		if (step.state != v->state)
			log_debug("%s: %s: %s -> %s", v->name, negotiate_event_name(event),
				  negotiate_state_name(v->state), negotiate_state_name(step.state));
		v->state = step.state;
		event = vbd_act(v, step.actions);
	}
}

/* Return: true if it is to be looked at again when a twin is drained. */
static bool waits_for_twin(struct vbd *v, enum negotiate_event frontend)
{
	struct vbd *older;

	if (v->state != NEGOTIATE_WAITING ||
	    (frontend != EVENT_FRONTEND_INITIALISED && frontend != EVENT_FRONTEND_CONNECTED))
		return false;
	while ((older = twin_older(v)) && !older->nr_queues)
		vbd_feed(older, EVENT_SUPERSEDED);
	if (!older)
		return false;
	vbd_feed(older, EVENT_SUPERSEDED);
	return true;
}

void vbd_refresh(struct vbd *v)
{
	struct settings settings;
	struct vbd_view view;

	v->dirty = false;
	vbd_view_read(v, &view);
	if (view.removed) {
		v->removed = true;
		vbd_feed(v, EVENT_REMOVED);
		return;
	}
	/* It has let go of the rings whose requests are written down, whether these can be read or not. */
	if (view.frontend == EVENT_FRONTEND_INITIALISING ||
	    view.frontend == EVENT_FRONTEND_CLOSED) {
		forget_leftover(v);
		v->offered_queues = 0;
	}
	if (v->publishes_late && v->state == NEGOTIATE_WAITING &&
	    view.frontend != EVENT_FRONTEND_CONNECTED) {
		publish(v);
		vbd_write_state(v, XenbusStateInitWait);
	}
	vbd_settings_read(v, &settings);
	vbd_apply_settings(v, &settings);
	/* Neither of these frees it. */
	if (view.offline)
		vbd_feed(v, EVENT_OFFLINE);
	if (twin_newer(v))
		vbd_feed(v, EVENT_SUPERSEDED);
	if (waits_for_twin(v, view.frontend))
		return;
	v->wants_retry = v->state == NEGOTIATE_BUSY || (v->state == NEGOTIATE_REFUSED &&
							view.frontend == EVENT_FRONTEND_CONNECTED);
	if (v->wants_retry)
		v->host->retry_later(v->host);
	vbd_feed(v, view.frontend);
	medium_refresh(v);
	if (!v->config.attached)
		return;
	/* No toolstack looks after it. */
	if (view.guest_gone && !view.offline)
		vbd_abandon(v);
	else if (view.offline && v->state == NEGOTIATE_RELEASED)
		vbd_remove_nodes(v);
}

bool vbd_settle(struct vbd *v)
{
	if (!v->publishes_late || v->state != NEGOTIATE_CONNECTED)
		return false;
	publish(v);
	vbd_write_state(v, XenbusStateConnected);
	return true;
}

void vbd_retry(struct vbd *v)
{
	if (!v->wants_retry)
		return;
	v->wants_retry = false;
	vbd_feed(v, EVENT_RETRY);
}

int vbd_resize(struct vbd *v, struct error *e)
{
	uint64_t before = v->size_bytes, now;
	int err;

	if (!v->bdev || v->nr_parting)
		return error_set(e, ENODEV, "the disk is not open");
	err = bdev_resize(v->bdev, e);
	if (err)
		return err;
	now = v->bdev->info.size_bytes;
	if (now == before)
		return 0;
	/* First of all, for the guest may act on what it is told at once. */
	for (uint32_t i = 0; i < v->nr_queues; i++)
		queue_resize(v->queues[i].queue, now);
	log_info("%s: has %" PRIu64 " bytes now, and had %" PRIu64, v->name, now, before);
	err = vbd_publish_size(v);
	return err ? error_set(e, -err, "the new size cannot be written to xenstore: %s",
			       strerror(-err))
		   : 0;
}

void vbd_stop(struct vbd *v)
{
	v->stopping = true;
	vbd_feed(v, EVENT_STOP);
}

struct vbd *vbd_create(struct vbd_host *host, const char *path, const struct vbd_config *config)
{
	struct vbd *v = calloc(1, sizeof(*v));
	struct negotiate_step first;
	struct vbd_view view;
	enum negotiate_event event;

	if (!v)
		return NULL;
	v->host = host;
	v->config = *config;
	v->dirty = true;
	settings_init(&v->settings);
	throttle_set(&v->throttle, &v->settings.limits, clock_ns());
	list_node_init(&v->link);
	snprintf(v->path, sizeof(v->path), "%s", path);
	snprintf(v->error_path, sizeof(v->error_path), "%s/error/backend/%s/%u/%u",
		 host->store->root, host->class, config->domid, config->devid);
	snprintf(v->name, sizeof(v->name), "%u/%.32s", config->domid,
		 config->dev ? config->dev : strrchr(path, '/') + 1);
	if (!vbd_watch(v, true))
		log_warning("%s: cannot watch %s/state: %s", v->name, config->frontend,
			    strerror(errno));
	vbd_view_read(v, &view);
	if (view.frontend == EVENT_FRONTEND_CONNECTED)
		v->offered_queues = vbd_offered_queues(v);
	first = negotiate_begin(view.frontend);
	v->state = first.state;
	event = vbd_act(v, first.actions);
	if (event != NO_EVENT)
		vbd_feed(v, event);
	return v;
}
