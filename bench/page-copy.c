/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page-copy - what it costs to copy a 4 KiB page that another core has just written: the least that a
 * transfer by copies adds to a request.
 *
 * One thread fills 32 pages, as a guest with 32 writes in flight, and hands them over; another, on a core
 * of its own, copies them. Only the copying is timed. It prints the best tenth and the median of the
 * rounds, in nanoseconds a page.
 *
 *   page-copy [SECONDS [JSON-FILE]]
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define PAGE_BYTES 4096u
#define PAGES	   32u
#define MAX_ROUNDS 100000u

static struct {
	_Alignas(4096) uint8_t theirs[PAGES][PAGE_BYTES], ours[PAGES][PAGE_BYTES];
	int cpus[2];
	uint32_t filled, copied; /* rounds */
	bool stop;
	double rounds[MAX_ROUNDS];
	size_t nr_rounds;
} x;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* The first two that it may use. */
static int choose_cpus(void)
{
	cpu_set_t set;
	int nr = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE && nr < 2; cpu++) {
		if (CPU_ISSET(cpu, &set))
			x.cpus[nr++] = cpu;
	}
	return nr == 2 ? 0 : -ENODEV;
}

static void *fill(void *arg)
{
	(void)arg;
	pin(x.cpus[0]);
	for (uint32_t round = 1; !__atomic_load_n(&x.stop, __ATOMIC_RELAXED); round++) {
		for (uint32_t i = 0; i < PAGES; i++)
			memset(x.theirs[i], (int)(round + i), PAGE_BYTES);
		__atomic_store_n(&x.filled, round, __ATOMIC_RELEASE);
		while (__atomic_load_n(&x.copied, __ATOMIC_ACQUIRE) != round &&
		       !__atomic_load_n(&x.stop, __ATOMIC_RELAXED))
			;
	}
	return NULL;
}

/* Return: the number of pages that were not what they should be. */
static uint32_t copy_for(uint64_t end_ns)
{
	uint64_t began = clock_ns();
	uint32_t wrong = 0;

	for (uint32_t round = 1; x.nr_rounds < MAX_ROUNDS && began < end_ns; round++) {
		while (__atomic_load_n(&x.filled, __ATOMIC_ACQUIRE) != round)
			;
		began = clock_ns();
		for (uint32_t i = 0; i < PAGES; i++)
			memcpy(x.ours[i], x.theirs[i], PAGE_BYTES);
		x.rounds[x.nr_rounds++] = (double)(clock_ns() - began) / PAGES;
		for (uint32_t i = 0; i < PAGES; i++)
			wrong += x.ours[i][i] != (uint8_t)(round + i);
		__atomic_store_n(&x.copied, round, __ATOMIC_RELEASE);
	}
	return wrong;
}

static int compare(const void *a, const void *b)
{
	const double *p = a, *q = b;

	return (*p > *q) - (*p < *q);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0.5, best, median;
	FILE *json = argc > 2 ? fopen(argv[2], "w") : NULL;
	pthread_t thread;
	uint32_t wrong;

	if (argc > 2 && !json) {
		fprintf(stderr, "page-copy: cannot write %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	if (choose_cpus() || pthread_create(&thread, NULL, fill, NULL)) {
		fprintf(stderr, "page-copy: needs two CPUs\n");
		return 1;
	}
	pin(x.cpus[1]);
	wrong = copy_for(clock_ns() + (uint64_t)(seconds * (double)NS_PER_S));
	__atomic_store_n(&x.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	qsort(x.rounds, x.nr_rounds, sizeof(x.rounds[0]), compare);
	best = x.rounds[x.nr_rounds / 10];
	median = x.rounds[x.nr_rounds / 2];
	printf("a page that another core has written, copied: %.1f ns at best, %.1f median\n", best,
	       median);
	if (json && (fprintf(json, "{\"best_ns\": %.1f, \"median_ns\": %.1f}\n", best, median) < 0 ||
		     fclose(json))) {
		fprintf(stderr, "page-copy: cannot write %s\n", argv[2]);
		return 1;
	}
	return wrong != 0;
}
