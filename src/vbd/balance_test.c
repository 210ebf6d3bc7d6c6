/* SPDX-License-Identifier: BSD-2-Clause */
/* Which queue goes where, by what its reactor has to do. */
#include "balance.h"

#include "tap.h"

#define NR(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

static struct balance_move move;

static bool choose(uint32_t a, uint32_t b, const struct balance_queue *queues, uint32_t nr)
{
	const uint32_t busy[] = { a, b };

	return balance_choose(busy, 2, queues, nr, &move);
}

static void nothing_moves_while_all_can_do_their_work(void)
{
	const struct balance_queue queues[] = { { 0, 50 }, { 0, 50 } };

	check(!choose(84, 0, queues, NR(queues)));
	check(!choose(100, 61, queues, NR(queues)));
	check(choose(85, 0, queues, NR(queues)));
}

static void one_of_two_goes_to_who_is_free(void)
{
	const struct balance_queue queues[] = { { 1, 50 }, { 1, 50 }, { 0, 3 } };

	check(choose(5, 100, queues, NR(queues)));
	check_eq(queues[move.queue].reactor, 1);
	check_eq(move.to, 0);
}

static void the_one_that_leaves_both_equally_busy(void)
{
	const struct balance_queue queues[] = { { 0, 10 }, { 0, 70 }, { 0, 40 }, { 0, 5 } };

	check(choose(100, 20, queues, NR(queues)));
	check_eq(move.queue, 2);
}

/* It would be the same on the other side, and come back. */
static void who_has_it_all_stays(void)
{
	const struct balance_queue queues[] = { { 0, 100 }, { 1, 10 } };

	check(!choose(100, 0, queues, 1));
	check(!choose(100, 10, queues, NR(queues)));
}

static void who_asks_for_nothing_stays(void)
{
	const struct balance_queue queues[] = { { 0, 0 }, { 0, 100 }, { 0, 0 } };

	check(!choose(100, 0, queues, NR(queues)));
	check(!choose(100, 0, queues, 0));
}

static void of_several_the_busiest_gives_to_the_freest(void)
{
	const struct balance_queue queues[] = { { 0, 1 }, { 2, 50 }, { 2, 50 }, { 1, 1 } };
	const uint32_t busy[] = { 50, 10, 99, 90 };

	check(balance_choose(busy, 4, queues, NR(queues), &move));
	check_eq(queues[move.queue].reactor, 2);
	check_eq(move.to, 1);
}

int main(void)
{
	tap_run(nothing_moves_while_all_can_do_their_work);
	tap_run(one_of_two_goes_to_who_is_free);
	tap_run(the_one_that_leaves_both_equally_busy);
	tap_run(who_has_it_all_stays);
	tap_run(who_asks_for_nothing_stays);
	tap_run(of_several_the_busiest_gives_to_the_freest);
	return tap_end();
}
