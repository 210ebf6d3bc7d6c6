/* SPDX-License-Identifier: BSD-2-Clause */
#include "histogram.h"

#include "tap.h"

static struct histogram h, other;

static void empty_one_is_all_zero(void)
{
	h = (struct histogram){ 0 };
	check_eq(histogram_percentile(&h, 50), 0);
	check_eq(histogram_mean(&h), 0);
}

static void one_value_is_every_percentile(void)
{
	static const uint64_t values[] = {
		0, 1, 31, 32, 63, 64, 12345, 1ull << 39, UINT64_MAX >> 8
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		h = (struct histogram){ 0 };
		histogram_add(&h, values[i]);
		check(histogram_percentile(&h, 0.1) == values[i]);
		check(histogram_percentile(&h, 100) == values[i]);
		check(h.min == values[i] && h.max == values[i]);
	}
}

static void percentiles_are_near(void)
{
	static const struct {
		double percent;
		uint64_t value;
	} wanted[] = {
		{ 1, 10000 }, { 50, 500000 }, { 90, 900000 }, { 99, 990000 }, { 99.9, 999000 }
	};

	h = (struct histogram){ 0 };
	for (uint64_t ns = 1; ns <= 1000000; ns++)
		histogram_add(&h, ns);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		uint64_t is = histogram_percentile(&h, wanted[i].percent);

		check(is >= wanted[i].value && is <= wanted[i].value + wanted[i].value / 32 + 1);
	}
	check_eq(histogram_mean(&h), 500000);
	check_eq(histogram_percentile(&h, 100), 1000000);
}

/* A value is in a bucket whose end is not below it, and not further up than 1/32. */
static void every_bucket_holds_what_it_says(void)
{
	for (uint64_t ns = 1; ns < 1ull << 39; ns += ns / 97 + 1) {
		uint64_t end;

		h = (struct histogram){ 0 };
		histogram_add(&h, ns);
		histogram_add(&h, 1ull << 45);
		end = histogram_percentile(&h, 50);
		check(end >= ns && end <= ns + ns / 32);
	}
}

static void merged_is_as_if_added(void)
{
	h = other = (struct histogram){ 0 };
	histogram_add(&h, 100);
	histogram_merge(&h, &other);
	check(h.count == 1 && h.min == 100);
	histogram_add(&other, 7);
	histogram_add(&other, 5000);
	histogram_merge(&h, &other);
	check(h.count == 3 && h.min == 7 && h.max == 5000 && h.sum == 5107);
	check_eq(histogram_percentile(&h, 34), 101);
	other = (struct histogram){ 0 };
	histogram_merge(&other, &h);
	check(other.count == 3 && other.min == 7);
}

int main(void)
{
	tap_run(empty_one_is_all_zero);
	tap_run(one_value_is_every_percentile);
	tap_run(percentiles_are_near);
	tap_run(every_bucket_holds_what_it_says);
	tap_run(merged_is_as_if_added);
	return tap_end();
}
