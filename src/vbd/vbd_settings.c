/* SPDX-License-Identifier: BSD-2-Clause */
#include "vbd.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "vbd_store.h"

/* What the disk asks for, as far as its device can. */
const struct transfer *vbd_transfer(const struct vbd *v)
{
	return v->settings.has_transfer ? &v->settings.transfer
	       : v->config.has_transfer ? &v->config.transfer
					: &v->host->transfer;
}

uint32_t vbd_direct_from_bytes(const struct vbd *v)
{
	const struct transfer *t = vbd_transfer(v);

	return v->bdev->info.dma && dmem_has_window(v->host->dmem) ? t->direct_from_bytes
								   : TRANSFER_COPY_ALL;
}

/* It was asked for by name, of a device that could; served by copy it is better off than not. */
void vbd_warn_not_direct(struct vbd *v)
{
	const struct transfer *t = &v->config.transfer;

	if (v->config.has_transfer && !t->direct_from_bytes && v->bdev->info.dma &&
	    !dmem_has_window(v->host->dmem) && vbd_may_log(v, &v->error_limit))
		log_warning("%s: transfer=direct is not to be had in this domain: data is copied",
			    v->name);
}

void vbd_transfer_words(const struct vbd *v, char *text, size_t size)
{
	uint32_t from_bytes = vbd_direct_from_bytes(v);

	if (v->nr_queues && v->queues[0].queue->persistent)
		snprintf(text, size, "persistent");
	else if (from_bytes == TRANSFER_COPY_ALL)
		snprintf(text, size, "copy");
	else if (!from_bytes)
		snprintf(text, size, "direct");
	else
		snprintf(text, size, "direct from %u bytes, copy below", from_bytes);
}

/* Both sides want it. */
bool vbd_goes_persistent(const struct vbd *v, const struct transport *t)
{
	return vbd_transfer(v)->persistent && t->persistent;
}

/* Nobody polls away what others need. */
uint64_t vbd_poll_ns(const struct vbd *v)
{
	const struct settings *s = &v->settings;

	if (v->host->idle_percent < s->poll_idle_percent)
		return 0;
	return s->poll_us == SETTINGS_POLL_DAEMONS ? QUEUE_POLL_REACTORS : s->poll_us * NS_PER_US;
}

void vbd_set_transfer(struct vbd *v)
{
	for (uint32_t i = 0; i < v->nr_queues; i++)
		queue_set_transfer(v->queues[i].queue, vbd_direct_from_bytes(v));
}

void vbd_set_poll(struct vbd *v)
{
	for (uint32_t i = 0; i < v->nr_queues; i++)
		queue_set_poll(v->queues[i].queue, vbd_poll_ns(v));
}

void vbd_apply_settings(struct vbd *v, const struct settings *s)
{
	bool limits = memcmp(&s->limits, &v->settings.limits, sizeof(s->limits));
	bool pause = s->paused != v->settings.paused;

	v->settings = *s;
	if (limits)
		throttle_set(&v->throttle, &s->limits, clock_ns());
	vbd_set_transfer(v);
	vbd_set_poll(v);
	if (s->poll_idle_percent)
		v->host->keep_idle(v->host);
	for (uint32_t i = 0; i < v->nr_queues && pause; i++)
		queue_pause(v->queues[i].queue, s->paused);
	if (pause)
		log_info("%s: %s", v->name, s->paused ? "paused" : "resumed");
}

int vbd_set(struct vbd *v, const char *key, const char *value, struct error *e)
{
	struct settings s = v->settings;
	int err = settings_set(&s, key, value, e);

	if (err)
		return err;
	err = vbd_setting_write(v, key, value);
	if (err)
		return error_set(e, -err, "cannot write %s to xenstore: %s", key, strerror(-err));
	vbd_apply_settings(v, &s);
	return 0;
}
