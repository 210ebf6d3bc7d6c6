/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * point - places between two stores where a daemon that is built for tests can be killed.
 *
 * What survives a kill depends on the order of stores (doc/recovery.md). A build with -Dpoints=true
 * dies where it is told to, so that each place is visited and not only those where most time is spent:
 *
 *   XENBLKD_POINTS=list        prints the places, numbered from 0, and ends
 *   XENBLKD_POINTS=die:K:N     dies by SIGKILL when it passes place K for the Nth time; it says where
 *   XENBLKD_POINTS=die:any:N   likewise, at the Nth passing of any place
 *   XENBLKD_POINTS=die:K:N:M   at whichever of both comes first: no place K, but M of any
 *   XENBLKD_POINTS=unexecuted  answers what was in flight without carrying it out: a defect, for tests
 *                              that have to find it
 *
 * One that was to die and has not within 30 s ends by SIGALRM. In any other build none of this exists.
 */
#ifndef XENBLKD_POINT_H
#define XENBLKD_POINT_H

#include <stdbool.h>

#ifdef XENBLKD_POINTS

struct point {
	const char *function;
	int line;
} __attribute__((aligned(16)));

void point_pass(const struct point *p);
bool point_unexecuted(void);

#define POINT()                                                                           \
	do {                                                                              \
		static const struct point here                                            \
			__attribute__((section("points"), used)) = { __func__, __LINE__ }; \
		point_pass(&here);                                                        \
	} while (0)

#else

#define POINT() ((void)0)

static inline bool point_unexecuted(void)
{
	return false;
}

#endif

#endif
