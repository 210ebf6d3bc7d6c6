/* SPDX-License-Identifier: BSD-2-Clause */
#include "load_options.h"

#include <errno.h>
#include <string.h>

#include "tap.h"

static struct load_options o;
static struct error e;

/* Words are cut off in place, so they are copied first. */
static int parse(const char *line)
{
	static char text[200];
	char *argv[20] = { "blkload" };
	int argc = 1;

	snprintf(text, sizeof(text), "%s", line);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	return load_options_parse(argc, argv, &o, &e);
}

static void understands_the_example(void)
{
	check_eq(parse("--create file:/dev/nvme0n1 --depth 32 --size 4k --rw randread --time 5"),
		 0);
	check(!strcmp(o.create, "file:/dev/nvme0n1"));
	check(o.depth == 32 && o.min_bytes == 4096 && o.max_bytes == 4096);
	check(o.random && o.read_percent == 100 && o.seconds > 4.9 && o.seconds < 5.1);
}

static void has_defaults(void)
{
	check_eq(parse("--device 51712"), 0);
	check(!strcmp(o.class, "vbd") && o.devid == -1 && o.backend_domid == 0);
	check(o.wishes.nr_queues == 1 && o.wishes.ring_order == 0 && !o.segments);
	check(o.seconds > 4.9 && !o.count && o.batch == 1 && o.timeout_s == 30);
	check_eq(parse("--device 51712 --count 10"), 0);
	check(o.count == 10 && !(o.seconds > 0));
}

static void sizes_have_units_and_ranges(void)
{
	check_eq(parse("--device 1 --size 512-128K --span 2g --align 1k"), 0);
	check(o.min_bytes == 512 && o.max_bytes == 128 << 10);
	check(o.span_bytes == 2ull << 30 && o.align_bytes == 1024);
}

static void nodes_are_names_and_values(void)
{
	check_eq(parse("--create x --node physical-device=8:1 --node=script=block"), 0);
	check_eq(o.nr_nodes, 2);
	check(!strcmp(o.nodes[0].name, "physical-device") && !strcmp(o.nodes[0].value, "8:1"));
	check(!strcmp(o.nodes[1].name, "script") && !strcmp(o.nodes[1].value, "block"));
}

static void refuses_and_says_what_was_expected(void)
{
	static const struct {
		const char *line, *says;
	} wrong[] = {
		{ "", "--create or --device" },
		{ "--create x --device 1", "--create or --device" },
		{ "--device 1 --size 100", "512" },
		{ "--device 1 --size 8k-4k", "512" },
		{ "--device 1 --size 4k-", "512" },
		{ "--device 1 --size 17m", "16m" },
		{ "--device 1 --depth 0", "from 1 to 16384" },
		{ "--device 1 --depth -1", "from 1 to 16384" },
		{ "--device 1 --depth 1x", "from 1 to 16384" },
		{ "--device 1 --count 99999999999999999999", "from 1 to" },
		{ "--device 1 --batch 33", "--depth" },
		{ "--device 1 --rw sideways", "randrw" },
		{ "--device 1 --time soon", "seconds" },
		{ "--device 1 --indirect", "--segments" },
		{ "--device 1 --node x", "NAME=VALUE" },
		{ "--device 1 --json=yes", "no value" },
		{ "--device 1 --depth", "needs a value" },
		{ "--device 1 --dept 1", "no option \"--dept\"" },
		{ "--device 1 depth", "no option" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		o.depth = 12345;
		check_eq(parse(wrong[i].line), -EINVAL);
		check(strstr(e.text, wrong[i].says));
		check_eq(o.depth, 12345);
	}
}

int main(void)
{
	tap_run(understands_the_example);
	tap_run(has_defaults);
	tap_run(sizes_have_units_and_ranges);
	tap_run(nodes_are_names_and_values);
	tap_run(refuses_and_says_what_was_expected);
	return tap_end();
}
