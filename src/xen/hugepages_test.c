/* SPDX-License-Identifier: BSD-2-Clause */
#include "hugepages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

static void nothing_is_left_of_nothing(void)
{
	char dir[] = "/tmp/hugepages-XXXXXX";

	check(mkdtemp(dir));
	check_eq(hugepages_release(dir), 0);
	check_eq(rmdir(dir), 0);
	/* Nor of a directory that is not there. */
	check_eq(hugepages_release(dir), 0);
}

static void what_cannot_be_had_has_a_reason(void)
{
	struct error why = { "" };
	void *base = NULL;

	check(hugepages_create("/nowhere/at/all", 1, &base, &why) < 0);
	check(!base);
	check(strstr(why.text, "/nowhere/at/all"));
}

static void what_a_dead_process_had_is_released(void)
{
	char dir[] = "/tmp/hugepages-XXXXXX";
	struct error why = { "" };
	void *base;
	int fd;

	check(mkdtemp(dir));
	if (hugepages_create(dir, 1, &base, &why)) {
		rmdir(dir);
		skip("there are no hugepages to be had");
	}
	memset(base, 0xee, HUGEPAGES_BYTES);
	fd = hugepages_pin(base, 1, &why);
	check(fd >= 0);
	hugepages_unpin(fd);
	munmap(base, HUGEPAGES_BYTES);
	check(rmdir(dir) < 0);
	check_eq(hugepages_release(dir), 1);
	check_eq(rmdir(dir), 0);
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
	tap_run(nothing_is_left_of_nothing);
	tap_run(what_cannot_be_had_has_a_reason);
	tap_run(what_a_dead_process_had_is_released);
	return tap_end();
}
