/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring-exchange - what a blkif ring costs when nothing else is done: the limit for any backend.
 *
 * Two threads, each on a core of its own, exchange requests and responses over a ring in shared
 * memory, with the code of the daemon on one side and of the frontend library on the other. Nobody
 * sleeps, nothing is granted, copied or done. It prints, for several depths, nanoseconds for each
 * request; at depth 1 that is a round trip.
 *
 * Time is taken over rounds of a fraction of a millisecond, so that a round in which one of the
 * threads had no core is one of many: the best tenth of them and the median are printed. Where they
 * are far apart, the machine had something else to do.
 *
 *   ring-exchange [SECONDS-EACH [JSON-FILE]]
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/blkif.h>

#include "clock.h"
#include "front_ring.h"
#include "request.h"
#include "ring.h"

#define MAX_PAGES      8u
#define ROUND_REQUESTS 1000u
#define MAX_ROUNDS     100000u

struct exchange {
	_Alignas(4096) uint8_t shared[MAX_PAGES * FRONT_PAGE_BYTES];
	uint32_t nr_pages, depth;
	int cpus[2]; /* of the frontend and the backend; -1: anywhere */
	bool stop;
	double rounds[MAX_ROUNDS]; /* ns a request, of each */
	size_t nr_rounds;
};

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* Two that it may use, of different cores if it can be told. */
static void choose_cpus(int cpus[2])
{
	cpu_set_t set;
	int nr = 0;

	cpus[0] = cpus[1] = -1;
	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE && nr < 2; cpu++) {
		if (CPU_ISSET(cpu, &set))
			cpus[nr++] = cpu;
	}
}

/* Takes, checks and answers, as a queue does around the device. */
static void *backend(void *arg)
{
	const struct request_limits limits = { .size_bytes = 1ull << 40, .flush = true };
	struct exchange *x = arg;
	struct request req;
	struct ring ring;

	pin(x->cpus[1]);
	if (ring_attach(&ring, &abi_x86_64, x->shared, x->nr_pages))
		return NULL;
	while (!__atomic_load_n(&x->stop, __ATOMIC_RELAXED)) {
		int n = ring_pending(&ring);

		for (int i = 0; i < n; i++) {
			int16_t status = request_peek(&ring, &limits, &req);

			ring_consume(&ring);
			ring_respond(&ring, req.id, req.operation, status);
		}
		ring_push(&ring);
	}
	return NULL;
}

static void exchange_for(struct exchange *x, struct front_ring *ring, uint64_t end_ns)
{
	const struct front_segment segment = { 1, 0, 7 };
	struct front_request req = { .operation = BLKIF_OP_READ,
				     .nr_segments = 1,
				     .segments = &segment };
	uint64_t began = clock_ns(), now;
	uint32_t in_flight = 0, answered = 0;
	struct front_response rsp;

	while (x->nr_rounds < MAX_ROUNDS && began < end_ns) {
		int n = front_ring_pending(ring);

		for (int i = 0; i < n; i++)
			front_ring_take(ring, &rsp);
		in_flight -= (uint32_t)n;
		answered += (uint32_t)n;
		for (; in_flight < x->depth; in_flight++) {
			req.id++;
			req.sector = req.id & 0xffff;
			front_ring_put(ring, &req);
		}
		front_ring_push(ring);
		if (answered < ROUND_REQUESTS)
			continue;
		now = clock_ns();
		x->rounds[x->nr_rounds++] = (double)(now - began) / answered;
		began = now;
		answered = 0;
	}
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int run(struct exchange *x, double seconds)
{
	struct front_ring ring;
	pthread_t thread;

	front_ring_init(&ring, FRONT_ABI_X86_64, x->shared, x->nr_pages);
	x->stop = false;
	x->nr_rounds = 0;
	if (pthread_create(&thread, NULL, backend, x))
		return -EAGAIN;
	pin(x->cpus[0]);
	exchange_for(x, &ring, clock_ns() + (uint64_t)(seconds * (double)NS_PER_S));
	__atomic_store_n(&x->stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	qsort(x->rounds, x->nr_rounds, sizeof(x->rounds[0]), compare);
	return x->nr_rounds ? 0 : -EAGAIN;
}

int main(int argc, char **argv)
{
	static const struct {
		uint32_t nr_pages, depth;
	} cases[] = { { 1, 1 }, { 1, 2 }, { 1, 4 }, { 1, 8 }, { 1, 16 }, { 1, 32 }, { 8, 256 } };
	static struct exchange x;
	double seconds = argc > 1 ? atof(argv[1]) : 0.5;
	FILE *json = argc > 2 ? fopen(argv[2], "w") : NULL;

	if (argc > 2 && !json) {
		fprintf(stderr, "ring-exchange: cannot write %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	choose_cpus(x.cpus);
	printf("depth   best ns/request   median   rounds\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double best, median;

		x.nr_pages = cases[i].nr_pages;
		x.depth = cases[i].depth;
		if (run(&x, seconds))
			return 1;
		best = x.rounds[x.nr_rounds / 10];
		median = x.rounds[x.nr_rounds / 2];
		printf("%5u   %15.1f   %6.1f   %6zu%s\n", x.depth, best, median, x.nr_rounds,
		       x.depth == 1 ? "   (a round trip)" : "");
		if (json)
			fprintf(json,
				"%s{\"depth\": %u, \"ring_pages\": %u, \"best_ns\": %.1f, "
				"\"median_ns\": %.1f}",
				i ? ",\n  " : "[", x.depth, x.nr_pages, best, median);
	}
	if (json && (fputs("]\n", json) < 0 || fclose(json))) {
		fprintf(stderr, "ring-exchange: cannot write %s\n", argv[2]);
		return 1;
	}
	return 0;
}
