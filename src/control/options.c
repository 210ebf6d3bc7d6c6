/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ENVIRONMENT "XENBLKD_"

struct option {
	const char *name;
	const char *arg; /* what it takes, for the help; NULL: nothing */
	const char *preset; /* NULL: chosen, or none */
	const char *help;
	/* @place: in words, for errors */
	int (*set)(struct options *o, const struct option *opt, const char *value,
		   const char *place, struct error *e);
	size_t offset; /* in struct options, for the setters that want it */
	int64_t min, max; /* for numbers; for text, max is how long it may be */
	void (*reload)(struct options *o, const struct options *anew); /* NULL: takes a restart */
};

static int set_flag(struct options *o, const struct option *opt, const char *value,
		    const char *place, struct error *e)
{
	*(bool *)((char *)o + opt->offset) = true;
	return 0;
}

static int parse_number(const struct option *opt, const char *value, int64_t *out,
			const char *place, struct error *e)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(value, &end, 10);
	if (errno || *end || end == value || *value == ' ' || n < opt->min || n > opt->max)
		return error_set(e, EINVAL, "%s is \"%s\", expected a number from %lld to %lld",
				 place, value, (long long)opt->min, (long long)opt->max);
	*out = n;
	return 0;
}

static int set_i64(struct options *o, const struct option *opt, const char *value,
		   const char *place, struct error *e)
{
	return parse_number(opt, value, (int64_t *)((char *)o + opt->offset), place, e);
}

static int set_u32(struct options *o, const struct option *opt, const char *value,
		   const char *place, struct error *e)
{
	int64_t n = 0;
	int err = parse_number(opt, value, &n, place, e);

	if (!err)
		*(uint32_t *)((char *)o + opt->offset) = (uint32_t)n;
	return err;
}

static int add_cpu(struct options *o, const struct option *opt, const char *word, const char *place,
		   struct error *e)
{
	int64_t cpu = -1;
	int err = strcmp(word, "none") ? parse_number(opt, word, &cpu, place, e) : 0;

	if (!err && o->nr_cpus == OPTIONS_MAX_REACTORS)
		err = error_set(e, EINVAL, "%s names more than %d CPUs", place,
				OPTIONS_MAX_REACTORS);
	if (!err)
		o->cpus[o->nr_cpus++] = (int)cpu;
	return err;
}

static int set_cpus(struct options *o, const struct option *opt, const char *value,
		    const char *place, struct error *e)
{
	int err = 0;

	o->nr_cpus = 0;
	while (!err) {
		char word[32];
		size_t n = strcspn(value, ",");

		snprintf(word, sizeof(word), "%.*s", (int)n, value);
		err = add_cpu(o, opt, word, place, e);
		if (!value[n])
			break;
		value += n + 1;
	}
	return err;
}

static int set_level(struct options *o, const struct option *opt, const char *value,
		     const char *place, struct error *e)
{
	if (!log_level_parse(value, &o->log_level))
		return 0;
	return error_set(e, EINVAL, "%s is \"%s\", expected error, warning, info or debug", place,
			 value);
}

static int set_text(struct options *o, const struct option *opt, const char *value,
		    const char *place, struct error *e)
{
	size_t len = strlen(value);

	if (!len || len > (size_t)opt->max)
		return error_set(e, EINVAL, "%s is \"%s\", expected 1 to %d letters", place, value,
				 (int)opt->max);
	memcpy((char *)o + opt->offset, value, len + 1);
	return 0;
}

/* One name below backend/ in xenstore: no slash, nothing that is special there. */
static int set_class(struct options *o, const struct option *opt, const char *value,
		     const char *place, struct error *e)
{
	size_t len = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-_");

	if (!len || value[len] || len > 32)
		return error_set(e, EINVAL, "%s is \"%s\", expected a name such as vbd or vbd3",
				 place, value);
	return set_text(o, opt, value, place, e);
}

static int set_path(struct options *o, const struct option *opt, const char *value,
		    const char *place, struct error *e)
{
	if (value[0] != '/' || strlen(value) > (size_t)opt->max)
		return error_set(e, EINVAL,
				 "%s is \"%s\", expected an absolute path of at most %d letters",
				 place, value, (int)opt->max);
	return set_text(o, opt, value, place, e);
}

static int set_transfer(struct options *o, const struct option *opt, const char *value,
			const char *place, struct error *e)
{
	struct error why;
	int err = transfer_parse(value, &o->transfer, &why);

	return err ? error_set(e, -err, "%s: %s", place, why.text) : 0;
}

static int set_confine(struct options *o, const struct option *opt, const char *value,
		       const char *place, struct error *e)
{
	struct error why;
	int err = confine_mode_parse(value, &o->confine, &why);

	return err ? error_set(e, -err, "%s %s", place, why.text) : 0;
}

static void reload_level(struct options *o, const struct options *anew)
{
	o->log_level = anew->log_level;
}

static void reload_poll(struct options *o, const struct options *anew)
{
	o->poll_us = anew->poll_us;
}

static void reload_transfer(struct options *o, const struct options *anew)
{
	o->transfer = anew->transfer;
}

#define FIELD(f) offsetof(struct options, f)
#define TEXT(f)	 offsetof(struct options, f), 1, sizeof(((struct options *)NULL)->f) - 1

static const struct option table[] = {
	{ "class", "NAME", "vbd", "serve the backends of this xenbus class", set_class,
	  TEXT(class) },
	{ "reactors", "N", NULL, "threads that serve disks (1, or as many as --cpu names)", set_u32,
	  FIELD(nr_reactors), 1, OPTIONS_MAX_REACTORS },
	{ "cpu", "LIST", NULL, "pin each to a CPU, or none (the last ones, if there are several)",
	  set_cpus, 0, 0, 4095 },
	{ "poll-us", "N", NULL,
	  "poll so long without work before sleeping (50; 0 if there is one CPU)", set_i64,
	  FIELD(poll_us), 0, 1000000, reload_poll },
	{ "buffer-mib", "N", "16", "memory of each for data in flight", set_u32, FIELD(buffer_mib),
	  2, 64 },
	{ "max-queues", "N", NULL, "queues that a disk may have (as many as CPUs, up to 4)",
	  set_u32, FIELD(max_queues), 1, 16 },
	{ "transfer", "WORD", "auto",
	  "auto, auto:BYTES, direct, copy or persistent, for disks that do not say", set_transfer,
	  0, 0, 0, reload_transfer },
	{ "confine", "WORD", "yes", "yes, kill or no: give up what is not needed after the start",
	  set_confine },
	{ "user", "NAME", NULL, "become this user: no NVMe drives, all data is copied", set_text,
	  TEXT(user) },
	{ "metrics-port", "N", "0", "serve metrics on this port of 127.0.0.1 too; 0: on none",
	  set_u32, FIELD(metrics_port), 0, 65535 },
	{ "spdk-config", "FILE", NULL, "start SPDK, configured by this JSON, for spdk: disks",
	  set_path, TEXT(spdk_config) },
	{ "spdk-rpc", "PATH", NULL, "start SPDK, and answer its rpc.py by this socket", set_path,
	  TEXT(spdk_rpc) },
	{ "spdk-mib", "N", "32", "memory of SPDK's for devices, if it is started", set_u32,
	  FIELD(spdk_mib), 16, 1024 },
	{ "state-dir", "DIR", "/run/xenblkd", "where the state of disks is kept", set_path,
	  TEXT(state_dir) },
	{ "log-level", "LEVEL", "info", "error, warning, info or debug", set_level, 0, 0, 0,
	  reload_level },
	{ "config", "FILE", OPTIONS_FILE, "read settings from there", set_path, TEXT(config) },
	{ "check-config", NULL, NULL, "print the settings as they would hold, or what is wrong",
	  set_flag, FIELD(check_config) },
	{ "standby", NULL, NULL, "if another one serves, wait prepared, and go on when it ends",
	  set_flag, FIELD(standby) },
	{ "clean", NULL, NULL, "let go of what a daemon that was killed has left, and end",
	  set_flag, FIELD(clean) },
	{ "help", NULL, NULL, "print this", set_flag, FIELD(help) },
	{ "version", NULL, NULL, "print the version", set_flag, FIELD(version) },
};

#define NR_OPTIONS (sizeof(table) / sizeof(table[0]))

_Static_assert(NR_OPTIONS <= OPTIONS_MAX_SETTINGS, "each has its origin");

static const struct option *find(const char *name, size_t len)
{
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		if (!strncmp(table[i].name, name, len) && !table[i].name[len])
			return &table[i];
	}
	return NULL;
}

/* XENBLKD_POLL_US for poll-us. */
static void variable_of(const struct option *opt, char *out, size_t size)
{
	snprintf(out, size, ENVIRONMENT "%s", opt->name);
	for (char *c = out; *c; c++)
		*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

static void place_of(const struct options *o, const struct option *opt,
		     const struct option_origin *at, char *out, size_t size)
{
	switch (at->source) {
	case OPTION_PRESET:
		snprintf(out, size, "preset");
		break;
	case OPTION_FILE:
		snprintf(out, size, "%s:%u: %s", o->config, at->line, opt->name);
		break;
	case OPTION_ENVIRONMENT:
		variable_of(opt, out, size);
		break;
	case OPTION_WORD:
		snprintf(out, size, "--%s", opt->name);
		break;
	}
}

void options_place(const struct options *o, const char *setting, char *out, size_t size)
{
	const struct option *opt = find(setting, strlen(setting));

	place_of(o, opt, &o->origins[opt - table], out, size);
}

/* What the file and the environment may not say. */
static bool is_word_only(const struct option *opt, enum option_source source)
{
	return !opt->arg || (source == OPTION_FILE && opt->offset == FIELD(config));
}

static int set(struct options *o, const struct option *opt, const char *value,
	       const struct option_origin *at, struct error *e)
{
	struct option_origin *origin = &o->origins[opt - table];
	char place[320];
	int err;

	place_of(o, opt, at, place, sizeof(place));
	if (at->source == OPTION_FILE && origin->source == OPTION_FILE)
		return error_set(e, EINVAL, "%s stands in line %u already; expected it once", place,
				 origin->line);
	err = opt->set(o, opt, value, place, e);
	if (err)
		return err;
	*origin = *at;
	snprintf(origin->text, sizeof(origin->text), "%s", value ? value : "");
	return 0;
}

int options_set(struct options *o, const char *name, const char *value,
		const struct option_origin *origin, struct error *e)
{
	const struct option *opt = find(name, strlen(name));

	if (opt && !is_word_only(opt, origin->source))
		return set(o, opt, value, origin, e);
	return error_set(e, EINVAL,
			 "%s:%u: there is no setting \"%s\"; \"xenblkd --help\" shows which there "
			 "are",
			 o->config, origin->line, name);
}

static int set_presets(struct options *o, struct error *e)
{
	const struct option_origin origin = { .source = OPTION_PRESET };
	int err = 0;

	for (size_t i = 0; i < NR_OPTIONS && !err; i++) {
		if (table[i].preset)
			err = set(o, &table[i], table[i].preset, &origin, e);
	}
	return err;
}

static int set_environment(struct options *o, struct error *e)
{
	const struct option_origin origin = { .source = OPTION_ENVIRONMENT };
	int err = 0;

	for (size_t i = 0; i < NR_OPTIONS && !err; i++) {
		char name[64];
		const char *value;

		variable_of(&table[i], name, sizeof(name));
		value = getenv(name);
		if (value && !is_word_only(&table[i], OPTION_ENVIRONMENT))
			err = set(o, &table[i], value, &origin, e);
	}
	return err;
}

/* argv[*@i], and the word behind it where the value stands there. */
static int set_word(int argc, char **argv, int *i, struct options *o, struct error *e)
{
	const struct option_origin origin = { .source = OPTION_WORD };
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
	return set(o, opt, value, &origin, e);
}

static int set_words(int argc, char **argv, struct options *o, struct error *e)
{
	int err = 0;

	for (int i = 1; i < argc && !err; i++)
		err = set_word(argc, argv, &i, o, e);
	return err;
}

static int fit_reactors(struct options *o, struct error *e)
{
	char place[320];

	if (!o->nr_reactors)
		o->nr_reactors = o->nr_cpus ? o->nr_cpus : 1;
	options_place(o, "cpu", place, sizeof(place));
	if (o->nr_cpus && o->nr_cpus != o->nr_reactors)
		return error_set(e, EINVAL,
				 "%s names %u CPUs, expected one for each of %u reactors", place,
				 o->nr_cpus, o->nr_reactors);
	return 0;
}

int options_parse(int argc, char **argv, struct options *out, struct error *e)
{
	struct options o = { .poll_us = -1 }, named;
	int err = set_presets(&o, e);

	/* Which file, first of all. */
	named = o;
	if (!err)
		err = set_environment(&named, e);
	if (!err)
		err = set_words(argc, argv, &named, e);
	memcpy(o.config, named.config, sizeof(o.config));
	if (!err && !named.help && !named.version)
		err = options_read_file(&o, strcmp(o.config, OPTIONS_FILE), e);
	if (!err)
		err = set_environment(&o, e);
	if (!err)
		err = set_words(argc, argv, &o, e);
	if (!err)
		err = fit_reactors(&o, e);
	if (!err)
		*out = o;
	return err;
}

void options_reload(struct options *o, const struct options *anew,
		    void (*kept)(const char *place, const char *old, const char *anew))
{
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		const struct option *opt = &table[i];
		struct option_origin *old = &o->origins[i];
		const struct option_origin *now = &anew->origins[i];
		char place[320];

		if (opt->reload) {
			opt->reload(o, anew);
			*old = *now;
		} else if (strcmp(old->text, now->text)) {
			place_of(anew, opt, now, place, sizeof(place));
			kept(now->source == OPTION_PRESET ? opt->name : place, old->text,
			     now->text);
		}
	}
}

void options_help(FILE *f)
{
	fprintf(f,
		"Usage: xenblkd [OPTION]...\n\n"
		"Serves the disks of Xen guests. See xenblkd(8). All above --config may stand "
		"in\n%s, as NAME = VALUE; see xenblkd.conf(5).\n\n",
		OPTIONS_FILE);
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		const struct option *opt = &table[i];
		char left[32];

		snprintf(left, sizeof(left), "--%s%s%s", opt->name, opt->arg ? "=" : "",
			 opt->arg ? opt->arg : "");
		fprintf(f, "  %-20s %s", left, opt->help);
		fprintf(f, opt->preset ? " (%s)\n" : "\n", opt->preset);
	}
}

void options_show(const struct options *o, FILE *f)
{
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		const struct option *opt = &table[i];
		const struct option_origin *at = &o->origins[i];

		if (!opt->arg || opt->offset == FIELD(config))
			continue;
		if (at->source == OPTION_FILE)
			fprintf(f, "%s = %s # line %u\n", opt->name, at->text, at->line);
		else if (at->source == OPTION_PRESET)
			fprintf(f, "# %s = %s\n", opt->name, at->text[0] ? at->text : "(not set)");
		else
			fprintf(f, "%s = %s # %s\n", opt->name, at->text,
				at->source == OPTION_WORD ? "command line" : "environment");
	}
}
