/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options - what an operator has chosen for the daemon.
 *
 * One table names each setting, what it takes, its preset and what it is for. It may stand in the
 * configuration file (poll-us = 70), in the environment (XENBLKD_POLL_US=70) and on the command line
 * (--poll-us=70): what stands further right wins. Parsing, checks of values, --help and --check-config
 * come from that table, and each error names the place where the value stands.
 *
 * Thread: control.
 */
#ifndef XENBLKD_OPTIONS_H
#define XENBLKD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "confine.h"
#include "error.h"
#include "log.h"
#include "transfer.h"

#define OPTIONS_MAX_REACTORS 16
#define OPTIONS_MAX_SETTINGS 25
#define OPTIONS_FILE	     "/etc/xenblkd/xenblkd.conf"

enum option_source {
	OPTION_PRESET,
	OPTION_FILE,
	OPTION_ENVIRONMENT,
	OPTION_WORD
};

/* As it was written, and where. */
struct option_origin {
	enum option_source source;
	uint32_t line; /* of the file */
	char text[104];
};

struct options {
	char class[33]; /* of xenbus backends to serve: "vbd" */
	char state_dir[65];
	enum log_level log_level;
	enum confine_mode confine;
	char user[33]; /* to run as; "": as it was started */
	struct transfer transfer; /* for disks that do not say */
	uint32_t buffer_mib; /* memory for data in flight, of each reactor */
	uint32_t max_queues; /* of a disk; 0: chosen */
	uint32_t nr_reactors;
	int cpus[OPTIONS_MAX_REACTORS]; /* to pin them to, nr_cpus of them; -1: to none */
	uint32_t nr_cpus; /* as many as reactors; or 0: chosen */
	int64_t poll_us; /* how long to poll without work; -1: chosen */
	uint32_t metrics_port; /* on the loopback; 0: none */
	char spdk_config[101]; /* a file; "": none */
	char spdk_rpc[101]; /* the path of a socket; "": none */
	uint32_t spdk_mib; /* memory of SPDK's, if it is started: by one of these */
	char config[256]; /* the file; "" for none */
	bool standby; /* if another one serves, wait until it ends */
	bool check_config, clean, help, version;
	struct option_origin origins[OPTIONS_MAX_SETTINGS];
};

/**
 * options_parse - the file, the environment and the command line
 *
 * With --help or --version the file is not looked at. A file that nobody named need not be there.
 *
 * @argv: as main() has it
 *
 * Return: 0, or -errno and *@e; @out is then untouched.
 */
int options_parse(int argc, char **argv, struct options *out, struct error *e);

/* options_place - where a setting stands, in words: "FILE:LINE: user", "XENBLKD_USER" or "--user". */
void options_place(const struct options *o, const char *setting, char *out, size_t size);

/**
 * options_reload - takes over what may change while the daemon runs
 *
 * @o:    with the settings of @anew that may, afterwards
 * @kept: told of each other one that differs, with its place and both values
 */
void options_reload(struct options *o, const struct options *anew,
		    void (*kept)(const char *place, const char *old, const char *anew));

/* options_help - prints usage to @f. */
void options_help(FILE *f);

/* options_show - prints all settings to @f as they are in force, and where they stand: a file of them. */
void options_show(const struct options *o, FILE *f);

/* For options_file.c: */

/**
 * options_set - one setting, by its name
 *
 * @origin: where it stands; its text is filled in
 *
 * Return: 0; or -EINVAL and *@e, which names the place.
 */
int options_set(struct options *o, const char *name, const char *value,
		const struct option_origin *origin, struct error *e);

/* options_read_file - o->config, which may be missing unless @required. Return: 0, or -errno and *@e. */
int options_read_file(struct options *o, bool required, struct error *e);

#endif
