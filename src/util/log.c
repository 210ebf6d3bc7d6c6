/* SPDX-License-Identifier: BSD-2-Clause */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "text.h"

static const struct {
	enum log_level level;
	const char *name;
} levels[] = {
	{ LOG_LEVEL_ERROR, "error" },
	{ LOG_LEVEL_WARNING, "warning" },
	{ LOG_LEVEL_INFO, "info" },
	{ LOG_LEVEL_DEBUG, "debug" },
};

#define NR_LEVELS (sizeof(levels) / sizeof(levels[0]))

static _Atomic enum log_level log_level = LOG_LEVEL_INFO;

static _Thread_local bool log_hushed;

void log_hush(bool hushed)
{
	log_hushed = hushed;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_level, level, memory_order_relaxed);
}

int log_level_parse(const char *name, enum log_level *level)
{
	for (size_t i = 0; i < NR_LEVELS; i++) {
		if (!strcmp(levels[i].name, name)) {
			*level = levels[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

static int line_start(char *line, size_t size, enum log_level level)
{
	const char *name = "";
	struct timespec ts;
	struct tm tm;
	size_t n;

	if (getenv("JOURNAL_STREAM"))
		return snprintf(line, size, "<%d>", level);

	for (size_t i = 0; i < NR_LEVELS; i++) {
		if (levels[i].level == level)
			name = levels[i].name;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	n = strftime(line, size, "%Y-%m-%d %H:%M:%S", &tm);
	return (int)n + snprintf(line + n, size - n, ".%03ld %s: ", ts.tv_nsec / 1000000, name);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n, m;

	if (level > atomic_load_explicit(&log_level, memory_order_relaxed) ||
	    (log_hushed && level > LOG_LEVEL_ERROR))
		return;

	n = line_start(line, sizeof(line), level);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	text_printable(line + n);
	n += m;
	if (n > (int)sizeof(line) - 1)
		n = (int)sizeof(line) - 1;
	line[n++] = '\n';
	/* A log that cannot be written has nowhere to say so. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

bool log_allowed(struct log_limit *l, uint64_t now_ns)
{
	if (!l->window_start_ns || now_ns - l->window_start_ns >= LOG_LIMIT_WINDOW_S * NS_PER_S) {
		l->window_start_ns = now_ns;
		l->lines = 0;
	}
	if (l->lines >= LOG_LIMIT_BURST) {
		l->suppressed++;
		return false;
	}
	l->lines++;
	return true;
}
