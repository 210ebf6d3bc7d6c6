/* SPDX-License-Identifier: BSD-2-Clause */
#include "idle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

/* user nice system idle iowait irq softirq steal; guests' time is in user. See proc(5). */
#define FIELDS	     8
#define FIELD_IDLE   3
#define FIELD_IOWAIT 4

int idle_parse(const char *line, uint64_t *idle, uint64_t *total)
{
	uint64_t sum = 0, rest = 0;
	char *end;

	if (strncmp(line, "cpu ", 4))
		return -EINVAL;
	line += 4;
	for (int i = 0; i < FIELDS; i++) {
		uint64_t n = strtoull(line, &end, 10);

		if (end == line)
			return -EINVAL;
		line = end;
		sum += n;
		if (i == FIELD_IDLE || i == FIELD_IOWAIT)
			rest += n;
	}
	*idle = rest;
	*total = sum;
	return 0;
}

static int look(const struct idle *i, uint64_t *idle, uint64_t *total)
{
	char line[256];
	ssize_t n = i->fd < 0 ? -1 : pread(i->fd, line, sizeof(line) - 1, 0);

	if (n <= 0)
		return -EIO;
	line[n] = '\0';
	return idle_parse(line, idle, total);
}

void idle_open(struct idle *i)
{
	*i = (struct idle){ .fd = open("/proc/stat", O_RDONLY | O_CLOEXEC),
			    .ticks = sysconf(_SC_CLK_TCK) };
}

void idle_close(struct idle *i)
{
	if (i->fd >= 0)
		close(i->fd);
}

uint32_t idle_percent(struct idle *i, uint64_t spun_ns)
{
	uint64_t idle, total, left, all;

	if (look(i, &idle, &total) || total == i->total)
		return 100;
	all = total - i->total;
	left = idle - i->idle + (spun_ns - i->spun_ns) * (uint64_t)i->ticks / NS_PER_S;
	*i = (struct idle){ i->fd, i->ticks, idle, total, spun_ns };
	return left >= all ? 100 : (uint32_t)(100 * left / all);
}
