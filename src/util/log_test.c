/* SPDX-License-Identifier: BSD-2-Clause */
#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "tap.h"

/* What log_line() writes for @text. */
static void logged(const char *text, char *out, size_t size)
{
	int ends[2], before = dup(STDERR_FILENO);
	ssize_t n = -1;

	if (!pipe(ends)) {
		dup2(ends[1], STDERR_FILENO);
		log_warning("1/xvda: %s", text);
		dup2(before, STDERR_FILENO);
		close(ends[1]);
		n = read(ends[0], out, size - 1);
		close(ends[0]);
	}
	close(before);
	out[n < 0 ? 0 : n] = '\0';
}

static void says_level_and_words_in_a_line(void)
{
	char line[256];

	logged("words", line, sizeof(line));
	check(strstr(line, "warning: 1/xvda: words\n"));
}

static void marks_priority_for_the_journal(void)
{
	char line[256];

	setenv("JOURNAL_STREAM", "8:1", 1);
	logged("words", line, sizeof(line));
	unsetenv("JOURNAL_STREAM");
	check(!strcmp(line, "<4>1/xvda: words\n"));
}

static void keeps_a_guests_words_in_their_line(void)
{
	char line[256];

	logged("x\n<0>\x1b[2Jforged\x7f", line, sizeof(line));
	check(strstr(line, "1/xvda: x?<0>?[2Jforged?\n"));
	check(strchr(line, '\n') == line + strlen(line) - 1);
}

static void says_nothing_while_hushed(void)
{
	char line[256];

	log_hush(true);
	logged("words", line, sizeof(line));
	log_hush(false);
	check(!line[0]);
	logged("words", line, sizeof(line));
	check(strstr(line, "words"));
}

static void error_keeps_a_guests_words_in_their_line(void)
{
	struct error e;

	check_eq(error_set(&e, 5, "protocol \"%s\"", "a\nb\x1b"), -5);
	check(!strcmp(e.text, "protocol \"a?b?\""));
}

static void bounds_lines_of_one_source(void)
{
	struct log_limit l = { 0 };
	uint64_t now_ns = 5 * NS_PER_S;

	for (int i = 0; i < LOG_LIMIT_BURST; i++)
		check(log_allowed(&l, now_ns));
	check(!log_allowed(&l, now_ns));
	check(!log_allowed(&l, now_ns + LOG_LIMIT_WINDOW_S * NS_PER_S - 1));
	check_eq(l.suppressed, 2);
	check(log_allowed(&l, now_ns + LOG_LIMIT_WINDOW_S * NS_PER_S));
}

int main(void)
{
	unsetenv("JOURNAL_STREAM");
	tap_run(says_level_and_words_in_a_line);
	tap_run(marks_priority_for_the_journal);
	tap_run(keeps_a_guests_words_in_their_line);
	tap_run(says_nothing_while_hushed);
	tap_run(error_keeps_a_guests_words_in_their_line);
	tap_run(bounds_lines_of_one_source);
	return tap_end();
}
