/* SPDX-License-Identifier: BSD-2-Clause */
#include "load_options.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct option {
	const char *name;
	const char *arg; /* what it takes, for the help; NULL: nothing */
	const char *help;
	int (*set)(struct load_options *o, const struct option *opt, char *value, struct error *e);
	size_t offset; /* in struct load_options, for the setters that want it */
	uint64_t min, max; /* for numbers */
};

static void *field(struct load_options *o, const struct option *opt)
{
	return (char *)o + opt->offset;
}

static int set_flag(struct load_options *o, const struct option *opt, char *value, struct error *e)
{
	*(bool *)field(o, opt) = true;
	return 0;
}

static int set_text(struct load_options *o, const struct option *opt, char *value, struct error *e)
{
	*(const char **)field(o, opt) = value;
	return 0;
}

/* A number with k, m, g or t behind it. Return: what follows it, or NULL. */
static const char *parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "kmgt";
	char *end;
	uint64_t n;
	const char *unit;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return NULL;
	unit = *end ? strchr(units, *end | 0x20) : NULL;
	if (unit) {
		uint32_t shift = 10u * (uint32_t)(unit - units + 1);

		if (n >> (64 - shift))
			return NULL;
		n <<= shift;
		end++;
	}
	*out = n;
	return end;
}

static int set_u64(struct load_options *o, const struct option *opt, char *value, struct error *e)
{
	uint64_t n;
	const char *end = parse_size(value, &n);

	if (!end || *end || n < opt->min || n > opt->max)
		return error_set(e, EINVAL, "--%s is \"%s\", expected a number from %llu to %llu",
				 opt->name, value, (unsigned long long)opt->min,
				 (unsigned long long)opt->max);
	*(uint64_t *)field(o, opt) = n;
	return 0;
}

static int set_u32(struct load_options *o, const struct option *opt, char *value, struct error *e)
{
	struct option wide = *opt;
	struct load_options number;
	int err;

	wide.offset = offsetof(struct load_options, count);
	err = set_u64(&number, &wide, value, e);
	if (!err)
		*(uint32_t *)field(o, opt) = (uint32_t)number.count;
	return err;
}

static int set_devid(struct load_options *o, const struct option *opt, char *value, struct error *e)
{
	return set_u64(o, opt, value, e);
}

/* 4k, or 512-128k. */
static int set_size(struct load_options *o, const struct option *opt, char *value, struct error *e)
{
	uint64_t min, max;
	const char *end = parse_size(value, &min);

	max = min;
	if (end && *end == '-')
		end = parse_size(end + 1, &max);
	if (!end || *end || !min || min > max || min % FRONT_SECTOR_BYTES ||
	    max % FRONT_SECTOR_BYTES || max > FRONT_MAX_INDIRECT * FRONT_PAGE_BYTES)
		return error_set(e, EINVAL,
				 "--%s is \"%s\", expected a size or two with - between them, "
				 "in units of 512 bytes, up to 16m",
				 opt->name, value);
	o->min_bytes = min;
	o->max_bytes = max;
	return 0;
}

/* Where something begins or how long it is: in sectors. */
static int set_sectors(struct load_options *o, const struct option *opt, char *value,
		       struct error *e)
{
	uint64_t n;
	const char *end = parse_size(value, &n);

	if (!end || *end || n % FRONT_SECTOR_BYTES)
		return error_set(e, EINVAL, "--%s is \"%s\", expected a multiple of 512 bytes",
				 opt->name, value);
	*(uint64_t *)field(o, opt) = n;
	return 0;
}

static int set_rw(struct load_options *o, const struct option *opt, char *value, struct error *e)
{
	static const struct {
		const char *word;
		bool random;
		uint32_t read_percent;
	} words[] = {
		{ "read", false, 100 },	   { "write", false, 0 },    { "rw", false, 50 },
		{ "randread", true, 100 }, { "randwrite", true, 0 }, { "randrw", true, 50 },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].word, value))
			continue;
		o->random = words[i].random;
		o->read_percent = words[i].read_percent;
		return 0;
	}
	return error_set(e, EINVAL,
			 "--rw is \"%s\", expected read, write, rw, randread, randwrite or randrw",
			 value);
}

static int set_seconds(struct load_options *o, const struct option *opt, char *value,
		       struct error *e)
{
	char *end;
	double n = strtod(value, &end);

	if (end == value || *end || !(n >= 0 && n <= 1e9))
		return error_set(e, EINVAL, "--%s is \"%s\", expected seconds", opt->name, value);
	*(double *)field(o, opt) = n;
	return 0;
}

static int set_layout(struct load_options *o, const struct option *opt, char *value,
		      struct error *e)
{
	if (strcmp(value, "pages") && strcmp(value, "random"))
		return error_set(e, EINVAL, "--layout is \"%s\", expected pages or random", value);
	o->layout = *value == 'p' ? LAYOUT_PAGES : LAYOUT_RANDOM;
	return 0;
}

static int set_abi(struct load_options *o, const struct option *opt, char *value, struct error *e)
{
	if (!strcmp(value, "unnamed"))
		o->wishes.abi = FRONT_ABI_UNNAMED;
	else if (!strcmp(value, "x86_64"))
		o->wishes.abi = FRONT_ABI_X86_64;
	else if (!strcmp(value, "x86_32"))
		o->wishes.abi = FRONT_ABI_X86_32;
	else
		return error_set(e, EINVAL, "--abi is \"%s\", expected x86_64, x86_32 or unnamed",
				 value);
	return 0;
}

static int set_node(struct load_options *o, const struct option *opt, char *value, struct error *e)
{
	char *is = strchr(value, '=');

	if (!is || is == value || o->nr_nodes == MAX_NODES)
		return error_set(e, EINVAL,
				 "--node is \"%s\", expected NAME=VALUE, %u times at most", value,
				 MAX_NODES);
	*is = '\0';
	o->nodes[o->nr_nodes++] = (struct front_node){ value, is + 1 };
	return 0;
}

#define FIELD(f) offsetof(struct load_options, f)
#define MANY	 1000000000000ull

static const struct option table[] = {
	{ "create", "TARGET", "make a disk of this target, and remove it at the end", set_text,
	  FIELD(create) },
	{ "device", "PATH", "or use one that is there: its number, or its frontend's directory",
	  set_text, FIELD(device) },
	{ "class", "NAME", "kind of backend to make it for (vbd)", set_text, FIELD(class) },
	{ "backend", "DOMID", "domain that serves it (0)", set_u32, FIELD(backend_domid), 0,
	  32751 },
	{ "devid", "N", "its number (the first free one from 51712 on, which is xvda)", set_devid,
	  FIELD(devid), 0, 1u << 29 },
	{ "read-only", NULL, "make it read-only", set_flag, FIELD(read_only) },
	{ "node", "NAME=VALUE", "one more node in the backend's directory", set_node },
	{ "keep", NULL, "leave the disk's nodes there at the end", set_flag, FIELD(keep) },

	{ "ring-order", "N", "the ring has 2^N pages (0)", set_u32, FIELD(wishes.ring_order), 0,
	  FRONT_MAX_RING_ORDER },
	{ "queues", "N", "rings, each with a thread (1)", set_u32, FIELD(wishes.nr_queues), 1,
	  FRONT_MAX_QUEUES },
	{ "segments", "N", "use indirect requests of up to N segments (none)", set_u32,
	  FIELD(segments), 1, FRONT_MAX_INDIRECT },
	{ "indirect", NULL, "make every read and write an indirect request", set_flag,
	  FIELD(always_indirect) },
	{ "persistent", NULL, "announce persistent grants", set_flag, FIELD(wishes.persistent) },
	{ "abi", "ABI", "x86_64, x86_32, or unnamed: x86_64 without saying so (x86_64)", set_abi },
	{ "exact", NULL, "take what is wished for even if the backend offers less", set_flag,
	  FIELD(wishes.exact) },
	{ "firmware", NULL, "connect as firmware does, without state 3", set_flag,
	  FIELD(wishes.skip_initialised) },

	{ "rw", "WORD", "read, write, rw, randread, randwrite or randrw (randread)", set_rw },
	{ "read-percent", "N", "of reads in a mix (50)", set_u32, FIELD(read_percent), 0, 100 },
	{ "size", "SIZE", "of a request, or MIN-MAX for random ones (4k)", set_size },
	{ "align", "SIZE", "of its place on the disk (the smallest size)", set_sectors,
	  FIELD(align_bytes) },
	{ "first", "SIZE", "where on the disk to begin (0)", set_sectors, FIELD(first_bytes) },
	{ "span", "SIZE", "how much of the disk to use (all)", set_sectors, FIELD(span_bytes) },
	{ "layout", "WORD", "data in pages, or in random parts of pages (pages)", set_layout },
	{ "flush-every", "N", "a flush behind every N requests", set_u64, FIELD(flush_every), 1,
	  MANY },
	{ "barrier-every", "N", "every Nth request is a barrier", set_u64, FIELD(barrier_every), 1,
	  MANY },
	{ "discard-every", "N", "every Nth request is a discard", set_u64, FIELD(discard_every), 1,
	  MANY },
	{ "depth", "N", "requests in flight on each queue (32)", set_u32, FIELD(depth), 1, 16384 },
	{ "batch", "N", "hand over N requests at a time (1)", set_u32, FIELD(batch), 1, 16384 },
	{ "count", "N", "end after so many requests", set_u64, FIELD(count), 1, MANY },
	{ "time", "SECONDS", "end after so long (5, if there is no count)", set_seconds,
	  FIELD(seconds) },
	{ "rate", "N", "requests a second (as fast as it goes)", set_u64, FIELD(rate), 1, MANY },
	{ "seed", "N", "of all that is random (the clock)", set_u64, FIELD(seed), 1, UINT32_MAX },

	{ "verify", NULL, "stamp what is written, check what is read, read all back at the end",
	  set_flag, FIELD(verify) },
	{ "fill", NULL, "write everything once at first", set_flag, FIELD(fill) },
	{ "shadow", "FILE", "keep what was written in a file, for the next blkload", set_text,
	  FIELD(shadow) },

	{ "conform", NULL, "no load: check how the backend answers what is right and what is not",
	  set_flag, FIELD(conform) },
	{ "reconnect", "N", "close and connect again N times, with the same load each time",
	  set_u64, FIELD(reconnect), 0, MANY },
	{ "abandon", NULL, "do not close, but connect again with requests in flight", set_flag,
	  FIELD(abandon) },
	{ "die-after", "N", "be killed after N responses, with requests in flight", set_u64,
	  FIELD(die_after), 1, MANY },
	{ "poll-us", "N", "poll so long for a response before sleeping (0)", set_u32,
	  FIELD(poll_us), 0, 1000000000 },
	{ "timeout", "SECONDS", "for the backend to answer anything (30)", set_u64,
	  FIELD(timeout_s), 1, 4000 },

	{ "json", NULL, "print the result as JSON", set_flag, FIELD(json) },
	{ "quiet", NULL, "do not show progress", set_flag, FIELD(quiet) },
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
static int parse_one(int argc, char **argv, int *i, struct load_options *o, struct error *e)
{
	char *word = argv[*i], *value = NULL;
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

static int check_together(struct load_options *o, struct error *e)
{
	if (o->help || o->version)
		return 0;
	if (!o->create == !o->device)
		return error_set(e, EINVAL, "say which disk: either --create or --device");
	if (o->batch > o->depth)
		return error_set(e, EINVAL, "--batch is %u, expected at most --depth, which is %u",
				 o->batch, o->depth);
	if (o->always_indirect && !o->segments)
		return error_set(e, EINVAL, "--indirect needs --segments");
	if (!o->count && !o->seconds)
		o->seconds = 5;
	return 0;
}

int load_options_parse(int argc, char **argv, struct load_options *out, struct error *e)
{
	struct load_options o = {
		.class = "vbd",
		.devid = -1,
		.wishes = { .nr_queues = 1 },
		.random = true,
		.read_percent = 100,
		.min_bytes = 4096,
		.max_bytes = 4096,
		.depth = 32,
		.batch = 1,
		.timeout_s = 30,
	};
	int err;

	for (int i = 1; i < argc; i++) {
		err = parse_one(argc, argv, &i, &o, e);
		if (err)
			return err;
	}
	err = check_together(&o, e);
	if (!err)
		*out = o;
	return err;
}

void load_options_help(FILE *f)
{
	fprintf(f,
		"Usage: blkload --create TARGET | --device PATH [OPTION]...\n\n"
		"Puts load on the disk of a Xen guest, as the guest would, and checks what comes "
		"back.\nSee blkload(1).\n\n");
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		char left[32];

		snprintf(left, sizeof(left), "--%s%s%s", table[i].name, table[i].arg ? "=" : "",
			 table[i].arg ? table[i].arg : "");
		fprintf(f, "  %-20s %s\n", left, table[i].help);
	}
}
