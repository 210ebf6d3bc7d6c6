/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmem.h"

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

int main(void)
{
	tap_run(each_page_has_its_address);
	tap_run(what_is_not_of_the_region_has_none);
	tap_run(window_stands_for_addresses);
	tap_run(without_a_window_no_pointer_stands_for_one);
	tap_run(ordinary_memory_has_none);
	return tap_end();
}
