/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int start(struct datapath_reactor *r, uint32_t number, const struct datapath_args *args,
		 struct error *e)
{
	struct pipeline_args pipeline = {
		.reactor = &r->reactor,
		.number = number,
		.state_dir = args->state_dir,
		.dmem = args->dmem,
		.buffer_pages = args->buffer_pages,
		.news = args->news ? args->news[number] : NULL,
		.control = args->control,
	};
	int err = reactor_init(&r->reactor, args->poll_ns);

	if (err)
		return error_set(e, -err, "cannot make reactor %u: %s", number, strerror(-err));
	err = pipeline_create(&r->pipeline, &pipeline, e);
	if (err)
		goto fini;
	snprintf(r->name, sizeof(r->name), "reactor-%u", number % DATAPATH_MAX_REACTORS);
	r->cpu = args->cpus[number];
	err = reactor_start(&r->reactor, r->name, r->cpu);
	if (!err)
		return 0;
	error_set(e, -err, "cannot start reactor %u on CPU %d: %s%s", number, args->cpus[number],
		  strerror(-err), err == -EINVAL ? "; expected CPUs that there are (lscpu)" : "");
	pipeline_destroy(&r->pipeline);
fini:
	reactor_fini(&r->reactor);
	return err;
}

int datapath_create(struct datapath *dp, const struct datapath_args *args, struct error *e)
{
	size_t bytes = args->nr_reactors * sizeof(struct datapath_reactor);
	int err = 0;

	*dp = (struct datapath){ .reactors =
					 aligned_alloc(_Alignof(struct datapath_reactor), bytes) };
	if (!dp->reactors)
		return error_set(e, ENOMEM, "no memory for %u reactors", args->nr_reactors);
	memset(dp->reactors, 0, bytes);
	while (dp->nr < args->nr_reactors && !err) {
		err = start(&dp->reactors[dp->nr], dp->nr, args, e);
		if (!err)
			dp->nr++;
	}
	if (err)
		datapath_destroy(dp);
	return err;
}

void datapath_destroy(struct datapath *dp)
{
	while (dp->nr) {
		struct datapath_reactor *r = &dp->reactors[--dp->nr];

		reactor_join(&r->reactor);
		pipeline_destroy(&r->pipeline);
		reactor_fini(&r->reactor);
	}
	free(dp->reactors);
}

struct pipeline *datapath_choose(struct datapath *dp)
{
	struct pipeline *best = &dp->reactors[0].pipeline;

	for (uint32_t i = 1; i < dp->nr; i++) {
		if (dp->reactors[i].pipeline.nr_queues < best->nr_queues)
			best = &dp->reactors[i].pipeline;
	}
	return best;
}
