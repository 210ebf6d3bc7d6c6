/* SPDX-License-Identifier: BSD-2-Clause */
/* hostile: arguments, and the table. See hostile.h. */
#include "hostile.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hostile_group *const groups[] = {
	&requests_group, &indirect_group, &grants_group, &races_group,
	&rings_group,	 &nodes_group,	  &states_group, &floods_group,
};

static const char usage[] =
	"Usage: hostile --disk=TARGET --read-only=TARGET --neighbour=TARGET [OPTION...]\n"
	"\n"
	"A guest that attacks: makes these disks, does what no guest should, and looks at what "
	"comes\n"
	"of it. Prints TAP. A target /local/domain/... is the frontend of a disk that was made for "
	"it.\n"
	"\n"
	"  --only=NAME,...    groups, or cases as group/name\n"
	"  --skip=NAME,...    likewise, but not these\n"
	"  --class=CLASS      of backend; vbd\n"
	"  --log=FILE         the daemon's: lines that a case causes are counted\n"
	"  --pid=PID          the daemon: what it holds is looked at\n"
	"  --abi=x86_32       as a 32-bit guest\n"
	"  --timeout=SECONDS  for each step of the backend's; 10\n"
	"  --repeat=MS        each attack goes on for so long, and the neighbour's latency is "
	"compared\n"
	"  --rounds=N         of what is done many times; 40\n"
	"  --report=FILE      a line for each case: name, what came of it, the neighbour's "
	"requests, its p99 as\n"
	"                     a ratio (0 without --repeat), milliseconds\n"
	"  --table            the cases, as they are in doc/hostile.md\n";

static const struct option options[] = {
	{ "disk", required_argument, NULL, 'd' },
	{ "read-only", required_argument, NULL, 'r' },
	{ "neighbour", required_argument, NULL, 'n' },
	{ "only", required_argument, NULL, 'o' },
	{ "skip", required_argument, NULL, 's' },
	{ "class", required_argument, NULL, 'c' },
	{ "log", required_argument, NULL, 'l' },
	{ "pid", required_argument, NULL, 'p' },
	{ "abi", required_argument, NULL, 'a' },
	{ "timeout", required_argument, NULL, 't' },
	{ "repeat", required_argument, NULL, 'e' },
	{ "rounds", required_argument, NULL, 'u' },
	{ "report", required_argument, NULL, 'f' },
	{ "table", no_argument, NULL, 'T' },
	{ "die", required_argument, NULL, 'D' },
	{ "device", required_argument, NULL, 'V' },
	{ 0 },
};

static bool parse_one(struct hostile_options *o, int option)
{
	switch (option) {
	case 'd':
		o->targets[DISK_WRITABLE] = optarg;
		return true;
	case 'r':
		o->targets[DISK_READ_ONLY] = optarg;
		return true;
	case 'n':
		o->neighbour = optarg;
		return true;
	case 'o':
		o->only = optarg;
		return true;
	case 's':
		o->skip = optarg;
		return true;
	case 'c':
		o->class = optarg;
		return true;
	case 'l':
		o->log = optarg;
		return true;
	case 'p':
		o->pid = atoi(optarg);
		return true;
	case 'a':
		o->abi = !strcmp(optarg, "x86_32") ? FRONT_ABI_X86_32 : FRONT_ABI_X86_64;
		return true;
	case 't':
		o->timeout_ms = 1000u * (uint32_t)atoi(optarg);
		return true;
	case 'e':
		o->repeat_ms = (uint32_t)atoi(optarg);
		return true;
	case 'u':
		o->rounds = (uint32_t)atoi(optarg);
		return true;
	case 'f':
		o->report = optarg;
		return true;
	case 'T':
		o->table = true;
		return true;
	case 'D':
		o->die = optarg;
		return true;
	case 'V':
		o->device = optarg;
		return true;
	default:
		return false;
	}
}

static bool parse(struct hostile_options *o, int argc, char **argv)
{
	int option;

	*o = (struct hostile_options){ .class = "vbd", .timeout_ms = 10000, .rounds = 40 };
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!parse_one(o, option))
			return false;
	}
	return optind == argc &&
	       (o->table || (o->die && o->device) ||
		(o->targets[DISK_WRITABLE] && o->targets[DISK_READ_ONLY] && o->neighbour));
}

static void print_answers(unsigned answers)
{
	static const char *const names[] = { "`OKAY`", "`ERROR`", "`EOPNOTSUPP`", "none" };
	bool first = true;

	for (size_t i = 0; i < NR(names); i++) {
		if (!(answers & 1u << i))
			continue;
		printf("%s%s", first ? "" : ", ", names[i]);
		first = false;
	}
	if (first)
		printf("-");
}

static void print_table(void)
{
	static const char *const fates[] = { "served", "cut off", "refused", "its own affair" };

	for (size_t g = 0; g < NR(groups); g++) {
		for (size_t i = 0; i < groups[g]->nr; i++) {
			const struct hostile_case *k = &groups[g]->cases[i];

			printf("| `%s/%s` | %s | ", groups[g]->name, k->name, k->does);
			print_answers(k->answers);
			printf(" | %s |\n", fates[k->fate]);
		}
	}
}

static int run(struct hostile *h)
{
	struct error e = { "" };
	int err = session_open(h, &e), failed;

	if (err) {
		fprintf(stderr, "hostile: %s\n", e.text);
		return 3;
	}
	failed = session_run(h, groups, NR(groups));
	session_close(h);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static struct hostile h = { .rng = 1 };
	int status;

	if (!parse(&h.options, argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	if (h.options.table) {
		print_table();
		return 0;
	}
	h.wishes = (struct front_wishes){ .abi = h.options.abi,
					  .nr_queues = 1,
					  .exact = true,
					  .timeout_ms = h.options.timeout_ms };
	if (store_open(&h.store)) {
		fprintf(stderr, "hostile: there is no xenstore\n");
		return 3;
	}
	status = h.options.die ? hostile_die(&h, h.options.die) : run(&h);
	store_close(&h.store);
	return status;
}
