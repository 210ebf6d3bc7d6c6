/* SPDX-License-Identifier: BSD-2-Clause */
#include "vbd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/xenbus.h>

#include "clock.h"
#include "grant.h"
#include "leftover.h"
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

/* For a line about something that the guest can bring about as often as it likes. */
static bool may_log(struct vbd *v)
{
	if (!log_allowed(&v->log_limit, clock_ns()))
		return false;
	if (v->log_limit.suppressed)
		log_warning("%s: %u lines like these were left out", v->name,
			    v->log_limit.suppressed);
	v->log_limit.suppressed = 0;
	return true;
}

/* What is wrong with the disk; ACTION_REPORT writes it to xenstore. */
static void set_error(struct vbd *v, enum log_level level, int err, const struct error *e)
{
	v->err = err;
	v->error = *e;
	if (may_log(v))
		log_line(level, "%s: %s", v->name, e->text);
}

static enum negotiate_event vbd_open(struct vbd *v)
{
	struct bdev_open_args args = {
		.read_only = v->config.read_only,
		.dmem = v->host->dmem,
		.state_dir = v->host->state_dir,
	};
	struct error e = { "" };
	int err = transfer_cut(v->config.uri, &v->config.transfer, &v->config.has_transfer, &e);

	if (!err)
		err = bdev_open(v->config.uri, &args, &v->bdev, &e);
	if (err) {
		v->bdev = NULL;
		set_error(v, LOG_LEVEL_ERROR, err, &e);
		return EVENT_OPEN_FAILED;
	}
	/* Closed and opened again with each turn of the frontend from 6 to 1. */
	if (may_log(v))
		log_info("%s: opened %s: %" PRIu64 " MiB%s", v->name, v->config.uri,
			 v->bdev->info.size_bytes >> 20, v->config.read_only ? ", read-only" : "");
	return EVENT_OPENED;
}

static void vbd_close_bdev(struct vbd *v)
{
	if (v->bdev)
		bdev_close(v->bdev);
	v->bdev = NULL;
}

static void on_broken(void *arg)
{
	struct vbd *v = arg;
	struct error e;
	int err = error_set(&e, EPROTO, "the guest's ring claims more requests than it has slots");

	set_error(v, LOG_LEVEL_WARNING, err, &e);
	vbd_feed(v, EVENT_BROKEN);
}

static void on_drained(void *arg)
{
	struct vbd *v = arg;
	const struct queue_stats *st = &v->queue->stats;

	if (may_log(v))
		log_info("%s: disconnected after %" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64
			 " flushes, %" PRIu64 " errors, %" PRIu64 " refused",
			 v->name, st->reads, st->writes, st->flushes, st->errors, st->refused);
	queue_destroy(v->queue);
	v->queue = NULL;
	grant_unmap(v->host->gnttab, v->ring_page, 1);
	v->ring_page = NULL;
	vbd_feed(v, EVENT_DRAINED);
}

/* What the disk asks for, as far as its device can. */
static uint32_t direct_from_bytes(const struct vbd *v)
{
	const struct transfer *t =
		v->config.has_transfer ? &v->config.transfer : &v->host->transfer;

	return v->bdev->info.dma && dmem_has_window(v->host->dmem) ? t->direct_from_bytes
								   : TRANSFER_COPY_ALL;
}

/* It was asked for by name, of a device that could; served by copy it is better off than not. */
static void warn_not_direct(struct vbd *v)
{
	const struct transfer *t = &v->config.transfer;

	if (v->config.has_transfer && !t->direct_from_bytes && v->bdev->info.dma &&
	    !dmem_has_window(v->host->dmem) && may_log(v))
		log_warning("%s: transfer=direct is not to be had in this domain: data is copied",
			    v->name);
}

static void transfer_words(uint32_t from_bytes, char *text, size_t size)
{
	if (from_bytes == TRANSFER_COPY_ALL)
		snprintf(text, size, "copy");
	else if (!from_bytes)
		snprintf(text, size, "direct");
	else
		snprintf(text, size, "direct from %u bytes, copy below", from_bytes);
}

static void queue_name(const struct vbd *v, char *name, size_t size)
{
	snprintf(name, size, "%s-%u-%u-queue-0", v->host->class, v->config.domid, v->config.devid);
}

static int vbd_start_queue(struct vbd *v, const struct vbd_transport *t, struct error *e)
{
	struct vbd_host *host = v->host;
	char name[64];
	struct queue_args args = {
		.pipeline = host->pipeline,
		.control = host->control,
		.events = { .broken = on_broken, .drained = on_drained, .arg = v },
		.domid = v->config.domid,
		.remote_port = t->event_channel,
		.limits = { .size_bytes = v->bdev->info.size_bytes,
			    .read_only = v->config.read_only,
			    .flush = v->bdev->info.flush },
		.bdev = v->bdev,
		.direct_from_bytes = direct_from_bytes(v),
		.state_dir = host->state_dir,
		.name = name,
		.disk = v->name,
	};
	int err = ring_attach(&args.ring, t->abi, v->ring_page, 1);

	if (err)
		return error_set(e, -err, "the ring holds more requests than it has slots");
	queue_name(v, name, sizeof(name));
	/* A frontend that begins anew does so with a ring that begins at 0. */
	if (leftover_is_torn(host->state_dir, name) && args.ring.rsp_prod)
		return error_set(e, EIO,
				 "requests were in flight when the daemon was killed that served "
				 "it; the guest has to connect it anew");
	leftover_forget(host->state_dir, name);
	err = queue_create(&args, &v->queue);
	if (err)
		return error_set(e, -err, "cannot make a queue in %s: %s", host->state_dir,
				 strerror(-err));
	err = queue_start(v->queue);
	if (err) {
		error_set(e, -err, "cannot serve event channel %u: %s", t->event_channel,
			  strerror(-err));
		queue_destroy(v->queue);
		v->queue = NULL;
	}
	return err;
}

static enum negotiate_event vbd_connect(struct vbd *v)
{
	struct vbd_transport t;
	struct error e = { "" };
	char transfer[64];
	int err = vbd_transport_read(v, &t, &e);

	if (err)
		goto fail;
	err = grant_map(v->host->gnttab, v->config.domid, &t.ring_ref, 1, &v->ring_page);
	if (err) {
		error_set(&e, -err, "cannot map the ring, grant %u: %s", t.ring_ref,
			  strerror(-err));
		goto fail;
	}
	err = vbd_start_queue(v, &t, &e);
	if (err)
		goto unmap;
	warn_not_direct(v);
	transfer_words(v->queue->direct_from_bytes, transfer, sizeof(transfer));
	if (may_log(v))
		log_info("%s: connected: %s, one ring of %u slots, transfer %s", v->name,
			 t.abi->protocol, v->queue->ring.nr_entries, transfer);
	vbd_write_state(v, XenbusStateConnected);
	return NO_EVENT;
unmap:
	grant_unmap(v->host->gnttab, v->ring_page, 1);
	v->ring_page = NULL;
fail:
	set_error(v, LOG_LEVEL_WARNING, err, &e);
	return EVENT_CONNECT_FAILED;
}

static void vbd_free(struct vbd *v)
{
	struct vbd_host *host = v->host;

	char name[64];

	vbd_watch(v, false);
	vbd_unreport(v);
	/* If it was removed; should the daemon end, the next has to know. */
	if (v->removed) {
		queue_name(v, name, sizeof(name));
		leftover_forget(host->state_dir, name);
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
		event = vbd_open(v);
	if (actions & ACTION_PUBLISH) {
		vbd_unreport(v);
		vbd_publish(v);
	}
	if (actions & ACTION_CONNECT)
		event = vbd_connect(v);
	if (actions & ACTION_DRAIN)
		queue_stop(v->queue);
	if (actions & ACTION_CLOSE_BDEV)
		vbd_close_bdev(v);
	if (actions & ACTION_WAIT)
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

void vbd_refresh(struct vbd *v)
{
	struct vbd_view view;

	v->dirty = false;
	vbd_view_read(v, &view);
	if (view.removed) {
		v->removed = true;
		vbd_feed(v, EVENT_REMOVED);
		return;
	}
	/* Neither of these frees it. */
	if (view.offline)
		vbd_feed(v, EVENT_OFFLINE);
	vbd_feed(v, view.frontend);
}

void vbd_stop(struct vbd *v)
{
	vbd_feed(v, EVENT_STOP);
}

struct vbd *vbd_create(struct vbd_host *host, const char *path, const struct vbd_config *config)
{
	struct vbd *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->host = host;
	v->config = *config;
	v->state = NEGOTIATE_OPENING;
	v->dirty = true;
	list_node_init(&v->link);
	snprintf(v->path, sizeof(v->path), "%s", path);
	snprintf(v->error_path, sizeof(v->error_path), "%s/error/backend/%s/%u/%u",
		 host->store->root, host->class, config->domid, config->devid);
	snprintf(v->name, sizeof(v->name), "%u/%.32s", config->domid,
		 config->dev ? config->dev : strrchr(path, '/') + 1);
	if (!vbd_watch(v, true))
		log_warning("%s: cannot watch %s/state: %s", v->name, config->frontend,
			    strerror(errno));
	vbd_feed(v, vbd_open(v));
	return v;
}
