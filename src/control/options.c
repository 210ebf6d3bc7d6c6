/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct option {
	const char *name;
	const char *arg; /* what it takes, for the help; NULL: nothing */
	const char *help;
	int (*set)(struct options *o, const struct option *opt, const char *value, struct error *e);
	size_t offset; /* in struct options, for the setters that want it */
	int64_t min, max; /* for numbers */
};

static int set_flag(struct options *o, const struct option *opt, const char *value, struct error *e)
{
	*(bool *)((char *)o + opt->offset) = true;
	return 0;
}

static int parse_number(const struct option *opt, const char *value, int64_t *out, struct error *e)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(value, &end, 10);
	if (errno || *end || end == value || *value == ' ' || n < opt->min || n > opt->max)
		return error_set(e, EINVAL, "--%s is \"%s\", expected a number from %lld to %lld",
				 opt->name, value, (long long)opt->min, (long long)opt->max);
	*out = n;
	return 0;
}

static int set_i64(struct options *o, const struct option *opt, const char *value, struct error *e)
{
	return parse_number(opt, value, (int64_t *)((char *)o + opt->offset), e);
}

static int set_u32(struct options *o, const struct option *opt, const char *value, struct error *e)
{
	int64_t n = 0;
	int err = parse_number(opt, value, &n, e);

	if (!err)
		*(uint32_t *)((char *)o + opt->offset) = (uint32_t)n;
	return err;
}

static int add_cpu(struct options *o, const struct option *opt, const char *word, struct error *e)
{
	int64_t cpu = -1;
	int err = strcmp(word, "none") ? parse_number(opt, word, &cpu, e) : 0;

	if (!err && o->nr_cpus == OPTIONS_MAX_REACTORS)
		err = error_set(e, EINVAL, "--%s names more than %d CPUs", opt->name,
				OPTIONS_MAX_REACTORS);
	if (!err)
		o->cpus[o->nr_cpus++] = (int)cpu;
	return err;
}

static int set_cpus(struct options *o, const struct option *opt, const char *value, struct error *e)
{
	int err = 0;

	o->nr_cpus = 0;
	while (!err) {
		char word[32];
		size_t n = strcspn(value, ",");

		snprintf(word, sizeof(word), "%.*s", (int)n, value);
		err = add_cpu(o, opt, word, e);
		if (!value[n])
			break;
		value += n + 1;
	}
	return err;
}

static int set_level(struct options *o, const struct option *opt, const char *value,
		     struct error *e)
{
	if (!log_level_parse(value, &o->log_level))
		return 0;
	return error_set(e, EINVAL, "--%s is \"%s\", expected error, warning, info or debug",
			 opt->name, value);
}

/* One name below backend/ in xenstore: no slash, nothing that is special there. */
static int set_class(struct options *o, const struct option *opt, const char *value,
		     struct error *e)
{
	size_t len = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-_");

	if (!len || value[len] || len > 32)
		return error_set(e, EINVAL, "--%s is \"%s\", expected a name such as vbd or vbd3",
				 opt->name, value);
	o->class = value;
	return 0;
}

static int set_dir(struct options *o, const struct option *opt, const char *value, struct error *e)
{
	if (value[0] != '/' || strlen(value) > 64)
		return error_set(e, EINVAL,
				 "--%s is \"%s\", expected an absolute path of at most 64 letters",
				 opt->name, value);
	o->state_dir = value;
	return 0;
}

static int set_transfer(struct options *o, const struct option *opt, const char *value,
			struct error *e)
{
	o->transfer = value;
	return 0;
}

#define FIELD(f) offsetof(struct options, f)

static const struct option table[] = {
	{ "class", "NAME", "serve the backends of this xenbus class (vbd)", set_class },
	{ "reactors", "N", "threads that serve disks (1, or as many as --cpu names)", set_u32,
	  FIELD(nr_reactors), 1, OPTIONS_MAX_REACTORS },
	{ "cpu", "LIST", "pin each to a CPU, or none (the last ones, if there are several)",
	  set_cpus, 0, 0, 4095 },
	{ "poll-us", "N", "poll so long without work before sleeping (50; 0 if there is one CPU)",
	  set_i64, FIELD(poll_us), 0, 1000000 },
	{ "buffer-mib", "N", "memory of each for data in flight (16)", set_u32, FIELD(buffer_mib),
	  2, 64 },
	{ "max-queues", "N", "queues that a disk may have (as many as there are CPUs, up to 4)",
	  set_u32, FIELD(max_queues), 1, 16 },
	{ "transfer", "WORD", "auto, auto:BYTES, direct or copy, for disks that do not say (auto)",
	  set_transfer },
	{ "state-dir", "DIR", "where the state of disks is kept (/run/xenblkd)", set_dir },
	{ "log-level", "LEVEL", "error, warning, info or debug (info)", set_level },
	{ "help", NULL, "print this", set_flag, FIELD(help) },
	{ "version", NULL, "print the version", set_flag, FIELD(version) },
};

#define NR_OPTIONS (sizeof(table) / sizeof(table[0]))

static const struct option *find(const char *name, size_t len)
{
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		if (!strncmp(table[i].name, name, len) && !table[i].name[len])
			return &table[i];
	}
	return NULL;
}

/* argv[*@i], and the word behind it where the value stands there. */
static int parse_one(int argc, char **argv, int *i, struct options *o, struct error *e)
{
	const char *word = argv[*i], *value = NULL;
	const struct option *opt;
	size_t len;

	if (strncmp(word, "--", 2))
		return error_set(e, EINVAL, "\"%s\" is no option; see --help", word);
	word += 2;
	len = strcspn(word, "=");
	opt = find(word, len);
	if (!opt)
		return error_set(e, EINVAL, "no option \"--%.*s\"; see --help", (int)len, word);
	if (word[len])
		value = word + len + 1;
	if (!opt->arg && value)
		return error_set(e, EINVAL, "--%s takes no value", opt->name);
	if (opt->arg && !value) {
		if (*i + 1 >= argc)
			return error_set(e, EINVAL, "--%s needs a value: %s", opt->name, opt->arg);
		value = argv[++*i];
	}
	return opt->set(o, opt, value, e);
}

int options_parse(int argc, char **argv, struct options *out, struct error *e)
{
	struct options o = {
		.class = "vbd",
		.state_dir = "/run/xenblkd",
		.log_level = LOG_LEVEL_INFO,
		.transfer = "auto",
		.buffer_mib = 16,
		.poll_us = -1,
	};

	for (int i = 1; i < argc; i++) {
		int err = parse_one(argc, argv, &i, &o, e);

		if (err)
			return err;
	}
	if (!o.nr_reactors)
		o.nr_reactors = o.nr_cpus ? o.nr_cpus : 1;
	if (o.nr_cpus && o.nr_cpus != o.nr_reactors)
		return error_set(e, EINVAL,
				 "--cpu names %u CPUs, expected one for each of %u reactors",
				 o.nr_cpus, o.nr_reactors);
	*out = o;
	return 0;
}

void options_help(FILE *f)
{
	fprintf(f, "Usage: xenblkd [OPTION]...\n\n"
		   "Serves the disks of Xen guests. See xenblkd(8).\n\n");
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		char left[32];

		snprintf(left, sizeof(left), "--%s%s%s", table[i].name, table[i].arg ? "=" : "",
			 table[i].arg ? table[i].arg : "");
		fprintf(f, "  %-20s %s\n", left, table[i].help);
	}
}
