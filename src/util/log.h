/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log - lines to standard error, or to the journal if that is where standard error goes.
 *
 * One line is one write(2), so lines of several threads do not mix, and has no control characters,
 * whoever wrote its words. Under systemd (JOURNAL_STREAM is set) each line carries its priority as
 * "<N>"; elsewhere it carries time and level in words.
 *
 * Nothing that a guest can cause at will is logged without a bound; see log_limit.
 *
 * Thread: any.
 */
#ifndef XENBLKD_LOG_H
#define XENBLKD_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* The values are those of syslog(3), which the journal understands. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/* log_set_level - lines above @level are dropped; LOG_LEVEL_INFO until called. */
void log_set_level(enum log_level level);

/**
 * log_level_parse - the level of that name
 *
 * Return: 0 and *@level, or -EINVAL if @name is none of error, warning, info, debug.
 */
int log_level_parse(const char *name, enum log_level *level);

/*
 * log_hush - whether this thread's lines are dropped, but for errors
 *
 * For what says something each time it is done, and that a guest has done again and again.
 */
void log_hush(bool hushed);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * log_limit - a bound on the lines that one source (a guest) can cause: LOG_LIMIT_BURST in a
 * window of LOG_LIMIT_WINDOW_S. All zero is a fresh one.
 */
struct log_limit {
	uint64_t window_start_ns;
	uint32_t lines;
	uint32_t suppressed;
};

#define LOG_LIMIT_BURST	   10
#define LOG_LIMIT_WINDOW_S 60

/* log_allowed - true if @l has room for one more line at @now_ns; counts it. */
bool log_allowed(struct log_limit *l, uint64_t now_ns);

#endif
