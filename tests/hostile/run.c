/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs cases, and looks at what must not have come of them. */
#include "hostile.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xen/io/xenbus.h>

#include "clock.h"
#include "watch.h"

/* Requests of the neighbour's in each case, at least. */
#define NEIGHBOUR_REQUESTS 8u

/* With --repeat, so long without an attack. */
#define BASELINE_TURNS 4u

struct outcome {
	uint64_t p99_ns;
	uint64_t requests; /* of the neighbour's */
	uint64_t took_ns;
};

/* Whether it stands in a list of groups and cases. */
static bool named(const char *list, const char *group, const char *name)
{
	char full[80];

	snprintf(full, sizeof(full), "%s/%s", group, name);
	for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',') {
		size_t len = strcspn(at, ",");

		if ((strlen(full) == len && !strncmp(full, at, len)) ||
		    (strlen(group) == len && !strncmp(group, at, len)))
			return true;
	}
	return false;
}

static bool selected(const struct hostile_options *o, const char *group, const char *name)
{
	return (!o->only || named(o->only, group, name)) &&
	       !(o->skip && named(o->skip, group, name));
}

/* With the disk that it wants, connected or not. Return: whether it could be had. */
static bool set_up(struct hostile *h, const struct hostile_case *k)
{
	struct front *wanted = &h->fronts[k->disk];

	if (h->front->nr_queues && (h->front != wanted || k->closed))
		session_disconnect(h);
	h->front = wanted;
	if (k->closed || wanted->nr_queues)
		return true;
	return !session_connect(h, NULL, 0);
}

static bool connects_and_serves(struct hostile *h)
{
	return !session_connect(h, NULL, 0) && ask_serves(h);
}

/* The fate of the disk. What is over is begun anew. */
static void check_fate(struct hostile *h, const struct hostile_case *k)
{
	switch (k->fate) {
	case FATE_SERVED:
		if (!k->closed && (!h->front->nr_queues || !ask_serves(h)))
			hostile_wrong(h, "after it nobody is served");
		break;
	case FATE_CUT:
		if (!session_cut_off(h))
			hostile_wrong(h, "it is not cut off");
		break;
	case FATE_REFUSED:
	case FATE_ANY:
	case NR_FATES:
		break;
	}
	if (k->fate == FATE_SERVED && !k->closed)
		return;
	session_disconnect(h);
	if (!connects_and_serves(h))
		hostile_wrong(h, "it cannot be connected anew");
	if (k->closed)
		session_disconnect(h);
}

static void check_answers(struct hostile *h, const struct hostile_case *k)
{
	static const char *const names[] = { "OKAY", "ERROR", "EOPNOTSUPP", "no answer",
					     "a wrong answer" };

	for (size_t i = 0; i < NR(names); i++) {
		if (h->seen & ~k->answers & 1u << i)
			hostile_wrong(h, "answered with %s", names[i]);
	}
	if (k->answers && !h->seen)
		hostile_wrong(h, "nothing was asked");
}

static void check_watched(struct hostile *h, const struct hostile_case *k, struct watch *w)
{
	char why[120];

	if (!neighbour_is_well(&h->neighbour, NEIGHBOUR_REQUESTS, why, sizeof(why)))
		hostile_wrong(h, "%s", why);
	/* One that is served on the same connection causes no line at all. */
	if (!watch_lines(w, k->closed || k->fate != FATE_SERVED ? WATCH_LINES : 0, why,
			 sizeof(why)))
		hostile_wrong(h, "%s", why);
	if (k->closed && !watch_left(w, h->options.timeout_ms, why, sizeof(why)))
		hostile_wrong(h, "%s", why);
}

static struct outcome run_case(struct hostile *h, const struct hostile_case *k, struct watch *w)
{
	uint64_t begin_ns = clock_ns(), end_ns;
	struct outcome out;
	static struct histogram window;

	h->running = k;
	h->why[0] = '\0';
	h->seen = 0;
	if (!set_up(h, k))
		hostile_wrong(h, "there is no connection to begin with");
	watch_begin(w);
	neighbour_window(&h->neighbour, NULL);
	end_ns = clock_ns() + h->options.repeat_ms * 1000000ull;
	do {
		if (!h->why[0])
			k->run(h, k);
		watch_alive(w);
		check_fate(h, k);
	} while (!h->why[0] && clock_ns() < end_ns);
	check_answers(h, k);
	check_watched(h, k, w);
	neighbour_window(&h->neighbour, &window);
	out = (struct outcome){ .p99_ns = histogram_percentile(&window, 99),
				.requests = window.count,
				.took_ns = clock_ns() - begin_ns };
	return out;
}

static void report(struct hostile *h, FILE *f, const char *group, const struct hostile_case *k,
		   const struct outcome *o, uint64_t base_ns)
{
	if (f)
		fprintf(f, "%s/%s %s %" PRIu64 " %.2f %" PRIu64 "\n", group, k->name,
			h->why[0] ? "failed" : "passed", o->requests,
			base_ns ? (double)o->p99_ns / (double)base_ns : 0, o->took_ns / 1000000);
}

/* The neighbour's 99th percentile without any attack; 0 if nobody wants to know. */
static uint64_t baseline_ns(struct hostile *h)
{
	static struct histogram window;
	uint64_t ns = h->options.repeat_ms * 1000000ull * BASELINE_TURNS;
	struct timespec ts = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };

	if (!ns)
		return 0;
	neighbour_window(&h->neighbour, NULL);
	nanosleep(&ts, NULL);
	neighbour_window(&h->neighbour, &window);
	printf("# without attack: %" PRIu64 " requests of the neighbour's, p99 %" PRIu64 " us\n",
	       window.count, histogram_percentile(&window, 99) / 1000);
	return histogram_percentile(&window, 99);
}

static void end_group(struct hostile *h, const struct hostile_group *g, struct watch *w, int *nr,
		      int *failed)
{
	char why[120] = "";
	bool good;

	if (h->front->nr_queues)
		session_disconnect(h);
	good = watch_left(w, h->options.timeout_ms, why, sizeof(why)) &&
	       watch_memory(w, why, sizeof(why));
	printf("%sok %d - %s: nothing is left, and the daemon has not grown\n", good ? "" : "not ",
	       ++*nr, g->name);
	if (!good)
		printf("# %s\n", why);
	*failed += !good;
}

/* Once it is not, all that follows would wait in vain for what has been found already. */
static bool neighbour_lives(struct hostile *h)
{
	char why[120];

	if (neighbour_is_well(&h->neighbour, 0, why, sizeof(why)))
		return true;
	printf("Bail out! %s\n", why);
	return false;
}

static int run_group(struct hostile *h, const struct hostile_group *g, struct watch *w, FILE *f,
		     uint64_t base_ns, int *nr)
{
	int failed = 0, before = *nr;

	for (size_t i = 0; i < g->nr; i++) {
		const struct hostile_case *k = &g->cases[i];
		struct outcome o;

		if (!selected(&h->options, g->name, k->name))
			continue;
		o = run_case(h, k, w);
		printf("%sok %d - %s/%s: %s\n", h->why[0] ? "not " : "", ++*nr, g->name, k->name,
		       k->does);
		if (h->why[0])
			printf("# %s\n", h->why);
		if (base_ns)
			printf("# p99 of the neighbour: %" PRIu64 " us of %" PRIu64
			       " requests, %.2f times\n",
			       o.p99_ns / 1000, o.requests, (double)o.p99_ns / (double)base_ns);
		failed += h->why[0] != '\0';
		report(h, f, g->name, k, &o, base_ns);
		fflush(stdout);
		if (h->why[0] && !neighbour_lives(h))
			return -1;
	}
	if (*nr > before)
		end_group(h, g, w, nr, &failed);
	return failed;
}

int session_run(struct hostile *h, const struct hostile_group *const *groups, size_t nr)
{
	struct watch w;
	uint64_t base_ns;
	FILE *f = h->options.report ? fopen(h->options.report, "w") : NULL;
	int failed = 0, number = 0;
	struct error e;

	if (!watch_init(&w, h->options.log, h->options.pid))
		return 1;
	base_ns = baseline_ns(h);
	for (size_t i = 0; i < nr; i++) {
		int n = run_group(h, groups[i], &w, f, base_ns, &number);

		if (n < 0) {
			failed++;
			break;
		}
		failed += n;
	}
	if (neighbour_stop(&h->neighbour, &e)) {
		printf("# %s\n", e.text);
		failed++;
	}
	printf("1..%d\n", number);
	if (f)
		fclose(f);
	return failed;
}
