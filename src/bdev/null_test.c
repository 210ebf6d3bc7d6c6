/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <sys/mman.h>

#include "dmem.h"
#include "test_contract.h"

static void size_is_bytes_or_has_a_suffix(void)
{
	static const struct {
		const char *uri;
		uint64_t size_bytes;
	} sizes[] = {
		{ "null:512", 512 },
		{ "null:1536", 1536 },
		{ "null:1K", 1024 },
		{ "null:3M", 3 << 20 },
		{ "null:64G", (uint64_t)64 << 30 },
		{ "null:2T", (uint64_t)2 << 40 },
		{ "null:16777215T", (uint64_t)16777215 << 40 },
	};
	struct bdev *bdev;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		check_eq(open_uri(sizes[i].uri, false, &bdev, NULL), 0);
		check_eq(bdev->info.size_bytes, sizes[i].size_bytes);
		bdev_close(bdev);
	}
}

static void refuses_what_is_not_a_size(void)
{
	static const char *const uris[] = {
		"null:",	"null:G",	"null:1GB",  "null:1 G",   "null: 1G",
		"null:-512",	"null:+512",	"null:1.5G", "null:0x200", "null:1k",
		"null:1P",	"null:1G ",	"null:,dma", "null:1Gdma", "null:1G,dm",
		"null:1G,dma ", "null:1,G,dma",
	};

	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++)
		check(open_fails(uris[i], false, EINVAL,
				 "is not a size; expected digits and at most one of K, M, G, T"));
	check(open_fails("null:1GB", false, EINVAL, "null:1GB"));
}

static void refuses_a_size_that_no_disk_has(void)
{
	check(open_fails("null:0", false, EINVAL, "is 0 bytes; expected a multiple of 512"));
	check(open_fails("null:0G", false, EINVAL, "is 0 bytes; expected a multiple of 512"));
	check(open_fails("null:511", false, EINVAL, "is 511 bytes; expected a multiple of 512"));
	check(open_fails("null:16777216T", false, ERANGE, "larger than 64 bits"));
	check(open_fails("null:18446744073709551616", false, ERANGE, "larger than 64 bits"));
}

static void has_secure_discards_if_asked_to(void)
{
	struct bdev *bdev;

	check_eq(open_uri("null:1G,secure", false, &bdev, NULL), 0);
	check(bdev->info.discard_secure);
	bdev_close(bdev);
	check_eq(open_uri("null:1G,secure", true, &bdev, NULL), 0);
	check(!bdev->info.discard_secure);
	bdev_close(bdev);
	check_eq(open_uri("null:1G", false, &bdev, NULL), 0);
	check(!bdev->info.discard_secure);
	bdev_close(bdev);
	check(open_fails("null:1G,secure,dma", false, EINVAL, "is not a size"));
}

static void an_empty_tray_has_no_size(void)
{
	struct bdev *bdev;

	check_eq(open_uri("null:empty", true, &bdev, NULL), 0);
	check_eq(bdev->info.size_bytes, 0);
	bdev_close(bdev);
	check(open_fails("null:empty,dma", true, EINVAL, "is not a size"));
}

static void takes_bus_addresses_if_asked_to_and_if_there_are_any(void)
{
	size_t window_bytes = (size_t)1 << DMEM_WINDOW_BITS;
	struct dmem dmem = { .window = mmap(NULL, window_bytes, PROT_NONE,
					    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) };
	struct bdev_open_args args = { .dmem = &dmem };
	struct rig rig;

	check(dmem.window != MAP_FAILED);
	check_eq(open_uri("null:1G,dma", false, &rig.bdev, NULL), 0);
	check(!rig.bdev->info.dma);
	bdev_close(rig.bdev);
	check_eq(bdev_open("null:1G", &args, &rig.bdev, NULL), 0);
	check(!rig.bdev->info.dma);
	bdev_close(rig.bdev);

	check_eq(bdev_open("null:512,dma", &args, &rig.bdev, NULL), 0);
	check(rig.bdev->info.dma);
	check_eq(rig.bdev->info.size_bytes, 512);
	check_eq(rig.bdev->ops->channel_create(rig.bdev, 1, &rig.ch), 0);
	/* It would not survive to touch them. */
	check_eq(run(&rig, BDEV_READ, 0, dmem_window(&dmem, 4096), 512), 0);
	check_eq(run(&rig, BDEV_WRITE, 0, dmem_window(&dmem, window_bytes - 512), 512), 0);
	rig_close(&rig);
	munmap(dmem.window, window_bytes);
}

static void says_whether_it_is_read_only(void)
{
	struct bdev *bdev;

	check_eq(open_uri("null:1G", true, &bdev, NULL), 0);
	check(bdev->info.read_only);
	bdev_close(bdev);
	check_eq(open_uri("null:1G", false, &bdev, NULL), 0);
	check(!bdev->info.read_only);
	bdev_close(bdev);
}

static void forgets_what_is_written(void)
{
	static char memory[4096] __attribute__((aligned(512)));
	struct rig rig;

	check(rig_open(&rig, "null:1G", false, 1));
	memset(memory, 0x55, sizeof(memory));
	check_eq(run(&rig, BDEV_WRITE, 0, memory, sizeof(memory)), 0);
	check(all_bytes_are(memory, 0x55, sizeof(memory)));
	check_eq(run(&rig, BDEV_READ, 0, memory, sizeof(memory)), 0);
	check(all_bytes_are(memory, 0, sizeof(memory)));
	rig_close(&rig);
}

static void reads_leave_no_stale_byte(void)
{
	contract_reads_leave_no_stale_byte("null:64K");
}

static void completes_from_poll_alone(void)
{
	contract_completes_from_poll_alone("null:64K");
}

static void refuses_more_than_depth_and_loses_none(void)
{
	contract_refuses_more_than_depth_and_loses_none("null:64K");
}

static void done_may_submit_again(void)
{
	contract_done_may_submit_again("null:64K");
}

static void flush_completes(void)
{
	contract_flush_completes("null:64K");
}

static void fua_write_completes(void)
{
	contract_fua_write_completes("null:64K");
}

static void discard_leaves_its_neighbours(void)
{
	contract_discard_leaves_its_neighbours("null:64K");
}

int main(void)
{
	tap_run(size_is_bytes_or_has_a_suffix);
	tap_run(refuses_what_is_not_a_size);
	tap_run(refuses_a_size_that_no_disk_has);
	tap_run(says_whether_it_is_read_only);
	tap_run(has_secure_discards_if_asked_to);
	tap_run(an_empty_tray_has_no_size);
	tap_run(takes_bus_addresses_if_asked_to_and_if_there_are_any);
	tap_run(forgets_what_is_written);
	tap_run(reads_leave_no_stale_byte);
	tap_run(completes_from_poll_alone);
	tap_run(refuses_more_than_depth_and_loses_none);
	tap_run(done_may_submit_again);
	tap_run(flush_completes);
	tap_run(fua_write_completes);
	tap_run(discard_leaves_its_neighbours);
	return tap_end();
}
