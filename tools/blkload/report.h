/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report - what came of it, for people and for programs.
 *
 * Thread: main.
 */
#ifndef BLKLOAD_REPORT_H
#define BLKLOAD_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "front.h"
#include "load.h"
#include "load_options.h"

struct report {
	const struct load_options *options;
	struct front_device device;
	struct front_offer offer;
	uint32_t nr_queues, ring_order, ring_entries, max_segments;
	uint64_t elapsed_ns; /* of the measured phases */
	uint64_t connections;
	struct front_queue_stats stats; /* of all queues and connections */
	struct load_result result;
	char error[sizeof(((struct error *)0)->text)]; /* why it ended early, or "" */
};

/* report_add_result, report_add_stats - sums up. */
void report_add_result(struct report *r, const struct load_result *from);
void report_add_stats(struct report *r, const struct front_queue_stats *from);

void report_print(const struct report *r, FILE *f);
void report_json(const struct report *r, FILE *f);

/* report_good - nothing failed, nothing was wrong, nothing was lost. */
bool report_good(const struct report *r);

#endif
