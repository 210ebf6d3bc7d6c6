/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blkload - load on a blkif disk, and what comes back checked. See blkload(1).
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xen/io/blkif.h>

#include "clock.h"
#include "conform.h"
#include "front.h"
#include "load.h"
#include "load_options.h"
#include "report.h"

/* Exit statuses. */
enum {
	EXIT_GOOD = 0,
	EXIT_WRONG = 1, /* requests failed, or what was read is not what was written */
	EXIT_USAGE = 2,
	EXIT_NO_DISK = 3, /* it could not be made or connected, or its backend went away */
};

struct session {
	struct load_options options;
	struct store store;
	struct front front;
	struct shadow shadow;
	bool has_shadow;
	int conform_failures;
	struct load *loads; /* one for each queue */
	uint32_t nr_loads;
	struct report report;
};

struct worker {
	pthread_t thread;
	struct load *load;
	enum load_phase phase;
};

static atomic_bool stop;

static void on_signal(int number)
{
	(void)number;
	stop = true;
}

/* ----- threads */

static void *worker_run(void *arg)
{
	struct worker *w = arg;

	load_run(w->load, w->phase);
	return NULL;
}

static void show_progress(const struct session *s, enum load_phase phase, uint64_t *before)
{
	static const char *const phases[] = { "filling", "running", "reading back" };
	uint64_t completed = 0, bytes = 0;

	for (uint32_t i = 0; i < s->nr_loads; i++) {
		completed += __atomic_load_n(&s->loads[i].completed, __ATOMIC_RELAXED);
		bytes += __atomic_load_n(&s->loads[i].completed_bytes, __ATOMIC_RELAXED);
	}
	fprintf(stderr, "blkload: %s: %" PRIu64 " requests/s, %.1f MB/s, %" PRIu64 " in all\n",
		phases[phase], completed - before[0], (double)(bytes - before[1]) / 1e6, completed);
	before[0] = completed;
	before[1] = bytes;
}

/* Joins a thread; what all of them have done is shown each second meanwhile. */
static void join(const struct session *s, struct worker *w, uint64_t *before)
{
	bool show = !s->options.quiet && isatty(STDERR_FILENO);
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	for (at.tv_sec++; pthread_timedjoin_np(w->thread, NULL, &at) == ETIMEDOUT; at.tv_sec++) {
		if (show)
			show_progress(s, w->phase, before);
	}
}

/* One phase on all queues. Return: 0, or -errno if the connection is of no further use. */
static int run_phase(struct session *s, enum load_phase phase)
{
	struct worker workers[FRONT_MAX_QUEUES] = { 0 };
	uint64_t before[2] = { 0, 0 };
	uint32_t started = 0;
	int err = 0;

	for (; started < s->nr_loads && !err; started += !err) {
		workers[started] = (struct worker){ .load = &s->loads[started], .phase = phase };
		err = -pthread_create(&workers[started].thread, NULL, worker_run,
				      &workers[started]);
	}
	for (uint32_t i = 0; i < started; i++)
		join(s, &workers[i], before);
	for (uint32_t i = 0; i < started && !err; i++)
		err = s->loads[i].error;
	return err;
}

/* ----- what is asked for, and what is offered */

static int check_offer(const struct session *s, struct error *e)
{
	const struct load_options *o = &s->options;
	const struct front_offer *offer = &s->front.offer;
	bool writes = o->read_percent < 100 || o->fill || o->barrier_every || o->discard_every;

	if (o->wishes.exact)
		return 0;
	if (offer->info & VDISK_READONLY && writes)
		return error_set(e, EROFS, "the disk is read-only");
	if (o->flush_every && !offer->flush)
		return error_set(e, EOPNOTSUPP, "the backend offers no flush");
	if (o->barrier_every && !offer->barrier)
		return error_set(e, EOPNOTSUPP, "the backend offers no barrier");
	if (o->discard_every && !offer->discard)
		return error_set(e, EOPNOTSUPP, "the backend offers no discard");
	if (o->always_indirect && !offer->max_indirect_segments)
		return error_set(e, EOPNOTSUPP, "the backend takes no indirect requests");
	return 0;
}

/* What a request may have. */
static uint32_t segments_allowed(const struct session *s)
{
	uint32_t wish = s->options.segments, offer = s->front.offer.max_indirect_segments;

	if (!wish)
		return FRONT_MAX_DIRECT;
	if (s->options.wishes.exact || wish <= FRONT_MAX_DIRECT)
		return wish;
	if (offer < FRONT_MAX_DIRECT)
		return FRONT_MAX_DIRECT;
	return wish < offer ? wish : offer;
}

/* The part of the disk that is used, in sectors. */
static int find_span(const struct session *s, uint64_t *first, uint64_t *nr, struct error *e)
{
	const struct load_options *o = &s->options;
	uint64_t sectors = s->front.offer.sectors;

	*first = o->first_bytes / FRONT_SECTOR_BYTES;
	*nr = o->span_bytes / FRONT_SECTOR_BYTES;
	if (*first >= sectors || *nr > sectors - *first)
		return error_set(e, EINVAL,
				 "--first and --span go beyond the disk's %" PRIu64 " bytes",
				 sectors * FRONT_SECTOR_BYTES);
	if (!*nr)
		*nr = sectors - *first;
	return 0;
}

/* Each queue has a part of the disk, which begins where an aligned request can. */
static int create_loads(struct session *s, struct error *e)
{
	const struct load_options *o = &s->options;
	uint64_t align = (o->align_bytes ? o->align_bytes : o->min_bytes) / FRONT_SECTOR_BYTES;
	uint32_t nr_queues = s->front.nr_queues;
	uint64_t first, nr, each;
	int err = find_span(s, &first, &nr, e);

	if (!err && o->verify) {
		err = shadow_open(&s->shadow, o->shadow, s->front.offer.sectors, (uint32_t)o->seed,
				  e);
		s->has_shadow = !err;
	}
	if (err)
		return err;
	s->loads = calloc(nr_queues, sizeof(*s->loads));
	if (!s->loads)
		return error_set(e, ENOMEM, "no memory for %u queues", nr_queues);
	each = nr / nr_queues;
	each -= nr_queues > 1 ? each % align : 0;
	for (uint32_t i = 0; i < nr_queues && !err; i++) {
		err = load_create(&s->loads[i], o, &s->front, i, first + i * each, each,
				  segments_allowed(s), s->has_shadow ? &s->shadow : NULL, &stop, e);
		s->nr_loads += !err;
	}
	return err;
}

static void destroy_loads(struct session *s)
{
	for (uint32_t i = 0; i < s->nr_loads; i++) {
		report_add_result(&s->report, &s->loads[i].result);
		load_destroy(&s->loads[i]);
	}
	free(s->loads);
	if (s->has_shadow)
		shadow_close(&s->shadow);
}

/* ----- one connection after the other */

static int connect_loads(struct session *s, bool last, struct error *e)
{
	struct front *f = &s->front;
	int err = check_offer(s, e);

	if (!err && !s->loads)
		err = create_loads(s, e);
	if (err)
		return err;
	if (f->nr_queues != s->nr_loads)
		return error_set(e, EPROTO, "the backend offers %u queues, and offered %u before",
				 f->nr_queues, s->nr_loads);
	/* The last one ends in order, so that what was written can be read back. */
	for (uint32_t i = 0; i < s->nr_loads; i++)
		load_connect(&s->loads[i], &f->queues[i], s->options.abandon && !last);
	s->report.offer = f->offer;
	s->report.nr_queues = f->nr_queues;
	s->report.ring_order = f->ring_order;
	s->report.ring_entries = f->queues[0].ring.nr_entries;
	s->report.max_segments = segments_allowed(s);
	s->report.connections++;
	return 0;
}

static int run_phases(struct session *s, bool first, bool last)
{
	uint64_t began;
	int err = 0;

	if (first && s->options.fill)
		err = run_phase(s, LOAD_FILL);
	if (err)
		return err;
	began = clock_ns();
	err = run_phase(s, LOAD_MAIN);
	s->report.elapsed_ns += clock_ns() - began;
	if (!err && s->has_shadow && last)
		err = run_phase(s, LOAD_READBACK);
	return err;
}

static int disconnect(struct session *s, bool last, int failed, struct error *e)
{
	struct front *f = &s->front;

	for (uint32_t i = 0; i < f->nr_queues; i++)
		report_add_stats(&s->report, &f->queues[i].stats);
	if (!failed && (last || !s->options.abandon))
		return front_close(f, e);
	front_abandon(f);
	return failed;
}

static int run_connection(struct session *s, bool first, bool last, struct error *e)
{
	int err = front_connect(&s->front, &s->options.wishes, e), run;

	if (err)
		return err;
	err = connect_loads(s, last, e);
	if (err) {
		struct error closing;

		front_close(&s->front, &closing);
		return err;
	}
	run = run_phases(s, first, last);
	err = disconnect(s, last, run, e);
	return run ? error_set(e, -run, "the backend failed: %s", strerror(-run)) : err;
}

static int run_connections(struct session *s, struct error *e)
{
	uint64_t nr = s->options.reconnect + 1;
	int err = front_open(&s->front, &s->store, &s->report.device);

	if (err)
		return error_set(e, -err, "cannot open /dev/xen/gntalloc: %s", strerror(-err));
	if (s->options.conform) {
		err = conform_run(&s->front, &s->options.wishes, stdout, e);
		s->conform_failures = err > 0 ? err : 0;
		err = err < 0 ? err : 0;
		nr = 0;
	}
	for (uint64_t i = 0; i < nr && !err && !stop; i++)
		err = run_connection(s, i == 0, i + 1 == nr, e);
	destroy_loads(s);
	front_fini(&s->front);
	return err;
}

/* ----- the disk */

static int make_device(struct session *s, struct error *e)
{
	const struct load_options *o = &s->options;
	struct front_device_args args = {
		.frontend_domid = s->store.domid,
		.backend_domid = o->backend_domid,
		.class = o->class,
		.devid = o->devid,
		.target = o->create,
		.read_only = o->read_only,
		.nodes = o->nodes,
		.nr_nodes = o->nr_nodes,
	};
	char path[STORE_PATH_MAX];

	if (o->create)
		return front_device_create(&s->store, &args, &s->report.device, e);
	if (o->device[0] == '/')
		return front_device_find(&s->store, o->device, &s->report.device, e);
	snprintf(path, sizeof(path), "/local/domain/%u/device/vbd/%s", s->store.domid, o->device);
	return front_device_find(&s->store, path, &s->report.device, e);
}

static int with_device(struct session *s, struct error *e)
{
	struct error removing;
	int err = make_device(s, e), removed = 0;

	if (err)
		return err;
	err = run_connections(s, e);
	if (s->options.create && !s->options.keep)
		removed = front_device_remove(&s->store, &s->report.device,
					      s->options.wishes.timeout_ms, &removing);
	if (removed && !err)
		*e = removing;
	return err ? err : removed;
}

static int run(struct session *s)
{
	struct error e = { "" };
	int err = store_open(&s->store);

	if (err) {
		fprintf(stderr, "blkload: cannot connect to xenstore: %s\n", strerror(-err));
		return EXIT_NO_DISK;
	}
	err = with_device(s, &e);
	store_close(&s->store);
	if (err) {
		fprintf(stderr, "blkload: %s\n", e.text);
		snprintf(s->report.error, sizeof(s->report.error), "%s", e.text);
	}
	if (s->report.connections && s->options.json)
		report_json(&s->report, stdout);
	else if (s->report.connections)
		report_print(&s->report, stdout);
	if (load_wrong(&s->report.result) || s->conform_failures)
		return EXIT_WRONG;
	return err ? EXIT_NO_DISK : EXIT_GOOD;
}

int main(int argc, char **argv)
{
	static struct session s;
	struct sigaction act = { .sa_handler = on_signal };
	struct error e;

	if (load_options_parse(argc, argv, &s.options, &e)) {
		fprintf(stderr, "blkload: %s\n", e.text);
		return EXIT_USAGE;
	}
	if (s.options.help || s.options.version) {
		if (s.options.help)
			load_options_help(stdout);
		else
			puts("blkload " XENBLKD_VERSION);
		return EXIT_GOOD;
	}
	if (!s.options.seed)
		s.options.seed = (clock_ns() & UINT32_MAX) | 1;
	s.options.wishes.timeout_ms = (uint32_t)(s.options.timeout_s * 1000);
	s.report.options = &s.options;
	/* Once more ends it at once. */
	act.sa_flags = (int)SA_RESETHAND;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	return run(&s);
}
