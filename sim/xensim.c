/* SPDX-License-Identifier: BSD-2-Clause */
/* xensim: looks at a machine, and does things to it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

static int show(char *arg)
{
	uint64_t value;

	if (!arg) {
		sim_show(stdout);
		return 0;
	}
	if (sim_get(arg, &value))
		return -1;
	printf("%" PRIu64 "\n", value);
	return 0;
}

static int set(char *arg)
{
	return arg ? sim_set(arg) : -1;
}

static int domid_of(const char *arg)
{
	char *end;
	unsigned long n = arg ? strtoul(arg, &end, 10) : 0;

	return arg && *arg && !*end && n && n < SIM_DOMAINS ? (int)n : -1;
}

static int create(char *arg)
{
	int domid = domid_of(arg);

	if (domid > 0)
		sim_domain_create((uint16_t)domid);
	return domid;
}

static int destroy(char *arg)
{
	int domid = domid_of(arg);

	if (domid > 0)
		sim_domain_destroy((uint16_t)domid);
	return domid;
}

static const struct {
	const char *name, *arg, *help;
	int (*fn)(char *arg);
} commands[] = {
	{ "show", "[NAME]", "counters and controls", show },
	{ "set", "NAME=N...", "controls: faults and costs", set },
	{ "create", "DOMID", "a domain, before its first process", create },
	{ "destroy", "DOMID", "kill its processes, and end what it has", destroy },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int usage(void)
{
	fprintf(stderr, "Usage: XENSIM_DIR=DIR xensim COMMAND\n\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(stderr, "  %-8s %-10s %s\n", commands[i].name, commands[i].arg,
			commands[i].help);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 3)
		return usage();
	unsetenv("XENSIM_DOMID");
	if (sim_open()) {
		fprintf(stderr, "xensim: XENSIM_DIR names no directory that can be used\n");
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		if (commands[i].fn(argv[2]) >= 0)
			return EXIT_SUCCESS;
		fprintf(stderr, "xensim: %s cannot be done with \"%s\"\n", argv[1],
			argv[2] ? argv[2] : "");
		return EXIT_FAILURE;
	}
	return usage();
}
