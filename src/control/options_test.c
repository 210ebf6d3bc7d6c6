/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* A configuration file with @text, parsed behind nothing or @words. */
static int parse_file(const char *text, mode_t mode, char *word)
{
	char path[] = "/tmp/options_test.XXXXXX", option[64];
	int fd = mkstemp(path), err;

	if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchmod(fd, mode))
		return -errno;
	close(fd);
	snprintf(option, sizeof(option), "--config=%s", path);
	err = word ? PARSE(&o, &e, option, word) : PARSE(&o, &e, option);
	unlink(path);
	return err;
}

static void reads_a_file(void)
{
	check_eq(parse_file("# all\n\n  poll-us =70\t# short\r\ncpu=1,none\n"
			    "state-dir = /run/x#y\nuser = nobody",
			    0644, NULL),
		 0);
	check_eq(o.poll_us, 70);
	check_eq(o.nr_reactors, 2);
	check(!strcmp(o.state_dir, "/run/x#y"));
	check(!strcmp(o.user, "nobody"));
	check_eq(o.buffer_mib, 16);
}

static void words_win_over_environment_over_file(void)
{
	setenv("XENBLKD_POLL_US", "2", 1);
	setenv("XENBLKD_LOG_LEVEL", "error", 1);
	check_eq(parse_file("poll-us = 1\nlog-level = debug\nmax-queues = 7\n", 0644,
			    "--poll-us=3"),
		 0);
	check_eq(o.poll_us, 3);
	check_eq(o.log_level, LOG_LEVEL_ERROR);
	check_eq(o.max_queues, 7);
	unsetenv("XENBLKD_LOG_LEVEL");
	check_eq(parse_file("", 0644, NULL), 0);
	check_eq(o.poll_us, 2);
	setenv("XENBLKD_POLL_US", "soon", 1);
	check_eq(parse_file("", 0644, NULL), -EINVAL);
	check(!!strstr(e.text, "XENBLKD_POLL_US is \"soon\", expected a number"));
	unsetenv("XENBLKD_POLL_US");
}

static void refuses_a_file_and_names_the_line(void)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "\n# x\npoll-us = soon\n", ":3: poll-us is \"soon\", expected a number" },
		{ "poll = 1\n", ":1: there is no setting \"poll\"" },
		{ "help = yes\n", ":1: there is no setting \"help\"" },
		{ "config = /x\n", ":1: there is no setting \"config\"" },
		{ "[daemon]\n", ":1: found \"[daemon]\", expected NAME = VALUE" },
		{ "= 3\n", ":1: found \"= 3\", expected NAME = VALUE" },
		{ "poll-us =  # none\n", ":1: poll-us has no value" },
		{ "poll-us = 1\npoll-us = 1\n", ":2: poll-us stands in line 1 already" },
		{ "transfer = fast\n", ":1: transfer: the transfer is \"fast\", expected auto" },
		{ "confine = maybe\n", ":1: confine is \"maybe\", expected yes, kill or no" },
		{ "reactors = 3\ncpu = 1\n", ":2: cpu names 1 CPUs, expected one for each of 3" },
		{ "\x01\x02\n", "expected NAME = VALUE" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		check_eq(parse_file(bad[i].text, 0644, NULL), -EINVAL);
		check(strstr(e.text, bad[i].says));
	}
}

static void refuses_what_is_no_safe_file(void)
{
	check_eq(parse_file("", 0666, NULL), -EPERM);
	check(!!strstr(e.text, "of mode 0666: others may write to it; expected 0644"));
	check_eq(PARSE(&o, &e, "--config=/tmp"), -EISDIR);
	check_eq(PARSE(&o, &e, "--config=/nowhere/x"), -ENOENT);
	check(!!strstr(e.text, "cannot open /nowhere/x"));
	check_eq(PARSE(&o, &e, "--config=/nowhere/x", "--help"), 0);
}

static int nr_kept;

static void count_kept(const char *place, const char *old, const char *anew)
{
	nr_kept++;
	check(!strcmp(place, "--class"));
	check(!strcmp(old, "vbd"));
	check(!strcmp(anew, "vbd3"));
}

static void reloads_what_may_change(void)
{
	struct options now;

	check_eq(PARSE(&now, &e, "--poll-us=5"), 0);
	check_eq(PARSE(&o, &e, "--class=vbd3", "--log-level=debug", "--transfer=direct"), 0);
	options_reload(&now, &o, count_kept);
	check_eq(nr_kept, 1);
	check(!strcmp(now.class, "vbd"));
	check_eq(now.log_level, LOG_LEVEL_DEBUG);
	check_eq(now.transfer.direct_from_bytes, 0);
	check_eq(now.poll_us, -1);
}

/* What is shown is a file that says the same. */
static void shows_what_it_reads(void)
{
	struct options once;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	check_eq(parse_file("poll-us = 9\ncpu = 0,none\n", 0644, "--transfer=auto:4096"), 0);
	once = o;
	options_show(&once, f);
	fclose(f);
	check(!!strstr(text, "poll-us = 9 # line 1\n"));
	check(!!strstr(text, "transfer = auto:4096 # command line\n"));
	check(!!strstr(text, "# buffer-mib = 16\n"));
	check_eq(parse_file(text, 0644, NULL), 0);
	check_eq(o.poll_us, 9);
	check_eq(o.nr_cpus, 2);
	check_eq(o.transfer.direct_from_bytes, 4096);
	free(text);
}

static void leaves_the_result_alone_on_failure(void)
{
	o.buffer_mib = 7;
	check_eq(PARSE(&o, &e, "--buffer-mib=9", "--nonsense"), -EINVAL);
	check_eq(o.buffer_mib, 7);
}

int main(void)
{
	/* Whatever is configured where this runs. */
	setenv("XENBLKD_CONFIG", "/dev/null", 1);
	tap_run(takes_a_value_behind_or_beside);
	tap_run(has_a_reactor_for_each_cpu);
	tap_run(cpus_fit_to_reactors);
	tap_run(has_defaults);
	tap_run(refuses_and_says_what_was_expected);
	tap_run(reads_a_file);
	tap_run(words_win_over_environment_over_file);
	tap_run(refuses_a_file_and_names_the_line);
	tap_run(refuses_what_is_no_safe_file);
	tap_run(reloads_what_may_change);
	tap_run(shows_what_it_reads);
	tap_run(leaves_the_result_alone_on_failure);
	return tap_end();
}
