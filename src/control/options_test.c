/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <errno.h>
#include <string.h>

#include "tap.h"

#define ARGS(...)                      \
	(char *[])                     \
	{                              \
		"xenblkd", __VA_ARGS__ \
	}
#define PARSE(o, e, ...) \
	options_parse((int)(sizeof(ARGS(__VA_ARGS__)) / sizeof(char *)), ARGS(__VA_ARGS__), o, e)

static struct options o;
static struct error e;

static void takes_a_value_behind_or_beside(void)
{
	check_eq(PARSE(&o, &e, "--class=vbd3", "--poll-us", "70", "--cpu=none"), 0);
	check(!strcmp(o.class, "vbd3"));
	check_eq(o.poll_us, 70);
	check_eq(o.nr_reactors, 1);
	check_eq(o.cpus[0], -1);
}

static void has_a_reactor_for_each_cpu(void)
{
	check_eq(PARSE(&o, &e, "--cpu=3,none,12"), 0);
	check_eq(o.nr_reactors, 3);
	check_eq(o.nr_cpus, 3);
	check_eq(o.cpus[0], 3);
	check_eq(o.cpus[1], -1);
	check_eq(o.cpus[2], 12);
	check_eq(PARSE(&o, &e, "--reactors=2"), 0);
	check_eq(o.nr_reactors, 2);
	check_eq(o.nr_cpus, 0);
	check_eq(PARSE(&o, &e, "--reactors=2", "--cpu=0,1"), 0);
	check_eq(o.nr_cpus, 2);
}

static void cpus_fit_to_reactors(void)
{
	check_eq(PARSE(&o, &e, "--reactors=3", "--cpu=0,1"), -EINVAL);
	check(!!strstr(e.text, "--cpu names 2 CPUs, expected one for each of 3 reactors"));
}

static void has_defaults(void)
{
	check_eq(options_parse(1, ARGS("x"), &o, &e), 0);
	check(!strcmp(o.class, "vbd"));
	check(!strcmp(o.state_dir, "/run/xenblkd"));
	check_eq(o.buffer_mib, 16);
	check_eq(o.max_queues, 0);
	check_eq(o.nr_reactors, 1);
	check_eq(o.nr_cpus, 0);
	check_eq(o.log_level, LOG_LEVEL_INFO);
	check(!o.help && !o.version);
}

static void refuses_and_says_what_was_expected(void)
{
	static const struct {
		const char *word, *says;
	} bad[] = {
		{ "--nonsense", "no option \"--nonsense\"" },
		{ "--clas=vbd", "no option \"--clas\"" },
		{ "stray", "\"stray\" is no option" },
		{ "--poll-us", "needs a value" },
		{ "--poll-us=", "expected a number from 0 to 1000000" },
		{ "--poll-us=1x", "expected a number" },
		{ "--poll-us= 1", "expected a number" },
		{ "--buffer-mib=0", "from 2 to 64" },
		{ "--buffer-mib=99999999999999999999", "from 2 to 64" },
		{ "--reactors=0", "from 1 to 16" },
		{ "--reactors=17", "from 1 to 16" },
		{ "--cpu=", "expected a number from 0 to 4095" },
		{ "--cpu=1,", "expected a number from 0 to 4095" },
		{ "--cpu=1,x", "expected a number from 0 to 4095" },
		{ "--cpu=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "more than 16 CPUs" },
		{ "--max-queues=0", "from 1 to 16" },
		{ "--max-queues=17", "from 1 to 16" },
		{ "--class=a/b", "expected a name" },
		{ "--class=", "expected a name" },
		{ "--state-dir=run", "expected an absolute path" },
		{ "--log-level=loud", "expected error, warning, info or debug" },
		{ "--help=yes", "takes no value" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		check_eq(PARSE(&o, &e, (char *)bad[i].word), -EINVAL);
		check(strstr(e.text, bad[i].says));
	}
}

static void leaves_the_result_alone_on_failure(void)
{
	o.buffer_mib = 7;
	check_eq(PARSE(&o, &e, "--buffer-mib=9", "--nonsense"), -EINVAL);
	check_eq(o.buffer_mib, 7);
}

int main(void)
{
	tap_run(takes_a_value_behind_or_beside);
	tap_run(has_a_reactor_for_each_cpu);
	tap_run(cpus_fit_to_reactors);
	tap_run(has_defaults);
	tap_run(refuses_and_says_what_was_expected);
	tap_run(leaves_the_result_alone_on_failure);
	return tap_end();
}
