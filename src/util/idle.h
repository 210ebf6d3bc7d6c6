/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * idle - how much of the machine's CPU time is left over.
 *
 * From /proc/stat, so of this domain's CPUs. It is kept open: a process that has been confined needs
 * nothing more.
 *
 * Thread: one at a time.
 */
#ifndef XENBLKD_IDLE_H
#define XENBLKD_IDLE_H

#include <stdint.h>

struct idle {
	int fd; /* of /proc/stat; -1: it cannot be read, and all is idle */
	long ticks; /* a second */
	uint64_t idle, total; /* ticks, when it was looked at */
	uint64_t spun_ns;
};

void idle_open(struct idle *i);
void idle_close(struct idle *i);

/**
 * idle_percent - since the last call, or for the first one since the machine started
 *
 * @spun_ns: time for which we ourselves have polled in vain up to now, which is as good as idle
 *
 * Return: 0 to 100.
 */
uint32_t idle_percent(struct idle *i, uint64_t spun_ns);

/* idle_parse - the first line of /proc/stat. Return: 0, or -EINVAL. */
int idle_parse(const char *line, uint64_t *idle, uint64_t *total);

#endif
