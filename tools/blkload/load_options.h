/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load_options - what blkload's command line says.
 *
 * One table names each option, what it takes and what it is for; parsing, --help and the checks of
 * values all come from it.
 *
 * Thread: main, before anything else runs.
 */
#ifndef BLKLOAD_OPTIONS_H
#define BLKLOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "error.h"
#include "front.h"

#define MAX_NODES 16u

enum layout {
	LAYOUT_PAGES, /* from the start of a page on, page after page, as a kernel's page cache */
	LAYOUT_RANDOM, /* each segment any sectors of its page */
};

struct load_options {
	/* Which disk. */
	const char *create; /* its target; NULL: one that is there */
	const char *device; /* the frontend's directory, or a number */
	const char *class;
	int64_t devid;
	uint32_t backend_domid;
	bool read_only, keep;
	struct front_node nodes[MAX_NODES];
	uint32_t nr_nodes;

	/* How to connect. */
	struct front_wishes wishes;
	uint32_t segments; /* use indirect requests up to so many segments; 0: none */

	/* What to do. */
	bool random;
	uint32_t read_percent;
	uint64_t min_bytes, max_bytes; /* of a request */
	uint64_t align_bytes; /* of its place on the disk; 0: min_bytes */
	uint64_t first_bytes, span_bytes; /* part of the disk; span 0: to its end */
	enum layout layout;
	bool always_indirect;
	uint64_t flush_every, barrier_every, discard_every; /* requests; 0: never */
	uint32_t depth, batch;
	uint64_t count; /* requests; 0: until the time is up */
	double seconds; /* 0: until the count is reached */
	uint64_t rate; /* requests a second over all queues; 0: as fast as it goes */
	uint64_t seed; /* 0: of the clock */

	/* What to look at. */
	bool verify, fill;
	const char *shadow; /* a file */

	/* How often, and how it ends. */
	uint64_t reconnect;
	bool abandon;
	uint64_t die_after; /* responses; 0: not */
	uint32_t poll_us;
	uint64_t timeout_s;

	bool conform; /* checks of the protocol instead of a load */
	bool json, quiet, help, version;
};

/**
 * load_options_parse - the options of a command line
 *
 * @argv: as main() has it; strings in @out point into it, and node names in it are cut off
 *
 * Return: 0, or -EINVAL and *@e.
 */
int load_options_parse(int argc, char **argv, struct load_options *out, struct error *e);

/* load_options_help - prints usage to @f. */
void load_options_help(FILE *f);

#endif
