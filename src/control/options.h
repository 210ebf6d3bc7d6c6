/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options - what the command line says.
 *
 * One table names each option, what it takes and what it is for; parsing, --help and the checks of
 * values all come from it.
 *
 * Thread: control, before anything else runs.
 */
#ifndef XENBLKD_OPTIONS_H
#define XENBLKD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "error.h"
#include "log.h"

#define OPTIONS_MAX_REACTORS 16

struct options {
	const char *class; /* of xenbus backends to serve: "vbd" */
	const char *state_dir;
	enum log_level log_level;
	const char *transfer; /* for disks that do not say; checked by who uses it */
	uint32_t buffer_mib; /* memory for data in flight, of each reactor */
	uint32_t max_queues; /* of a disk; 0: chosen */
	uint32_t nr_reactors;
	int cpus[OPTIONS_MAX_REACTORS]; /* to pin them to, nr_cpus of them; -1: to none */
	uint32_t nr_cpus; /* as many as reactors; or 0: chosen */
	int64_t poll_us; /* how long to poll without work; -1: chosen */
	bool help, version;
};

/**
 * options_parse - the options of a command line
 *
 * @argv: as main() has it; strings in @out point into it
 *
 * Return: 0, or -EINVAL and *@e; @out is then untouched.
 */
int options_parse(int argc, char **argv, struct options *out, struct error *e);

/* options_help - prints usage to @f. */
void options_help(FILE *f);

#endif
