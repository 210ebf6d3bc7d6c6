/* SPDX-License-Identifier: BSD-2-Clause */
/* How a disk, its queues and the reactors are shown in JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "vbd_store.h"

void json_put_u64(struct json_object *to, const char *name, uint64_t value)
{
	json_object_object_add(to, name, json_object_new_uint64(value));
}

static bool is_ascii(const char *text)
{
	while (*text && !(*text & 0x80))
		text++;
	return !*text;
}

void json_put_text(struct json_object *to, const char *name, const char *value)
{
	struct json_object *text = value ? json_object_new_string(value) : NULL;
	char *ascii;

	/* Words of somebody else's need not be UTF-8, and JSON has to. */
	if (value && !is_ascii(value)) {
		ascii = strdup(value);
		for (char *c = ascii; c && *c; c++)
			*c = *c & 0x80 ? '?' : *c;
		json_object_set_string(text, ascii ? ascii : "?");
		free(ascii);
	}
	json_object_object_add(to, name, text);
}

void json_put_bool(struct json_object *to, const char *name, bool value)
{
	json_object_object_add(to, name, json_object_new_boolean(value));
}

static struct json_object *show_times(const struct stats_times *t)
{
	struct json_object *out = json_object_new_object(), *buckets = json_object_new_array();

	json_put_u64(out, "sum_ns", t->sum_ns);
	for (uint32_t i = 0; i < STATS_BUCKETS; i++)
		json_object_array_add(buckets, json_object_new_uint64(t->buckets[i]));
	json_object_object_add(out, "buckets", buckets);
	return out;
}

static uint64_t device_sum_ns(const struct queue_stats *st)
{
	return st->device[STATS_READ].sum_ns + st->device[STATS_WRITE].sum_ns +
	       st->device[STATS_OTHER].sum_ns;
}

static struct json_object *show_stats(const struct queue_stats *st, enum show_depth depth)
{
	struct json_object *out = json_object_new_object(), *times;

	json_put_u64(out, "reads", st->reads);
	json_put_u64(out, "writes", st->writes);
	json_put_u64(out, "flushes", st->flushes);
	json_put_u64(out, "barriers", st->barriers);
	json_put_u64(out, "discards", st->discards);
	json_put_u64(out, "bytes_read", st->bytes_read);
	json_put_u64(out, "bytes_written", st->bytes_written);
	json_put_u64(out, "errors", st->errors);
	json_put_u64(out, "refused", st->refused);
	json_put_u64(out, "indirect", st->indirect);
	json_put_u64(out, "limited", st->limited);
	json_put_u64(out, "in_flight", st->in_flight);
	json_put_u64(out, "notifies", st->notifies);
	json_put_u64(out, "grants_copied", st->copied);
	json_put_u64(out, "grants_mapped", st->mapped);
	json_put_u64(out, "queued_ns", st->queued.sum_ns);
	json_put_u64(out, "device_ns", device_sum_ns(st));
	if (depth == SHOW_BRIEF)
		return out;
	times = json_object_new_object();
	json_object_object_add(times, "queued", show_times(&st->queued));
	json_object_object_add(times, "device_read", show_times(&st->device[STATS_READ]));
	json_object_object_add(times, "device_write", show_times(&st->device[STATS_WRITE]));
	json_object_object_add(times, "device_other", show_times(&st->device[STATS_OTHER]));
	json_object_object_add(out, "times", times);
	return out;
}

static void show_queues(const struct vbd *v, struct json_object *out)
{
	struct json_object *queues = json_object_new_array();

	for (uint32_t i = 0; i < v->nr_queues; i++) {
		struct queue_stats st = { 0 };

		queue_stats_add(&st, &v->queues[i].queue->stats);
		json_object_array_add(queues, show_stats(&st, SHOW_BRIEF));
	}
	json_object_object_add(out, "per_queue", queues);
}

static void show_device(const struct vbd *v, struct json_object *out)
{
	const struct bdev_info *info = &v->bdev->info;

	json_put_u64(out, "size_bytes", info->size_bytes);
	json_put_u64(out, "logical_block_bytes", info->logical_block_bytes);
	json_put_u64(out, "physical_block_bytes", info->physical_block_bytes);
	json_put_bool(out, "flush", info->flush);
	json_put_bool(out, "discard", vbd_discards(v));
	json_put_bool(out, "dma", info->dma);
}

struct json_object *show_bdev(const struct vbd *v)
{
	struct json_object *out = json_object_new_object();

	json_put_text(out, "bdev", v->config.uri);
	json_put_text(out, "kind", v->bdev->ops->scheme);
	json_put_text(out, "disk", v->name);
	json_put_bool(out, "read_only", v->config.read_only);
	show_device(v, out);
	return out;
}

static void show_connection(const struct vbd *v, struct json_object *out)
{
	const struct ring *ring = &v->queues[0].queue->ring;

	json_put_text(out, "protocol", ring->abi->protocol);
	json_put_u64(out, "queues", v->nr_queues);
	json_put_u64(out, "ring_pages", v->nr_ring_pages);
	json_put_u64(out, "ring_slots", ring->nr_entries);
	json_put_u64(out, "inherited", v->nr_inherited);
	json_put_bool(out, "flush_failed", v->flush_failed);
}

static struct json_object *show_limits(const struct vbd *v)
{
	struct json_object *out = json_object_new_object();
	struct settings_limit limits[SETTINGS_NR_LIMITS];

	settings_limits(&v->settings, limits);
	for (uint32_t i = 0; i < SETTINGS_NR_LIMITS; i++)
		json_put_u64(out, limits[i].key, limits[i].value);
	return out;
}

static const char *show_polling(const struct vbd *v, char *text, size_t size)
{
	const struct settings *s = &v->settings;
	int n = s->poll_us == SETTINGS_POLL_DAEMONS
			? snprintf(text, size, "as the daemon")
			: snprintf(text, size, "%" PRIu64 " us", s->poll_us);

	if (s->poll_idle_percent)
		snprintf(text + n, size - (size_t)n, ", while %" PRIu64 " %% of CPU time is idle",
			 s->poll_idle_percent);
	return text;
}

char *show_guest(struct store *s, uint32_t domid)
{
	return store_read(s, XBT_NULL, "/local/domain/%u/name", domid);
}

struct json_object *show_disk(const struct vbd *v, enum show_depth depth)
{
	struct json_object *out = json_object_new_object();
	struct queue_stats st;
	char transfer[64] = "", polling[64];
	char *guest = show_guest(v->host->store, v->config.domid);

	json_put_text(out, "disk", v->name);
	json_put_u64(out, "domid", v->config.domid);
	json_put_u64(out, "devid", v->config.devid);
	json_put_text(out, "guest", guest);
	free(guest);
	json_put_text(out, "state", negotiate_state_name(v->state));
	json_put_text(out, "error", v->error.text[0] ? v->error.text : NULL);
	json_put_text(out, "bdev", v->config.uri);
	json_put_bool(out, "read_only", v->config.read_only);
	json_put_bool(out, "attached", v->config.attached);
	json_put_bool(out, "paused", v->settings.paused);
	json_object_object_add(out, "limits", show_limits(v));
	json_put_text(out, "polling", show_polling(v, polling, sizeof(polling)));
	if (v->bdev) {
		show_device(v, out);
		vbd_transfer_words(v, transfer, sizeof(transfer));
	}
	json_put_text(out, "transfer", transfer);
	if (v->nr_queues)
		show_connection(v, out);
	vbd_stats(v, &st);
	json_object_object_add(out, "stats", show_stats(&st, depth));
	if (depth == SHOW_ALL)
		show_queues(v, out);
	return out;
}

static void show_warnings(uint8_t warnings, struct json_object *out)
{
	static const char *const words[] = { "spare", "temperature", "reliability", "read-only",
					     "backup" };
	struct json_object *list = json_object_new_array();

	for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (warnings & 1u << i)
			json_object_array_add(list, json_object_new_string(words[i]));
	}
	json_object_object_add(out, "warnings", list);
}

struct json_object *show_controller(const struct controller *c)
{
	const struct controller_health *h = &c->health;
	struct json_object *out = json_object_new_object();

	json_put_text(out, "controller", c->uri);
	json_put_text(out, "model", c->model);
	json_put_text(out, "serial", c->serial);
	json_put_text(out, "firmware", c->firmware);
	json_put_u64(out, "disks", c->nr_disks);
	json_put_bool(out, "failed", c->failed);
	json_put_u64(out, "resets", c->nr_resets);
	json_put_bool(out, "health_known", h->known);
	if (!h->known)
		return out;
	show_warnings(h->warnings, out);
	json_object_object_add(out, "celsius",
			       h->kelvin ? json_object_new_int((int)h->kelvin - 273) : NULL);
	json_put_u64(out, "used_percent", h->used_percent);
	json_put_u64(out, "spare_percent", h->spare_percent);
	json_put_u64(out, "spare_threshold_percent", h->spare_threshold_percent);
	json_put_u64(out, "media_errors", h->media_errors);
	json_put_u64(out, "log_errors", h->log_errors);
	json_put_u64(out, "unsafe_shutdowns", h->unsafe_shutdowns);
	json_put_u64(out, "power_cycles", h->power_cycles);
	json_put_u64(out, "power_on_hours", h->power_on_hours);
	json_put_u64(out, "bytes_read", h->bytes_read);
	json_put_u64(out, "bytes_written", h->bytes_written);
	return out;
}

struct json_object *show_reactor(const struct datapath_reactor *r)
{
	const struct reactor_stats *st = &r->reactor.stats;
	struct json_object *out = json_object_new_object();

	json_put_text(out, "name", r->name);
	json_object_object_add(out, "cpu", r->cpu < 0 ? NULL : json_object_new_int(r->cpu));
	json_put_u64(out, "poll_us", reactor_poll_ns(&r->reactor) / NS_PER_US);
	json_put_u64(out, "turns", counter_read(&st->turns));
	json_put_u64(out, "sleeps", counter_read(&st->sleeps));
	json_put_u64(out, "busy_ns", counter_read(&st->busy_ns));
	json_put_u64(out, "asleep_ns", counter_read(&st->asleep_ns));
	json_put_u64(out, "grant_calls", counter_read(&r->pipeline.batch.nr_calls));
	json_put_u64(out, "grant_ops", counter_read(&r->pipeline.batch.nr_ops));
	return out;
}
