/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A disk as it was when all of them were looked at: a metric's lines stand together, for all disks. */
struct shown_disk {
	char labels[256];
	bool up;
	struct queue_stats stats;
};

struct page {
	FILE *f;
	struct shown_disk *disks;
	uint32_t nr_disks;
};

void metrics_label(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (const char *c = text; *c && n + 2 < size; c++) {
		if (*c == '"' || *c == '\\')
			out[n++] = '\\';
		out[n++] = *c >= ' ' && *c < 0x7f ? *c : '?';
	}
	out[n] = '\0';
}

static void look_at(const struct vbd *v, struct shown_disk *out)
{
	char disk[100], guest[100], *name = show_guest(v->host->store, v->config.domid);

	metrics_label(disk, sizeof(disk), v->name);
	metrics_label(guest, sizeof(guest), name ? name : "");
	free(name);
	snprintf(out->labels, sizeof(out->labels), "disk=\"%s\",guest=\"%s\"", disk, guest);
	out->up = v->nr_queues;
	vbd_stats(v, &out->stats);
}

void metrics_head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP xenblkd_%s %s\n# TYPE xenblkd_%s %s\n", name, help, name, type);
}

/* Lines of one metric that differ in a label. */
struct line {
	const char *label; /* 'op="read"', or "" */
	size_t offset; /* of the counter, in struct queue_stats */
};

#define STAT(f) offsetof(struct queue_stats, f)

static const struct {
	const char *name, *type, *help;
	struct line lines[6]; /* the last one has no label */
} disk_metrics[] = {
	{ "disk_operations_total",
	  "counter",
	  "Requests answered, whatever the status.",
	  { { ",op=\"read\"", STAT(reads) },
	    { ",op=\"write\"", STAT(writes) },
	    { ",op=\"flush\"", STAT(flushes) },
	    { ",op=\"barrier\"", STAT(barriers) },
	    { ",op=\"discard\"", STAT(discards) } } },
	{ "disk_bytes_total",
	  "counter",
	  "Bytes of requests that succeeded.",
	  { { ",op=\"read\"", STAT(bytes_read) }, { ",op=\"write\"", STAT(bytes_written) } } },
	{ "disk_errors_total",
	  "counter",
	  "Requests that failed at the device or at a grant.",
	  { { "", STAT(errors) } } },
	{ "disk_refused_total",
	  "counter",
	  "Requests that were not valid.",
	  { { "", STAT(refused) } } },
	{ "disk_indirect_total",
	  "counter",
	  "Requests with segments in pages of the guest.",
	  { { "", STAT(indirect) } } },
	{ "disk_limited_total",
	  "counter",
	  "Requests that had to wait for a limit.",
	  { { "", STAT(limited) } } },
	{ "disk_notifications_total",
	  "counter",
	  "Events sent to the guest.",
	  { { "", STAT(notifies) } } },
	{ "disk_grants_total",
	  "counter",
	  "Pages of the guest used, by the way of their data.",
	  { { ",way=\"copy\"", STAT(copied) }, { ",way=\"direct\"", STAT(mapped) } } },
	{ "disk_in_flight",
	  "gauge",
	  "Requests taken and not answered.",
	  { { "", STAT(in_flight) } } },
};

#define NR_DISK_METRICS (sizeof(disk_metrics) / sizeof(disk_metrics[0]))

static void disk_lines(const struct page *p, const char *name, const struct line *lines)
{
	for (uint32_t d = 0; d < p->nr_disks; d++) {
		const char *stats = (const char *)&p->disks[d].stats;

		for (const struct line *l = lines; l->label; l++)
			fprintf(p->f, "xenblkd_%s{%s%s} %" PRIu64 "\n", name, p->disks[d].labels,
				l->label, *(const uint64_t *)(stats + l->offset));
	}
}

static void times(const struct page *p, const char *name, const struct line *lines)
{
	for (uint32_t d = 0; d < p->nr_disks; d++) {
		const struct shown_disk *disk = &p->disks[d];

		for (const struct line *l = lines; l->label; l++) {
			const struct stats_times *t =
				(const void *)((const char *)&disk->stats + l->offset);
			uint64_t sum = 0;

			for (uint32_t i = 0; i < STATS_BUCKETS; i++) {
				char bound[32] = "+Inf";

				if (i + 1 < STATS_BUCKETS)
					snprintf(bound, sizeof(bound), "%.10g",
						 (double)STATS_BOUND_NS(i) / 1e9);
				sum += t->buckets[i];
				fprintf(p->f, "xenblkd_%s_bucket{%s%s,le=\"%s\"} %" PRIu64 "\n",
					name, disk->labels, l->label, bound, sum);
			}
			fprintf(p->f,
				"xenblkd_%s_sum{%s%s} %.9f\nxenblkd_%s_count{%s%s} %" PRIu64 "\n",
				name, disk->labels, l->label, (double)t->sum_ns / 1e9, name,
				disk->labels, l->label, sum);
		}
	}
}

static void disks(const struct page *p)
{
	static const struct line queued[] = { { "", STAT(queued) }, { NULL } };
	static const struct line device[] = { { ",op=\"read\"", STAT(device[STATS_READ]) },
					      { ",op=\"write\"", STAT(device[STATS_WRITE]) },
					      { ",op=\"other\"", STAT(device[STATS_OTHER]) },
					      { NULL } };

	metrics_head(p->f, "disk_connected", "gauge", "Whether a guest is connected.");
	for (uint32_t d = 0; d < p->nr_disks; d++)
		fprintf(p->f, "xenblkd_disk_connected{%s} %d\n", p->disks[d].labels,
			p->disks[d].up);
	for (size_t m = 0; m < NR_DISK_METRICS; m++) {
		metrics_head(p->f, disk_metrics[m].name, disk_metrics[m].type,
			     disk_metrics[m].help);
		disk_lines(p, disk_metrics[m].name, disk_metrics[m].lines);
	}
	metrics_head(p->f, "disk_queue_time_seconds", "histogram", "From the ring to the device.");
	times(p, "disk_queue_time_seconds", queued);
	metrics_head(p->f, "disk_device_time_seconds", "histogram", "At the device.");
	times(p, "disk_device_time_seconds", device);
}

/* Times of a reactor are in seconds, all else as it was counted. */
static void reactors(FILE *f, const struct control_args *args)
{
	static const struct {
		const char *name, *help;
		bool is_time, is_grants;
		size_t offset;
	} metrics[] = {
		{ "reactor_busy_seconds_total", "Time in turns that found work.", true, false,
		  offsetof(struct reactor_stats, busy_ns) },
		{ "reactor_asleep_seconds_total", "Time asleep; the rest is polling without work.",
		  true, false, offsetof(struct reactor_stats, asleep_ns) },
		{ "reactor_turns_total", "Turns.", false, false,
		  offsetof(struct reactor_stats, turns) },
		{ "reactor_sleeps_total", "Times that it went to sleep.", false, false,
		  offsetof(struct reactor_stats, sleeps) },
		{ "reactor_grant_calls_total", "Grant hypercalls.", false, true,
		  offsetof(struct grant_batch, nr_calls) },
		{ "reactor_grant_operations_total", "Operations in grant hypercalls.", false, true,
		  offsetof(struct grant_batch, nr_ops) },
	};

	for (size_t m = 0; m < sizeof(metrics) / sizeof(metrics[0]); m++) {
		metrics_head(f, metrics[m].name, "counter", metrics[m].help);
		for (uint32_t i = 0; i < args->datapath->nr; i++) {
			const struct datapath_reactor *r = &args->datapath->reactors[i];
			const char *from = metrics[m].is_grants ? (const char *)&r->pipeline.batch
								: (const char *)&r->reactor.stats;
			uint64_t n = counter_read((const uint64_t *)(from + metrics[m].offset));

			fprintf(f, "xenblkd_%s{reactor=\"%s\"} ", metrics[m].name, r->name);
			if (metrics[m].is_time)
				fprintf(f, "%.9f\n", (double)n / 1e9);
			else
				fprintf(f, "%" PRIu64 "\n", n);
		}
	}
}

static uint32_t count_disks(const struct backend *b)
{
	const struct vbd *v;
	uint32_t nr = 0;

	list_for_each (v, &b->vbds, link)
		nr++;
	return nr;
}

char *metrics_text(const struct control_args *args, size_t *bytes)
{
	uint32_t nr = count_disks(args->backend);
	struct page p = { .disks = calloc(nr + 1, sizeof(*p.disks)) };
	const struct vbd *v;
	char *text = NULL;

	p.f = p.disks ? open_memstream(&text, bytes) : NULL;
	if (!p.f)
		goto free_disks;
	list_for_each (v, &args->backend->vbds, link)
		look_at(v, &p.disks[p.nr_disks++]);
	metrics_head(p.f, "build_info", "gauge", "The version of the daemon.");
	fprintf(p.f, "xenblkd_build_info{version=\"%s\"} 1\n", XENBLKD_VERSION);
	disks(&p);
	reactors(p.f, args);
	metrics_controllers(p.f);
	if (fclose(p.f)) {
		free(text);
		text = NULL;
	}
free_disks:
	free(p.disks);
	return text;
}
