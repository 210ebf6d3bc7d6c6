/* SPDX-License-Identifier: BSD-2-Clause */
#include "sample.h"

#include <string.h>

enum status sample_take(struct sample *s, struct client *c)
{
	s->answer = NULL;
	return client_call(c, "disk.list", NULL, &s->answer);
}

void sample_put(struct sample *s)
{
	json_object_put(s->answer);
	s->answer = NULL;
}

struct json_object *sample_disks(const struct sample *s)
{
	return get_member(s->answer, "disks");
}

static struct json_object *same_disk(const struct sample *s, struct json_object *disk)
{
	struct json_object *disks = sample_disks(s);

	for (size_t i = 0; disks && i < json_object_array_length(disks); i++) {
		struct json_object *other = json_object_array_get_idx(disks, i);

		if (get_u64(other, "domid") == get_u64(disk, "domid") &&
		    get_u64(other, "devid") == get_u64(disk, "devid"))
			return other;
	}
	return NULL;
}

static double grown(struct json_object *before, struct json_object *now, const char *name)
{
	uint64_t from = get_u64(before, name), to = get_u64(now, name);

	/* A disk that was removed and made anew begins at 0. */
	return to < from ? (double)to : (double)(to - from);
}

struct rate sample_rate(const struct sample *before, const struct sample *now,
			struct json_object *disk)
{
	struct json_object *old = before ? get_member(same_disk(before, disk), "stats") : NULL;
	struct json_object *stats = get_member(disk, "stats");
	struct rate r = { 0 };
	double seconds, all;

	if (!old)
		return r;
	seconds = grown(before->answer, now->answer, "time_ns") / 1e9;
	if (seconds <= 0)
		return r;
	r.read_iops = grown(old, stats, "reads") / seconds;
	r.write_iops = grown(old, stats, "writes") / seconds;
	r.other_iops = (grown(old, stats, "flushes") + grown(old, stats, "barriers") +
			grown(old, stats, "discards")) /
		       seconds;
	r.read_mbs = grown(old, stats, "bytes_read") / seconds / 1e6;
	r.write_mbs = grown(old, stats, "bytes_written") / seconds / 1e6;
	all = (r.read_iops + r.write_iops + r.other_iops) * seconds;
	if (all > 0)
		r.latency_us = (grown(old, stats, "queued_ns") + grown(old, stats, "device_ns")) /
			       all / 1e3;
	return r;
}
