/* SPDX-License-Identifier: BSD-2-Clause */
#include "stamp.h"

#include <string.h>

#include "tap.h"

static const struct stamp stamp = { .sector = 1000, .generation = 5, .run = 77 };
static uint8_t mem[STAMP_BYTES];
static struct stamp found;

static enum stamp_verdict verdict(uint64_t sector, uint32_t oldest, uint32_t newest)
{
	return stamp_check(mem, 77, sector, oldest, newest, &found);
}

static void finds_what_was_written(void)
{
	stamp_write(mem, &stamp);
	check_eq(verdict(1000, 5, 5), STAMP_GOOD);
	check(found.sector == 1000 && found.generation == 5 && found.run == 77);
	check_eq(verdict(1000, 3, 9), STAMP_GOOD);
	check_eq(verdict(1000, 0, 5), STAMP_GOOD);
}

static void tells_what_is_wrong(void)
{
	stamp_write(mem, &stamp);
	check_eq(verdict(1001, 5, 5), STAMP_MISPLACED);
	check_eq(verdict(1000, 6, 6), STAMP_STALE);
	check_eq(verdict(1000, 4, 4), STAMP_EARLY);
	check_eq(stamp_check(mem, 78, 1000, 5, 5, &found), STAMP_FOREIGN);
	memset(mem, 0, sizeof(mem));
	check_eq(verdict(1000, 1, 5), STAMP_FOREIGN);
}

static void takes_anything_foreign_where_nothing_was_written(void)
{
	memset(mem, 0, sizeof(mem));
	check_eq(verdict(1000, 0, 0), STAMP_GOOD);
	stamp_write(mem, &stamp);
	check_eq(verdict(1001, 0, 0), STAMP_MISPLACED);
	check_eq(verdict(1000, 0, 0), STAMP_EARLY);
}

static void each_byte_counts(void)
{
	for (size_t i = 0; i < STAMP_BYTES; i++) {
		stamp_write(mem, &stamp);
		mem[i] ^= 0x10;
		check(verdict(1000, 5, 5) != STAMP_GOOD);
	}
}

static void two_generations_in_one_sector_are_torn(void)
{
	struct stamp next = { .sector = 1000, .generation = 6, .run = 77 };
	uint8_t other[STAMP_BYTES];

	stamp_write(other, &next);
	for (size_t cut = 24; cut < STAMP_BYTES; cut += 8) {
		stamp_write(mem, &stamp);
		memcpy(mem + cut, other + cut, STAMP_BYTES - cut);
		check_eq(verdict(1000, 5, 6), STAMP_TORN);
	}
}

static uint8_t page[4096];

static void pattern_shows_the_first_byte_touched(void)
{
	pattern_fill(page, 0, sizeof(page));
	check_eq(pattern_check(page, 0, sizeof(page)), sizeof(page));
	for (size_t i = 0; i < sizeof(page); i++) {
		page[i] ^= 1;
		check_eq(pattern_check(page, 0, sizeof(page)), i);
		page[i] ^= 1;
	}
}

static void pattern_is_another_everywhere(void)
{
	pattern_fill(page, 0, sizeof(page));
	memcpy(page + 512, page, 512);
	check(pattern_check(page, 512, 512) < 8);
	check_eq(pattern_check(page, 1024, 3072), 3072);
}

int main(void)
{
	tap_run(finds_what_was_written);
	tap_run(tells_what_is_wrong);
	tap_run(takes_anything_foreign_where_nothing_was_written);
	tap_run(each_byte_counts);
	tap_run(two_generations_in_one_sector_are_torn);
	tap_run(pattern_shows_the_first_byte_touched);
	tap_run(pattern_is_another_everywhere);
	return tap_end();
}
