/* SPDX-License-Identifier: BSD-2-Clause */
#include "histogram.h"

#define SUB (1u << HISTOGRAM_SUB_BITS)

static uint32_t bucket_of(uint64_t ns)
{
	uint32_t shift;

	if (ns < SUB)
		return (uint32_t)ns;
	if (ns >> HISTOGRAM_MAX_BITS)
		return HISTOGRAM_BUCKETS - 1;
	/* The highest bit and the SUB_BITS below it name the bucket. */
	shift = 63u - (uint32_t)__builtin_clzll(ns) - HISTOGRAM_SUB_BITS;
	return (shift << HISTOGRAM_SUB_BITS) + (uint32_t)(ns >> shift);
}

static uint64_t upper_end(uint32_t bucket)
{
	uint32_t shift;

	if (bucket < 2 * SUB)
		return bucket;
	shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
	return ((bucket - (shift << HISTOGRAM_SUB_BITS) + 1ull) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
	if (!h->count || ns < h->min)
		h->min = ns;
	if (ns > h->max)
		h->max = ns;
	h->count++;
	h->sum += ns;
	h->buckets[bucket_of(ns)]++;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	if (!from->count)
		return;
	if (!to->count || from->min < to->min)
		to->min = from->min;
	if (from->max > to->max)
		to->max = from->max;
	to->count += from->count;
	to->sum += from->sum;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->buckets[i] += from->buckets[i];
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
	double rank = (double)h->count * percent / 100;
	uint64_t seen = 0;

	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen && (double)seen >= rank) {
			uint64_t end = upper_end(i);

			/* The last bucket has no end. */
			return end < h->max && i + 1 < HISTOGRAM_BUCKETS ? end : h->max;
		}
	}
	return h->max;
}
