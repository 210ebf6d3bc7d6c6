/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counter - a number that one thread writes and any may read while it does.
 *
 * A reader sees each counter as it was at some instant, whole; two of them not necessarily at the same
 * one. Nothing is locked, and nothing costs more than the plain addition.
 */
#ifndef XENBLKD_COUNTER_H
#define XENBLKD_COUNTER_H

#include <stdint.h>

/* Thread: the writer's. */
static inline void counter_add(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

/* Thread: the writer's. */
static inline void counter_set(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, n, __ATOMIC_RELAXED);
}

/* Thread: any. */
static inline uint64_t counter_read(const uint64_t *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}

#endif
