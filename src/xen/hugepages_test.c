/* SPDX-License-Identifier: BSD-2-Clause */
#include "hugepages.h"

#include "tap.h"

#define PRESENT	   (1ull << 63)
#define SWAPPED	   (1ull << 62)
#define SOFT_DIRTY (1ull << 55)
#define EXCLUSIVE  (1ull << 56)

static void frame_is_an_address(void)
{
	check_eq(hugepages_bus_of(PRESENT | 0x12345), 0x12345000);
}

static void flags_are_no_part_of_the_address(void)
{
	check_eq(hugepages_bus_of(PRESENT | SOFT_DIRTY | EXCLUSIVE | 0x80200), 0x80200000);
}

static void hidden_frame_is_none(void)
{
	check_eq(hugepages_bus_of(PRESENT | EXCLUSIVE), 0);
}

static void page_that_is_not_there_has_none(void)
{
	check_eq(hugepages_bus_of(0x12345), 0);
	check_eq(hugepages_bus_of(SWAPPED | 0x12345), 0);
}

static void limit_is_raised_by_what_is_wanted(void)
{
	check_eq(hugepages_limit(0, 0, 0, 10), 10);
}

static void limit_counts_what_exists(void)
{
	check_eq(hugepages_limit(4, 4, 0, 10), 14);
	/* Beyond a limit that was lowered since. */
	check_eq(hugepages_limit(0, 7, 0, 10), 17);
}

static void pages_set_aside_are_taken_first(void)
{
	check_eq(hugepages_limit(0, 0, 10, 10), 0);
	check_eq(hugepages_limit(0, 0, 4, 10), 6);
	check_eq(hugepages_limit(0, 0, 64, 10), 0);
}

static void limit_is_never_lowered(void)
{
	check_eq(hugepages_limit(100, 0, 0, 10), 100);
	check_eq(hugepages_limit(100, 95, 0, 10), 105);
}

int main(void)
{
	tap_run(frame_is_an_address);
	tap_run(flags_are_no_part_of_the_address);
	tap_run(hidden_frame_is_none);
	tap_run(page_that_is_not_there_has_none);
	tap_run(limit_is_raised_by_what_is_wanted);
	tap_run(limit_counts_what_exists);
	tap_run(pages_set_aside_are_taken_first);
	tap_run(limit_is_never_lowered);
	return tap_end();
}
