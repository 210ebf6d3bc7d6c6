/* SPDX-License-Identifier: BSD-2-Clause */
#include "prp.h"

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
static uint64_t list[PRP_LIST_ENTRIES];
static struct dmem dmem;
static struct nvme_sqe sqe;

/* What one command gets of @iov: its bytes; its entries are in sqe and list. */
static int64_t gather(struct iovec *iov, uint32_t nr, struct nvme_cursor *at, uint32_t limit,
		      uint32_t block)
{
	struct prp prp;
	int64_t n;

	if (iov)
		*at = (struct nvme_cursor){ .iov = iov, .nr_iov = nr };
	memset(list, 0xee, sizeof(list));
	memset(&sqe, 0xee, sizeof(sqe));
	prp_begin(&prp, list);
	n = prp_gather(&prp, &dmem, at, limit, block);
	prp_end(&prp, LIST_BUS, &sqe);
	return n;
}

static void setup(void)
{
	for (uint32_t i = 0; i < NR_PAGES; i++)
		bus[i] = BUS_OF(i);
	dmem.base = memory;
	dmem.nr_pages = NR_PAGES;
	dmem.bus = bus;
	/* A window in which addresses are what they stand for. */
	dmem.window = (uint8_t *)(1ull << 45);
}

static void one_page_is_one_entry(void)
{
	struct iovec iov = { AT(3, 0), PAGE };
	struct nvme_cursor at;

	check_eq(gather(&iov, 1, &at, NO_LIMIT, 512), PAGE);
	check_eq(sqe.prp1, BUS_OF(3));
	check_eq(sqe.prp2, 0);
}

static void first_entry_has_an_offset(void)
{
	struct iovec iov = { AT(3, 512), PAGE };
	struct nvme_cursor at;

	check_eq(gather(&iov, 1, &at, NO_LIMIT, 512), PAGE);
	check_eq(sqe.prp1, BUS_OF(3) + 512);
	check_eq(sqe.prp2, BUS_OF(4));
}

static void two_pages_are_two_entries_without_a_list(void)
{
	struct iovec iov[] = { { AT(3, 0), PAGE }, { AT(9, 0), 512 } };
	struct nvme_cursor at;

	check_eq(gather(iov, 2, &at, NO_LIMIT, 512), PAGE + 512);
	check_eq(sqe.prp1, BUS_OF(3));
	check_eq(sqe.prp2, BUS_OF(9));
}

static void three_pages_are_a_list(void)
{
	struct iovec iov[] = { { AT(3, 3584), 512 }, { AT(9, 0), PAGE }, { AT(1, 0), 1024 } };
	struct nvme_cursor at;

	check_eq(gather(iov, 3, &at, NO_LIMIT, 512), 512 + PAGE + 1024);
	check_eq(sqe.prp1, BUS_OF(3) + 3584);
	check_eq(sqe.prp2, LIST_BUS);
	check_eq(list[0], BUS_OF(9));
	check_eq(list[1], BUS_OF(1));
	check_eq(list[2], 0xeeeeeeeeeeeeeeeell);
}

static void pieces_that_follow_within_a_page_are_one_entry(void)
{
	struct iovec iov[] = {
		{ AT(3, 512), 512 }, { AT(3, 1024), 512 }, { AT(3, 1536), 2560 }, { AT(4, 0), 512 }
	};
	struct nvme_cursor at;

	check_eq(gather(iov, 4, &at, NO_LIMIT, 512), 4096);
	check_eq(sqe.prp1, BUS_OF(3) + 512);
	check_eq(sqe.prp2, BUS_OF(4));
}

static void hole_in_the_middle_begins_another_command(void)
{
	struct iovec iov[] = { { AT(3, 0), PAGE }, { AT(4, 512), 512 }, { AT(5, 0), PAGE } };
	struct nvme_cursor at;

	check_eq(gather(iov, 3, &at, NO_LIMIT, 512), PAGE);
	check_eq(sqe.prp1, BUS_OF(3));
	check_eq(gather(NULL, 0, &at, NO_LIMIT, 512), 512);
	check_eq(sqe.prp1, BUS_OF(4) + 512);
	check_eq(gather(NULL, 0, &at, NO_LIMIT, 512), PAGE);
	check_eq(sqe.prp1, BUS_OF(5));
	check_eq(at.nr_iov == 0 || at.done_bytes == PAGE, true);
}

static void each_of_scattered_sectors_is_a_command(void)
{
	struct iovec iov[] = { { AT(3, 0), 512 }, { AT(3, 1024), 512 }, { AT(2, 512), 512 } };
	struct nvme_cursor at;

	check_eq(gather(iov, 3, &at, NO_LIMIT, 512), 512);
	check_eq(gather(NULL, 0, &at, NO_LIMIT, 512), 512);
	check_eq(gather(NULL, 0, &at, NO_LIMIT, 512), 512);
	check_eq(sqe.prp1, BUS_OF(2) + 512);
	check_eq(sqe.prp2, 0);
}

static void limit_splits_within_a_page(void)
{
	struct iovec iov = { AT(3, 0), 3 * PAGE };
	struct nvme_cursor at;

	check_eq(gather(&iov, 1, &at, PAGE + 512, 512), PAGE + 512);
	check_eq(sqe.prp2, BUS_OF(4));
	check_eq(gather(NULL, 0, &at, 2 * PAGE - 512, 512), 2 * PAGE - 512);
	check_eq(sqe.prp1, BUS_OF(4) + 512);
	check_eq(sqe.prp2, BUS_OF(5));
}

static void list_is_filled_to_its_end_and_no_further(void)
{
	struct iovec iov = { AT(0, 512), (PRP_LIST_ENTRIES + 4) * PAGE };
	struct nvme_cursor at;

	check_eq(gather(&iov, 1, &at, PRP_MAX_BYTES, 512), PRP_MAX_BYTES);
	check_eq(sqe.prp1, BUS_OF(0) + 512);
	check_eq(sqe.prp2, LIST_BUS);
	check_eq(list[PRP_LIST_ENTRIES - 1], BUS_OF(PRP_LIST_ENTRIES));
	/* Were there no limit, the list would be one. */
	check_eq(gather(&iov, 1, &at, PRP_MAX_BYTES + 2 * PAGE, 512),
		 (PRP_LIST_ENTRIES + 1) * PAGE - 512);
}

static void large_blocks_are_not_torn(void)
{
	struct iovec iov[] = { { AT(3, 0), PAGE }, { AT(4, 0), 512 }, { AT(5, 512), 3584 } };
	struct iovec odd[] = { { AT(3, 512), 3584 }, { AT(4, 0), PAGE }, { AT(5, 0), 512 } };
	struct nvme_cursor at;

	check_eq(gather(iov, 3, &at, NO_LIMIT, 4096), PAGE);
	check_eq(sqe.prp1, BUS_OF(3));
	check_eq(sqe.prp2, 0);
	check_eq(gather(NULL, 0, &at, NO_LIMIT, 4096), -EINVAL);
	check_eq(gather(odd, 3, &at, NO_LIMIT, 4096), 2 * PAGE);
}

static void empty_entries_are_stepped_over(void)
{
	struct iovec iov[] = {
		{ AT(3, 0), 0 }, { AT(3, 0), PAGE }, { NULL, 0 }, { AT(4, 0), 512 }
	};
	struct nvme_cursor at;

	check_eq(gather(iov, 4, &at, NO_LIMIT, 512), PAGE + 512);
}

static void the_window_is_taken_untouched(void)
{
	struct iovec iov[] = { { dmem_window(&dmem, 0xabc000 + 512), 3584 },
			       { dmem_window(&dmem, 0x123000), 1024 } };
	struct nvme_cursor at;

	check_eq(gather(iov, 2, &at, NO_LIMIT, 512), 4608);
	check_eq(sqe.prp1, 0xabc200);
	check_eq(sqe.prp2, 0x123000);
}

static void memory_without_an_address_is_refused(void)
{
	static uint8_t ordinary[512];
	struct iovec iov[] = { { AT(3, 0), PAGE }, { ordinary, 512 } };
	struct iovec past = { AT(NR_PAGES - 1, 0), 2 * PAGE };
	struct nvme_cursor at;

	check_eq(gather(iov, 2, &at, NO_LIMIT, 512), -EFAULT);
	check_eq(gather(&past, 1, &at, NO_LIMIT, 512), -EFAULT);
	check_eq(gather(iov, 0, &at, NO_LIMIT, 512), -EINVAL);
}

/* Where one entry ends in bytes, as a controller would follow them: what is moved, and whither. */
static bool follow(int64_t bytes, uint64_t *addresses, uint32_t *nr)
{
	uint64_t at = sqe.prp1;
	uint32_t entry = 0, entries;
	int64_t first = PAGE - (int64_t)(at % PAGE);

	entries = bytes <= first ? 0 : (uint32_t)((bytes - first + PAGE - 1) / PAGE);
	for (int64_t done = 0; done < bytes; done += 512) {
		if (done && at % PAGE == 0)
			at = entries == 1 ? sqe.prp2 : list[entry++];
		if (done && at % 512)
			return false;
		addresses[(*nr)++] = at;
		at += 512;
	}
	return entries < 2 || sqe.prp2 == LIST_BUS;
}

/* Sectors at random places: whatever the split, each goes where the iovec says, in order. */
static void random_memory_is_moved_sector_by_sector(void)
{
	static uint64_t want[4096], got[4096];

	srand(7);
	for (int round = 0; round < 3000; round++) {
		struct iovec iov[12];
		uint32_t nr = 1 + (uint32_t)rand() % 12, nr_want = 0, nr_got = 0;
		struct nvme_cursor at;
		int64_t n = 0;

		for (uint32_t i = 0; i < nr; i++) {
			uint32_t page = (uint32_t)rand() % (NR_PAGES - 4);
			uint32_t first = rand() % 3 ? 0 : (uint32_t)rand() % 8;
			uint32_t count = rand() % 2 ? 8 - first : 1 + (uint32_t)rand() % 20;

			iov[i] = (struct iovec){ AT(page, 512 * first), 512 * (size_t)count };
			for (uint32_t j = first; j < first + count; j++)
				want[nr_want++] = BUS_OF(page + j / 8) + 512 * (j % 8);
		}
		for (uint32_t left = nr_want; left; left -= (uint32_t)n / 512) {
			uint32_t limit = 512 * (1 + (uint32_t)rand() % left);

			n = gather(left == nr_want ? iov : NULL, nr, &at, limit, 512);
			check(n > 0 && n <= limit && n % 512 == 0);
			check(follow(n, got, &nr_got));
		}
		check_eq(nr_got, nr_want);
		check(!memcmp(got, want, nr_want * sizeof(*want)));
	}
}

int main(void)
{
	setup();
	tap_run(one_page_is_one_entry);
	tap_run(first_entry_has_an_offset);
	tap_run(two_pages_are_two_entries_without_a_list);
	tap_run(three_pages_are_a_list);
	tap_run(pieces_that_follow_within_a_page_are_one_entry);
	tap_run(hole_in_the_middle_begins_another_command);
	tap_run(each_of_scattered_sectors_is_a_command);
	tap_run(limit_splits_within_a_page);
	tap_run(list_is_filled_to_its_end_and_no_further);
	tap_run(large_blocks_are_not_torn);
	tap_run(empty_entries_are_stepped_over);
	tap_run(the_window_is_taken_untouched);
	tap_run(memory_without_an_address_is_refused);
	tap_run(random_memory_is_moved_sector_by_sector);
	return tap_end();
}
