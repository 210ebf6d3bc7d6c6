/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram - latencies in buckets of logarithmic width: each is at most 1/32 of its value wide.
 *
 * Thread: none of its own; one writes, and merging is done when it has ended.
 */
#ifndef BLKLOAD_HISTOGRAM_H
#define BLKLOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 5u /* 32 buckets for each power of two */
#define HISTOGRAM_MAX_BITS 40u /* values of 18 minutes and more share the last bucket */
#define HISTOGRAM_BUCKETS  ((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t count, sum, min, max; /* nanoseconds */
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* histogram_add - All zero is an empty histogram. */
void histogram_add(struct histogram *h, uint64_t ns);
void histogram_merge(struct histogram *to, const struct histogram *from);

/**
 * histogram_percentile - the value that @percent of all are at or below
 *
 * Return: the upper end of its bucket, at most the maximum; 0 if there are no values.
 */
uint64_t histogram_percentile(const struct histogram *h, double percent);

static inline uint64_t histogram_mean(const struct histogram *h)
{
	return h->count ? h->sum / h->count : 0;
}

#endif
