/* SPDX-License-Identifier: BSD-2-Clause */
#include "sgl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

#define PAGE	   NVME_PAGE_BYTES
#define NR_PAGES   160u
#define LIST_BUS   0x7000ull
#define NO_LIMIT   PRP_MAX_BYTES
#define BUS_OF(n)  (0x100000ull + (uint64_t)(n)*2 * PAGE) /* no two are neighbours */
#define AT(n, off) (memory + (size_t)(n)*PAGE + (off))

static uint8_t memory[NR_PAGES * PAGE] __attribute__((aligned(4096)));
static uint64_t bus[NR_PAGES];
static struct nvme_sgl list[SGL_ENTRIES];
static struct sgl sgl = { .list = list };
static struct dmem dmem;

static void setup(void)
{
	for (uint32_t i = 0; i < NR_PAGES; i++)
		bus[i] = BUS_OF(i);
	dmem.base = memory;
	dmem.nr_pages = NR_PAGES;
	dmem.bus = bus;
	dmem.window = (uint8_t *)(1ull << 45);
}

static int64_t gather(struct iovec *iov, uint32_t nr, struct nvme_cursor *at, uint32_t limit,
		      uint32_t block)
{
	if (iov)
		*at = (struct nvme_cursor){ .iov = iov, .nr_iov = nr };
	memset(list, 0xee, sizeof(list));
	return sgl_gather(&sgl, &dmem, at, limit, block);
}

static void check_entry(uint32_t i, uint64_t address, uint32_t len_bytes)
{
	static const uint8_t zeroes[3];

	check_eq(list[i].address, address);
	check_eq(list[i].len_bytes, len_bytes);
	check_eq(list[i].type, NVME_SGL_DATA_BLOCK);
	check(!memcmp(list[i].reserved, zeroes, sizeof(zeroes)));
}

static void hole_in_the_middle_is_three_entries(void)
{
	struct iovec iov[] = { { AT(3, 0), PAGE }, { AT(4, 512), 512 }, { AT(5, 0), PAGE } };
	struct nvme_cursor at;

	check_eq(gather(iov, 3, &at, NO_LIMIT, 512), 2 * PAGE + 512);
	check_eq(sgl.nr, 3);
	check_entry(0, BUS_OF(3), PAGE);
	check_entry(1, BUS_OF(4) + 512, 512);
	check_entry(2, BUS_OF(5), PAGE);
}

static void command_names_the_list(void)
{
	struct iovec iov[] = { { AT(3, 512), 512 }, { AT(4, 512), 512 } };
	struct nvme_cursor at;
	struct nvme_sqe sqe = { 0 };

	check_eq(gather(iov, 2, &at, NO_LIMIT, 512), 1024);
	sgl_end(&sgl, LIST_BUS, &sqe);
	check_eq(sqe.flags, 0x40);
	check_eq(sqe.prp1, LIST_BUS);
	check_eq(sqe.prp2, 0x3000000000000020ull);
}

static void single_piece_stands_in_the_command(void)
{
	struct iovec iov[] = { { AT(3, 512), 512 }, { AT(3, 1024), 1024 } };
	struct nvme_cursor at;
	struct nvme_sqe sqe = { 0 };

	check_eq(gather(iov, 2, &at, NO_LIMIT, 512), 1536);
	check_eq(sgl.nr, 1);
	sgl_end(&sgl, LIST_BUS, &sqe);
	check_eq(sqe.flags, 0x40);
	check_eq(sqe.prp1, BUS_OF(3) + 512);
	check_eq(sqe.prp2, 1536);
}

static void neighbours_are_one_entry_across_pages(void)
{
	uint64_t was = bus[8];
	struct iovec iov = { AT(7, 512), 2 * PAGE - 512 };
	struct nvme_cursor at;

	bus[8] = bus[7] + PAGE;
	check_eq(gather(&iov, 1, &at, NO_LIMIT, 512), 2 * PAGE - 512);
	check_eq(sgl.nr, 1);
	check_entry(0, BUS_OF(7) + 512, 2 * PAGE - 512);
	bus[8] = was;
}

static void list_is_filled_to_its_end_and_no_further(void)
{
	struct iovec iov[SGL_ENTRIES + 2];
	struct nvme_cursor at;

	for (uint32_t i = 0; i < SGL_ENTRIES + 2; i++)
		iov[i] = (struct iovec){ AT(i, 512), 512 };
	check_eq(gather(iov, SGL_ENTRIES + 2, &at, NO_LIMIT, 512), SGL_ENTRIES * 512);
	check_entry(SGL_ENTRIES - 1, BUS_OF(SGL_ENTRIES - 1) + 512, 512);
	check_eq(gather(NULL, 0, &at, NO_LIMIT, 512), 1024);
	check_entry(0, BUS_OF(SGL_ENTRIES) + 512, 512);
}

static void large_blocks_are_made_of_pieces_and_not_torn(void)
{
	struct iovec iov[SGL_ENTRIES + 8];
	struct nvme_cursor at;
	uint32_t nr = 0;

	/* Seven pieces, so that the list is full within a block. */
	for (uint32_t i = 0; i < 3 * 7; i++)
		iov[nr++] = (struct iovec){ AT(i, 512), i % 7 ? 512 : 1024 };
	check_eq(gather(iov, nr, &at, NO_LIMIT, 4096), 3 * 4096);
	check_eq(sgl.nr, 21);
	for (nr = 0; nr < SGL_ENTRIES + 6; nr++)
		iov[nr] = (struct iovec){ AT(nr, 512), nr % 7 ? 512 : 1024 };
	check_eq(gather(iov, nr, &at, NO_LIMIT, 4096), 9 * 4096);
	check_eq(sgl.nr, 63);
	check_eq(gather(NULL, 0, &at, NO_LIMIT, 4096), 4096);
	check_entry(0, BUS_OF(63) + 512, 1024);
	iov[0] = (struct iovec){ AT(0, 0), 512 };
	check_eq(gather(iov, 1, &at, NO_LIMIT, 4096), -EINVAL);
}

static void memory_without_an_address_is_refused(void)
{
	static uint8_t elsewhere[PAGE] __attribute__((aligned(4096)));
	struct iovec iov[] = { { AT(3, 0), 512 }, { elsewhere, 512 } };
	struct nvme_cursor at;

	check_eq(gather(iov, 2, &at, NO_LIMIT, 512), -EFAULT);
}

static void random_memory_is_moved_sector_by_sector(void)
{
	srand(7);
	for (int round = 0; round < 3000; round++) {
		struct iovec iov[12];
		uint64_t want[512], got[512];
		uint32_t nr = 1 + (uint32_t)rand() % 12, nr_want = 0, nr_got = 0;
		struct nvme_cursor at;

		for (uint32_t i = 0; i < nr; i++) {
			uint32_t page = (uint32_t)rand() % (NR_PAGES - 4);
			uint32_t first = (uint32_t)rand() % 8, count = 1 + (uint32_t)rand() % 20;

			iov[i] = (struct iovec){ AT(page, 512 * first), 512 * (size_t)count };
			for (uint32_t j = first; j < first + count; j++)
				want[nr_want++] = BUS_OF(page + j / 8) + 512 * (j % 8);
		}
		for (uint32_t left = nr_want; left;) {
			uint32_t limit = 512 * (1 + (uint32_t)rand() % left);
			int64_t n = gather(left == nr_want ? iov : NULL, nr, &at, limit, 512);

			check(n == limit);
			for (uint32_t i = 0; i < sgl.nr; i++) {
				for (uint32_t b = 0; b < list[i].len_bytes; b += 512)
					got[nr_got++] = list[i].address + b;
			}
			left -= limit / 512;
			check_eq(nr_got, nr_want - left);
		}
		check(!memcmp(got, want, nr_want * sizeof(*want)));
	}
}

int main(void)
{
	setup();
	tap_run(hole_in_the_middle_is_three_entries);
	tap_run(command_names_the_list);
	tap_run(single_piece_stands_in_the_command);
	tap_run(neighbours_are_one_entry_across_pages);
	tap_run(list_is_filled_to_its_end_and_no_further);
	tap_run(large_blocks_are_made_of_pieces_and_not_torn);
	tap_run(memory_without_an_address_is_refused);
	tap_run(random_memory_is_moved_sector_by_sector);
	return tap_end();
}
