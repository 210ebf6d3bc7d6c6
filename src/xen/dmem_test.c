/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmem.h"

#include <string.h>
#include <sys/mman.h>

#include "tap.h"

#define NR_PAGES 4u
#define PAGE	 DMEM_PAGE_BYTES

/* With a page on either side that is not of the region. */
static uint8_t space[(NR_PAGES + 2) * PAGE] __attribute__((aligned(4096)));
#define memory (space + PAGE)

static uint64_t bus[NR_PAGES] = { 0x5000, 0x9000, 0x1000000000, 0x2000 };

/* An address where nothing is, as the window has. */
#define WINDOW ((uint8_t *)(1ull << 45))

static struct dmem granted = { .base = memory, .nr_pages = NR_PAGES, .bus = bus, .window = WINDOW };
static struct dmem hugepages = { .base = memory, .nr_pages = NR_PAGES, .bus = bus };
static struct dmem ordinary = { .base = memory, .nr_pages = NR_PAGES };

static void each_page_has_its_address(void)
{
	for (uint32_t i = 0; i < NR_PAGES; i++) {
		check_eq(dmem_bus(&granted, memory + i * PAGE), bus[i]);
		check_eq(dmem_bus(&hugepages, memory + i * PAGE + 511), bus[i] + 511);
	}
}

static void what_is_not_of_the_region_has_none(void)
{
	check(dmem_bus(&granted, memory + NR_PAGES * PAGE) == DMEM_NO_BUS);
	check(dmem_bus(&granted, memory - 1) == DMEM_NO_BUS);
	check(dmem_bus(&hugepages, memory + NR_PAGES * PAGE) == DMEM_NO_BUS);
	check(dmem_bus(&hugepages, memory - 1) == DMEM_NO_BUS);
}

static void window_stands_for_addresses(void)
{
	uint8_t *at = dmem_window(&granted, 0x123456789);

	check(at == WINDOW + 0x123456789);
	check_eq(dmem_bus(&granted, at), 0x123456789);
	check(dmem_window(&granted, (1ull << DMEM_WINDOW_BITS) - 1));
	check(!dmem_window(&granted, 1ull << DMEM_WINDOW_BITS));
}

/* A program's own low addresses are no bus addresses of anything. */
static void without_a_window_no_pointer_stands_for_one(void)
{
	check(!dmem_has_window(&hugepages));
	check(!dmem_window(&hugepages, 0x1000));
	check(dmem_bus(&hugepages, (void *)0x401000) == DMEM_NO_BUS);
	check(dmem_bus(&hugepages, NULL) == DMEM_NO_BUS);
}

static void ordinary_memory_has_none(void)
{
	check(!dmem_has_bus(&ordinary));
	check(dmem_bus(&ordinary, memory) == DMEM_NO_BUS);
}

/* Pages with these numbers on the bus, each with its number in it. */
static bool open_pages(struct dmem *d, uint64_t *numbers, uint32_t nr)
{
	*d = (struct dmem){ .kind = DMEM_GRANTED, .nr_pages = nr, .bus = numbers };
	d->base = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (d->base == MAP_FAILED)
		return false;
	for (uint32_t i = 0; i < nr; i++) {
		memset(d->base + i * PAGE, (int)numbers[i], PAGE);
		numbers[i] *= PAGE;
	}
	return true;
}

/* Return: how many pages have in them what their address says. */
static uint32_t right_pages(const struct dmem *d)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < d->nr_pages; i++)
		nr += d->base[i * PAGE] == d->bus[i] / PAGE &&
		      d->base[i * PAGE + PAGE - 1] == d->bus[i] / PAGE;
	return nr;
}

static uint32_t run_from(const struct dmem *d, uint32_t page)
{
	uint32_t n = 1;

	while (page + n < d->nr_pages && d->bus[page + n] == d->bus[page] + n * PAGE)
		n++;
	return n;
}

static void neighbours_on_the_bus_become_neighbours(void)
{
	uint64_t numbers[] = { 9, 3, 20, 8, 2, 30, 1, 7, 40, 4, 50, 10, 21, 60, 22, 70 };
	struct dmem d;

	check(open_pages(&d, numbers, 16));
	check_eq(dmem_line_up(&d, d.base, 16, 8, 4), 0);
	check_eq(right_pages(&d), 16);
	check_eq(d.bus[0], PAGE);
	check_eq(run_from(&d, 0), 4);
	check_eq(run_from(&d, 4), 4);
	munmap(d.base, 16 * PAGE);
}

static void what_is_in_pieces_is_less_than_was_asked_for(void)
{
	uint64_t numbers[] = { 2, 9, 1, 30, 31, 3, 50, 40 };
	struct dmem d;

	check(open_pages(&d, numbers, 8));
	check_eq(dmem_line_up(&d, d.base, 8, 8, 3), 0);
	check_eq(right_pages(&d), 8);
	check_eq(run_from(&d, 0), 3);
	munmap(d.base, 8 * PAGE);
}

static void where_there_are_no_pieces_nothing_moves(void)
{
	uint64_t numbers[] = { 8, 6, 4, 2 };
	struct dmem d;

	check(open_pages(&d, numbers, 4));
	check_eq(dmem_line_up(&d, d.base, 4, 4, 2), 0);
	check_eq(right_pages(&d), 4);
	check_eq(d.bus[0], 8 * PAGE);
	munmap(d.base, 4 * PAGE);
}

int main(void)
{
	tap_run(each_page_has_its_address);
	tap_run(what_is_not_of_the_region_has_none);
	tap_run(window_stands_for_addresses);
	tap_run(without_a_window_no_pointer_stands_for_one);
	tap_run(ordinary_memory_has_none);
	tap_run(neighbours_on_the_bus_become_neighbours);
	tap_run(what_is_in_pieces_is_less_than_was_asked_for);
	tap_run(where_there_are_no_pieces_nothing_moves);
	return tap_end();
}
