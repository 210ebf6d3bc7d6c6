/* SPDX-License-Identifier: BSD-2-Clause */
#include "point.h"

#ifdef XENBLKD_POINTS

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define POINT_STUCK_SECONDS 30

/* Made by the linker, of what POINT() has put into the section. */
extern const struct point __start_points[], __stop_points[];

static struct {
	const struct point *at; /* NULL: any */
	long nr; /* passings of it to go */
	long nr_any; /* of any place */
	bool unexecuted;
} plan = { .nr = LONG_MAX, .nr_any = LONG_MAX };

static void list(void)
{
	for (const struct point *p = __start_points; p < __stop_points; p++)
		printf("%td %s:%d\n", p - __start_points, p->function, p->line);
	exit(EXIT_SUCCESS);
}

__attribute__((constructor)) static void read_plan(void)
{
	const char *text = getenv("XENBLKD_POINTS");
	long at;

	if (!text)
		return;
	if (!strcmp(text, "list"))
		list();
	plan.unexecuted = !strcmp(text, "unexecuted");
	if (sscanf(text, "die:any:%ld", &plan.nr_any) != 1 &&
	    sscanf(text, "die:%ld:%ld:%ld", &at, &plan.nr, &plan.nr_any) >= 2)
		plan.at = __start_points + at;
	/* One that does not come so far is stuck: another signal than that which is expected. */
	if (!strncmp(text, "die:", 4))
		alarm(POINT_STUCK_SECONDS);
}

void point_pass(const struct point *p)
{
	bool here = plan.at == p && !__atomic_sub_fetch(&plan.nr, 1, __ATOMIC_RELAXED);

	if (__atomic_sub_fetch(&plan.nr_any, 1, __ATOMIC_RELAXED) && !here)
		return;
	dprintf(STDERR_FILENO, "died at %td %s:%d\n", p - __start_points, p->function, p->line);
	/* Of the whole process, by a call that a confined one may make. */
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGKILL);
	__builtin_trap();
}

bool point_unexecuted(void)
{
	return plan.unexecuted;
}

#endif
