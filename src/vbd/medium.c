/* SPDX-License-Identifier: BSD-2-Clause */
#include "medium.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "twin.h"
#include "vbd_store.h"

/*
 * A device that somebody has may come free in a moment: a daemon that was killed is not quite dead yet, a
 * disk whose removal we have not heard of. One that a disk of ours lets go of does.
 */
#define BUSY_NS (1000000 * NS_PER_US)

#define EMPTY	"null:empty"

bool medium_is_removable(const struct vbd *v)
{
	return (v->config.cdrom || v->config.removable) && v->config.read_only;
}

static bool lets_go(const struct vbd *v)
{
	return v->bdev && (v->removed || v->state == NEGOTIATE_DRAINING ||
			   v->state == NEGOTIATE_FAILING || v->state == NEGOTIATE_YIELDING);
}

static bool may_come_free(const struct vbd *v)
{
	const struct vbd *other;

	list_for_each (other, v->host->vbds, link) {
		if (lets_go(other) && !strcmp(other->config.uri, v->config.uri))
			return true;
	}
	return clock_ns() - v->busy_since_ns < BUSY_NS;
}

/* Return: true if it is to be waited for. */
static bool is_waited_for(struct vbd *v, const struct error *e)
{
	if (!v->busy_since_ns) {
		v->busy_since_ns = clock_ns();
		if (!v->hushed)
			log_info("%s: waits a moment: %s", v->name, e->text);
	}
	return may_come_free(v);
}

/* Return: 0 and v->bdev; or -errno, *@e, and it is NULL. */
static int open_bdev(struct vbd *v, struct error *e)
{
	struct bdev_open_args args = {
		.read_only = v->config.read_only,
		.dmem = v->host->dmem,
		.state_dir = v->host->state_dir,
	};
	bool empty = medium_is_removable(v) && !*v->config.uri, found = false;
	int err = transfer_cut(v->config.uri, &v->config.transfer, &found, e);

	/* It is there the first time alone, and holds for all that follow. */
	v->config.has_transfer |= found;
	if (!err)
		v->bdev = twin_bdev(v);
	/* Closed and opened again with each turn of the frontend from 6 to 1. */
	v->hushed = !vbd_may_log(v, &v->news_limit);
	log_hush(v->hushed);
	if (!err && !v->bdev)
		err = bdev_open(empty ? EMPTY : v->config.uri, &args, &v->bdev, e);
	log_hush(false);
	if (err) {
		v->bdev = NULL;
		return err;
	}
	v->err = 0;
	if (!v->hushed)
		log_info("%s: opened %s: %" PRIu64 " MiB%s%s", v->name,
			 empty ? "with an empty tray" : v->config.uri,
			 v->bdev->info.size_bytes >> 20, v->config.read_only ? ", read-only" : "",
			 twin_shares(v) ? ", which its machine has in another domain" : "");
	return 0;
}

enum negotiate_event medium_open(struct vbd *v)
{
	struct bdev_open_args none = { .read_only = true };
	struct error e = { "" };
	int err = open_bdev(v, &e);

	if (err == -EBUSY && is_waited_for(v, &e)) {
		v->wants_retry = true;
		v->host->retry_later(v->host);
		return EVENT_OPEN_BUSY;
	}
	v->busy_since_ns = 0;
	if (!err)
		return EVENT_OPENED;
	vbd_set_error(v, LOG_LEVEL_ERROR, err, &e);
	if (medium_is_removable(v) && v->offered_queues && !bdev_open(EMPTY, &none, &v->bdev, &e))
		return EVENT_OPENED;
	return EVENT_OPEN_FAILED;
}

void medium_close(struct vbd *v)
{
	log_hush(v->hushed);
	if (v->bdev && !twin_shares(v))
		bdev_close(v->bdev);
	log_hush(false);
	v->bdev = NULL;
	v->publishes_late = false;
}

/* v->bdev is another then, in any case. Return: 0, or -ENOMEM and it is the old one. */
static int change_bdev(struct vbd *v)
{
	struct bdev_open_args none = { .read_only = true };
	struct bdev *empty;
	struct error e = { "" };
	int err = bdev_open(EMPTY, &none, &empty, &e);

	if (err)
		return err;
	medium_close(v);
	err = open_bdev(v, &e);
	if (!err) {
		bdev_close(empty);
		return 0;
	}
	vbd_set_error(v, LOG_LEVEL_ERROR, err, &e);
	v->bdev = empty;
	return 0;
}

static void rejoin_queues(struct vbd *v)
{
	struct queue_args args = { .bdev = v->bdev, .direct_from_bytes = vbd_direct_from_bytes(v) };
	int err = 0;

	vbd_queue_limits(v, &args.limits);
	for (uint32_t i = 0; i < v->nr_queues; i++) {
		int failed = queue_rejoin(v->queues[i].queue, &args);

		err = err ? err : failed;
	}
	if (!err)
		return;
	error_set(&v->error, -err, "it cannot be served after its medium was changed: %s",
		  strerror(-err));
	vbd_fail(v, err);
}

/* Its guest sees it as it sees a resize. */
static void tell(struct vbd *v)
{
	int err = vbd_publish_size(v);

	if (err && err != -ENOENT)
		log_error("%s: the new size cannot be written to xenstore: %s", v->name,
			  strerror(-err));
	vbd_report_any(v);
}

void medium_parted(struct vbd *v)
{
	int err;

	if (--v->nr_parting)
		return;
	err = change_bdev(v);
	if (err)
		log_error("%s: its medium stays: %s", v->name, strerror(-err));
	rejoin_queues(v);
	tell(v);
	/* The toolstack may want another by now. */
	v->dirty = true;
}

/* The nodes say @params. Return: 0, or -ENOMEM and nothing has changed. */
static int take(struct vbd *v, char *params)
{
	char *uri = strdup(params);

	if (!uri)
		return -ENOMEM;
	free(v->config.uri);
	free(v->config.params);
	v->config.uri = uri;
	v->config.params = params;
	v->config.has_transfer = false;
	v->tries_again = false;
	return 0;
}

static void begin(struct vbd *v)
{
	log_info("%s: %s", v->name, *v->config.uri ? "another medium is wanted" : "is ejected");
	if (v->state == NEGOTIATE_REFUSED || v->state == NEGOTIATE_BUSY) {
		v->wants_retry = true;
		vbd_retry(v);
		return;
	}
	if (!v->bdev)
		return;
	v->nr_parting = v->nr_queues;
	for (uint32_t i = 0; i < v->nr_queues; i++)
		queue_part(v->queues[i].queue);
	if (!v->nr_queues && !change_bdev(v))
		tell(v);
}

/* What is on its way from one to the other is looked at again when it has arrived. */
static bool may_change(const struct vbd *v)
{
	switch (v->state) {
	case NEGOTIATE_OPENING:
	case NEGOTIATE_DRAINING:
	case NEGOTIATE_RESTARTING:
	case NEGOTIATE_FAILING:
	case NEGOTIATE_YIELDING:
	case NEGOTIATE_LEAVING:
		return false;
	default:
		return !v->nr_parting && !v->publishes_late;
	}
}

void medium_refresh(struct vbd *v)
{
	char *params;

	if (!v->config.params || !may_change(v))
		return;
	params = store_read(v->host->store, XBT_NULL, "%s/params", v->path);
	if (!params || (!strcmp(params, v->config.params) && !v->tries_again)) {
		free(params);
	} else if (!medium_is_removable(v)) {
		if (vbd_may_log(v, &v->error_limit))
			log_warning("%s: its params have changed, and mean nothing before it is "
				    "made anew: it is no read-only CD-ROM or removable disk",
				    v->name);
		free(v->config.params);
		v->config.params = params;
	} else if (take(v, params)) {
		free(params);
	} else {
		begin(v);
	}
}

int medium_set(struct vbd *v, const char *uri, struct error *e)
{
	int err;

	if (!medium_is_removable(v))
		return error_set(e, EPERM,
				 "%s is no read-only CD-ROM or removable disk: its medium stays",
				 v->name);
	err = vbd_params_write(v, uri);
	if (err)
		return error_set(e, -err, "cannot write params to xenstore: %s", strerror(-err));
	v->tries_again = true;
	v->dirty = true;
	return 0;
}
