/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap - what a unit test prints: the Test Anything Protocol. For foo_test.c files alone.
 *
 * A test is a function named as the behaviour it shows; within it, each check() that fails prints
 * where and ends that test; skip() ends one that cannot run here. A file's main() is a list of
 * tap_run(test) and return tap_end().
 */
#ifndef XENBLKD_TAP_H
#define XENBLKD_TAP_H

#include <stdbool.h>
#include <stdio.h>

static int tap_count, tap_failures;
static bool tap_test_failed;
static const char *tap_skip_reason;

/* check - ends the running test as failed unless @cond holds. */
#define check(cond)                                                                 \
	do {                                                                        \
		if (!(cond)) {                                                      \
			printf("# %s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
			tap_test_failed = true;                                     \
			return;                                                     \
		}                                                                   \
	} while (0)

/* check_eq - the same for two integers, which it prints. */
#define check_eq(got, want)                                                                      \
	do {                                                                                     \
		long long got_ = (long long)(got), want_ = (long long)(want);                    \
		if (got_ != want_) {                                                             \
			printf("# %s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, #got, \
			       got_, want_);                                                     \
			tap_test_failed = true;                                                  \
			return;                                                                  \
		}                                                                                \
	} while (0)

/* skip - ends the running test, which cannot be run here. */
#define skip(reason)                        \
	do {                                \
		tap_skip_reason = (reason); \
		return;                     \
	} while (0)

#define tap_run(test) tap_run_named(test, #test)

static inline void tap_run_named(void (*test)(void), const char *name)
{
	tap_test_failed = false;
	tap_skip_reason = NULL;
	test();
	tap_failures += tap_test_failed;
	printf("%sok %d - %s%s%s\n", tap_test_failed ? "not " : "", ++tap_count, name,
	       tap_skip_reason ? " # SKIP " : "", tap_skip_reason ? tap_skip_reason : "");
	fflush(stdout);
}

static inline int tap_end(void)
{
	printf("1..%d\n", tap_count);
	return tap_failures ? 1 : 0;
}

#endif
