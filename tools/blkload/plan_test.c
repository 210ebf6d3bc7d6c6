/* SPDX-License-Identifier: BSD-2-Clause */
#include "plan.h"

#include "tap.h"

static struct plan random_plan(void)
{
	return (struct plan){ .random_state = 42,
			      .first = 1000,
			      .nr_sectors = 999,
			      .min_sectors = 1,
			      .max_sectors = 80,
			      .align_sectors = 8,
			      .random = true,
			      .read_percent = 50 };
}

static void stays_in_its_part_and_aligned(void)
{
	struct plan p = random_plan();
	uint64_t last = 0, kinds[OP_NR_KINDS] = { 0 };

	for (int i = 0; i < 10000; i++) {
		struct op op;

		plan_next(&p, &op);
		kinds[op.kind]++;
		check(op.nr_sectors >= 1 && op.nr_sectors <= 80);
		check(op.sector >= 1000 && op.sector + op.nr_sectors <= 1999);
		check_eq((op.sector - 1000) % 8, 0);
		last = op.sector + op.nr_sectors > last ? op.sector + op.nr_sectors : last;
	}
	/* It comes to the end, and mixes. */
	check(last > 1990);
	check(kinds[OP_READ] > 4500 && kinds[OP_WRITE] > 4500);
	check_eq(kinds[OP_READ] + kinds[OP_WRITE], 10000);
}

static void same_seed_same_requests(void)
{
	struct plan a = random_plan(), b = random_plan();

	for (int i = 0; i < 100; i++) {
		struct op x, y;

		plan_next(&a, &x);
		plan_next(&b, &y);
		check(x.kind == y.kind && x.sector == y.sector && x.nr_sectors == y.nr_sectors);
	}
}

static void sequential_goes_through_and_begins_again(void)
{
	struct plan p = { .first = 100,
			  .nr_sectors = 20,
			  .min_sectors = 8,
			  .max_sectors = 8,
			  .align_sectors = 8,
			  .read_percent = 100 };
	static const uint64_t wanted[] = { 100, 108, 100, 108 };

	for (int i = 0; i < 4; i++) {
		struct op op;

		plan_next(&p, &op);
		check_eq(op.sector, wanted[i]);
		check_eq(op.kind, OP_READ);
	}
}

static void every_nth_is_something_else(void)
{
	struct plan p = random_plan();
	static const enum op_kind wanted[] = { OP_READ,	 OP_READ, OP_FLUSH,   OP_BARRIER, OP_READ,
					       OP_FLUSH, OP_READ, OP_BARRIER, OP_FLUSH };

	p.read_percent = 100;
	p.flush_every = 2;
	p.barrier_every = 3;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		struct op op;

		plan_next(&p, &op);
		check_eq(op.kind, wanted[i]);
		check(op.kind != OP_FLUSH || (!op.sector && !op.nr_sectors));
	}
}

static void conflict_is_overlap_with_a_write(void)
{
	const struct op read = { OP_READ, 10, 10 }, write = { OP_WRITE, 19, 2 },
			behind = { OP_WRITE, 20, 5 }, flush = { OP_FLUSH, 0, 0 },
			discard = { OP_DISCARD, 0, 11 };

	check(op_conflict(&read, &write) && op_conflict(&write, &read));
	check(!op_conflict(&read, &read));
	check(!op_conflict(&read, &behind) && !op_conflict(&behind, &read));
	check(op_conflict(&write, &behind));
	check(op_conflict(&discard, &read) && !op_conflict(&discard, &write));
	check(!op_conflict(&flush, &discard) && !op_conflict(&discard, &flush));
}

static uint32_t sectors_of(const struct extent *e, uint32_t nr)
{
	uint32_t sectors = 0;

	for (uint32_t i = 0; i < nr; i++)
		sectors += e[i].last - e[i].first + 1u;
	return sectors;
}

static void pages_are_full_but_the_last(void)
{
	struct extent e[11];

	check_eq(layout_pages(1, e), 1);
	check(e[0].first == 0 && e[0].last == 0);
	check_eq(layout_pages(8, e), 1);
	check_eq(e[0].last, 7);
	check_eq(layout_pages(81, e), 11);
	check_eq(e[10].last, 0);
	check_eq(sectors_of(e, 11), 81);
}

static void random_layout_holds_all_and_not_more_segments(void)
{
	uint64_t random = 1;

	for (uint32_t sectors = 1; sectors <= 88; sectors++) {
		for (int turn = 0; turn < 100; turn++) {
			struct extent e[11];
			uint32_t nr = layout_random(&random, sectors, 11, e);

			check(nr >= 1 && nr <= 11);
			check_eq(sectors_of(e, nr), sectors);
			for (uint32_t i = 0; i < nr; i++)
				check(e[i].first <= e[i].last && e[i].last <= 7);
		}
	}
}

int main(void)
{
	tap_run(stays_in_its_part_and_aligned);
	tap_run(same_seed_same_requests);
	tap_run(sequential_goes_through_and_begins_again);
	tap_run(every_nth_is_something_else);
	tap_run(conflict_is_overlap_with_a_write);
	tap_run(pages_are_full_but_the_last);
	tap_run(random_layout_holds_all_and_not_more_segments);
	return tap_end();
}
