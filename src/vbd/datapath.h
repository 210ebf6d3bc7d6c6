/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * datapath - the reactors of the daemon, each with its pipeline.
 *
 * A queue is served by one of them at a time: see balance.h. They share nothing but the memory that
 * they take pages from at their start, and what the queues of one disk share.
 *
 * Thread: control.
 */
#ifndef XENBLKD_DATAPATH_H
#define XENBLKD_DATAPATH_H

#include <stdint.h>

#include "dmem.h"
#include "error.h"
#include "pipeline.h"
#include "reactor.h"

#define DATAPATH_MAX_REACTORS 16u

struct datapath_reactor {
	char name[16];
	int cpu; /* or -1 */
	struct reactor reactor;
	struct pipeline pipeline;
} __attribute__((aligned(128))); /* neighbours do not write to one cache line */

struct datapath {
	struct datapath_reactor *reactors;
	uint32_t nr;
};

struct datapath_args {
	uint32_t nr_reactors; /* 1 to DATAPATH_MAX_REACTORS */
	const int *cpus; /* one for each, to pin it to; -1: none */
	uint64_t poll_ns; /* how long to poll without work before sleeping */
	const char *state_dir;
	struct dmem *dmem; /* stays the caller's, outlives the datapath */
	uint32_t buffer_pages; /* of it, for data in flight, of each reactor */
	struct reactor_msg **news; /* one for each: see pipeline_args; or NULL */
	struct reactor *control;
};

/**
 * datapath_create - starts the reactors
 *
 * Return: 0, or -errno and *@e.
 */
int datapath_create(struct datapath *dp, const struct datapath_args *args, struct error *e);

/* datapath_destroy - ends them; no queue is left. */
void datapath_destroy(struct datapath *dp);

/* datapath_choose - the pipeline for another queue: the one that has fewest. */
struct pipeline *datapath_choose(struct datapath *dp);

#endif
