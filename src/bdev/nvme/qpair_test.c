/* SPDX-License-Identifier: BSD-2-Clause */
#include "qpair.h"

#include <errno.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "tap.h"
#include "test_fake.h"

struct request {
	struct bdev_io io;
	struct iovec iov[4];
	int status;
	int nr_done;
};

static void request_done(struct bdev_io *io, int status)
{
	struct request *r = container_of(io, struct request, io);

	r->status = status;
	r->nr_done++;
}

static void request_init(struct request *r, enum bdev_op op, uint64_t offset_bytes, void *base,
			 uint32_t len_bytes)
{
	*r = (struct request){ .io = { .op = op,
				       .offset_bytes = offset_bytes,
				       .len_bytes = len_bytes,
				       .nr_iov = len_bytes ? 1 : 0,
				       .done = request_done } };
	r->iov[0] = (struct iovec){ base, len_bytes };
	r->io.iov = r->iov;
}

/* Return: its status; 1 if it did not end in 20 s. */
static int finish(struct fake *f, struct request *r)
{
	uint64_t deadline_ns = clock_ns() + 20 * NS_PER_S;

	while (!r->nr_done && clock_ns() < deadline_ns)
		disk_poll(f->ch);
	return r->nr_done ? r->status : 1;
}

static int run(struct fake *f, enum bdev_op op, uint64_t offset_bytes, void *base,
	       uint32_t len_bytes)
{
	struct request r;
	int err;

	request_init(&r, op, offset_bytes, base, len_bytes);
	err = disk_submit(f->ch, &r.io);
	if (err || r.nr_done)
		return 2;
	return finish(f, &r);
}

static void does_what_it_is_asked(void)
{
	struct fake *f = fake_start(9, 4);
	void *page = f->dmem.base + 200 * 4096;

	check_eq(disk_poll(f->ch), 0);
	check_eq(run(f, BDEV_READ, 0, page, 4096), 0);
	check_eq(run(f, BDEV_WRITE, (16 << 20) - 512, page, 512), 0);
	check_eq(run(f, BDEV_FLUSH, 0, NULL, 0), 0);
	check_eq(atomic_load(&f->nr_io), 3);
	fake_end(f);
}

static void splits_at_what_one_command_moves(void)
{
	struct fake *f = fake_start(9, 4);

	check_eq(run(f, BDEV_READ, 0, f->dmem.base + 100 * 4096, 65536 + 512), 0);
	check_eq(atomic_load(&f->nr_io), 2);
	fake_end(f);
}

static void keeps_more_requests_than_slots_and_loses_none(void)
{
	enum {
		DEPTH = 200
	};
	static struct request r[DEPTH + 1];
	struct fake *f = fake_start(9, DEPTH);
	void *page = f->dmem.base + 200 * 4096;

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i <= DEPTH; i++) {
			request_init(&r[i], BDEV_READ, 512 * (uint64_t)i, page, 512);
			check_eq(disk_submit(f->ch, &r[i].io), i < DEPTH ? 0 : -EAGAIN);
		}
		for (int i = 0; i < DEPTH; i++) {
			check_eq(finish(f, &r[i]), 0);
			check_eq(r[i].nr_done, 1);
		}
	}
	check_eq(atomic_load(&f->nr_io), 20 * DEPTH);
	fake_end(f);
}

static void nothing_gets_past_the_fence(void)
{
	struct fake *f = fake_start(9, 4);
	void *page = f->dmem.base + 200 * 4096;
	static uint8_t ordinary[512];

	f->disk.first_byte = 1 << 20;
	check_eq(run(f, BDEV_READ, 16 << 20, page, 512), -EIO);
	check_eq(run(f, BDEV_WRITE, (16 << 20) - 512, page, 1024), -EIO);
	check_eq(run(f, BDEV_WRITE, UINT64_MAX - 511, page, 512), -EIO);
	check_eq(run(f, BDEV_WRITE, UINT64_MAX - 511, page, 4096), -EIO);
	check_eq(run(f, BDEV_READ, 0, ordinary, 512), -EFAULT);
	f->disk.bdev.info.read_only = true;
	check_eq(run(f, BDEV_WRITE, 0, page, 512), -EROFS);
	check_eq(atomic_load(&f->nr_io), 0);
	fake_end(f);
}

/* A page, a piece of one, a page: not for PRPs. */
static int run_pieces(struct fake *f)
{
	struct request r;
	uint8_t *base = f->dmem.base + 100 * 4096;

	request_init(&r, BDEV_READ, 0, base, 4096);
	r.iov[1] = (struct iovec){ base + 2 * 4096 + 512, 512 };
	r.iov[2] = (struct iovec){ base + 3 * 4096, 4096 };
	r.io.nr_iov = 3;
	r.io.len_bytes = 2 * 4096 + 512;
	return disk_submit(f->ch, &r.io) ? 2 : finish(f, &r);
}

static void memory_in_pieces_is_one_command_where_there_are_sgls(void)
{
	struct fake *f = fake_start(9, 4);

	check_eq(run_pieces(f), 0);
	check_eq(atomic_load(&f->nr_io), 3);
	check_eq(f->last_sqe.flags, 0);
	f->ctrl.id.sgl = true;
	check_eq(run_pieces(f), 0);
	check_eq(atomic_load(&f->nr_io), 4);
	check_eq(f->last_sqe.flags, NVME_SQE_SGL);
	check_eq(f->last_sqe.cdw12, 16);
	check_eq(run(f, BDEV_READ, 0, f->dmem.base + 100 * 4096, 4096), 0);
	check_eq(f->last_sqe.flags, 0);
	fake_end(f);
}

static int discard(struct fake *f, uint64_t offset_bytes, uint64_t len_bytes)
{
	struct request r;

	request_init(&r, BDEV_DISCARD, offset_bytes, NULL, 0);
	r.io.len_bytes = len_bytes;
	return disk_submit(f->ch, &r.io) ? 2 : finish(f, &r);
}

static void fua_is_a_bit_of_the_write(void)
{
	struct fake *f = fake_start(9, 4);
	struct request r;

	request_init(&r, BDEV_WRITE, 0, f->dmem.base + 100 * 4096, 65536 + 512);
	r.io.fua = true;
	check_eq(disk_submit(f->ch, &r.io), 0);
	check_eq(finish(f, &r), 0);
	check_eq(atomic_load(&f->nr_io), 2);
	check_eq(f->last_sqe.cdw12, NVME_FUA);
	check_eq(run(f, BDEV_WRITE, 0, f->dmem.base + 100 * 4096, 1024), 0);
	check_eq(f->last_sqe.cdw12, 1);
	fake_end(f);
}

static void deallocates_a_range_as_large_as_a_command_takes(void)
{
	struct fake *f = fake_start(9, 4);

	f->disk.discard = DISCARD_DEALLOCATE;
	f->disk.first_byte = 1 << 20;
	check_eq(discard(f, 4096, 8192), 0);
	check_eq(f->last_sqe.opcode, NVME_DATASET_MANAGEMENT);
	check_eq(f->last_sqe.cdw10, 0);
	check_eq(f->last_sqe.cdw11, NVME_DSM_DEALLOCATE);
	check_eq(f->last_range.nr_blocks, 16);
	check_eq(f->last_range.first_block, 2048 + 8);
	check_eq(discard(f, 0, 16 << 20), 0);
	check_eq(atomic_load(&f->nr_io), 1 + 2);
	check_eq(f->last_range.nr_blocks, 1 << 14);
	check_eq(f->last_range.first_block, 2048 + (1 << 14));
	fake_end(f);
}

/* More than 32 bits of bytes, as a guest with a large disk asks for. */
static void deallocates_more_than_4_gib(void)
{
	struct fake *f = fake_start(12, 4);

	f->disk.discard = DISCARD_DEALLOCATE;
	f->disk.bdev.info.size_bytes = 64ull << 40;
	f->ctrl.max_deallocate_blocks = UINT32_MAX;
	check_eq(discard(f, 4096, (64ull << 40) - 4096), 0);
	check_eq(atomic_load(&f->nr_io), 5);
	check_eq(f->last_range.first_block + f->last_range.nr_blocks, 64ull << 28);
	fake_end(f);
}

static void discards_by_zeroes_where_that_is_the_way(void)
{
	struct fake *f = fake_start(9, 4);

	f->disk.discard = DISCARD_ZERO;
	check_eq(discard(f, 512, (1 << 20) + 1024), 0);
	check_eq(atomic_load(&f->nr_io), 2);
	check_eq(f->last_sqe.opcode, NVME_WRITE_ZEROES);
	check_eq(f->last_sqe.cdw10, 1 + 2048);
	check_eq(f->last_sqe.cdw12, NVME_DEALLOCATE | 1);
	f->ctrl.max_zero_bytes = UINT32_MAX;
	f->disk.bdev.info.size_bytes = 64 << 20;
	check_eq(discard(f, 0, 64 << 20), 0);
	check_eq(atomic_load(&f->nr_io), 2 + 2);
	check_eq(f->last_sqe.cdw12, NVME_DEALLOCATE | 0xffff);
	fake_end(f);
}

static void chooses_how_to_discard(void)
{
	struct identify_ns ns = { .block_bytes = 4096, .deallocate_bytes = 65536 };
	struct ctrl ctrl = { .id = { .write_zeroes = true } };
	struct disk d = { .ctrl = &ctrl, .first_byte = 1 << 20 };
	const struct bdev_info *info = &d.bdev.info;

	disk_choose_discard(&d, &ns);
	check_eq(d.discard, DISCARD_NONE);
	check_eq(info->discard_bytes, 0);
	ns.zeroes_deallocate = true;
	disk_choose_discard(&d, &ns);
	check_eq(d.discard, DISCARD_ZERO);
	check_eq(info->discard_bytes, 65536);
	check_eq(info->discard_offset_bytes, 0);
	check(info->discard_zeroes);
	ctrl.id.dataset_management = true;
	d.first_byte += 4096;
	disk_choose_discard(&d, &ns);
	check_eq(d.discard, DISCARD_DEALLOCATE);
	check_eq(info->discard_offset_bytes, 65536 - 4096);
	check(!info->discard_zeroes);
	d = (struct disk){ .ctrl = &ctrl, .bdev.info.read_only = true };
	disk_choose_discard(&d, &ns);
	check_eq(info->discard_bytes, 0);
}

static void no_discard_gets_past_the_fence(void)
{
	struct fake *f = fake_start(9, 4);

	check_eq(discard(f, 0, 512), -EOPNOTSUPP);
	f->disk.discard = DISCARD_DEALLOCATE;
	check_eq(discard(f, 16 << 20, 512), -EIO);
	check_eq(discard(f, (16 << 20) - 512, 1024), -EIO);
	check_eq(discard(f, 512, UINT64_MAX - 511), -EIO);
	f->disk.bdev.info.read_only = true;
	check_eq(discard(f, 0, 512), -EROFS);
	check_eq(atomic_load(&f->nr_io), 0);
	fake_end(f);
}

static void large_blocks_want_alignment(void)
{
	struct fake *f = fake_start(12, 4);
	void *page = f->dmem.base + 200 * 4096;

	check_eq(run(f, BDEV_READ, 512, page, 4096), -EINVAL);
	check_eq(run(f, BDEV_READ, 4096, page, 512), -EINVAL);
	check_eq(run(f, BDEV_READ, 4096, page, 4096), 0);
	check_eq(atomic_load(&f->nr_io), 1);
	fake_end(f);
}

static void without_a_cache_a_flush_is_no_command(void)
{
	struct fake *f = fake_start(9, 4);

	f->disk.bdev.info.flush = false;
	check_eq(run(f, BDEV_FLUSH, 0, NULL, 0), 0);
	check_eq(atomic_load(&f->nr_io), 0);
	fake_end(f);
}

static void what_passes_is_tried_again_and_no_more_than_so_often(void)
{
	struct fake *f = fake_start(9, 4);
	void *page = f->dmem.base + 200 * 4096;

	atomic_store(&f->status, 0x082);
	atomic_store(&f->fail, 2);
	check_eq(run(f, BDEV_READ, 0, page, 512), 0);
	check_eq(atomic_load(&f->nr_io), 3);
	atomic_store(&f->fail, 1000);
	check_eq(run(f, BDEV_READ, 0, page, 512), -EIO);
	check_eq(atomic_load(&f->nr_io), 3 + QPAIR_MAX_TRIES);
	atomic_store(&f->status, 0x082 | NVME_STATUS_DNR);
	check_eq(run(f, BDEV_READ, 0, page, 512), -EIO);
	check_eq(atomic_load(&f->nr_io), 4 + QPAIR_MAX_TRIES);
	fake_end(f);
}

/* All other commands of a request end before it does. */
static void first_error_of_several_commands_counts(void)
{
	struct fake *f = fake_start(9, 4);

	atomic_store(&f->status, 0x081 | NVME_STATUS_DNR);
	atomic_store(&f->fail, 1);
	check_eq(run(f, BDEV_WRITE, 0, f->dmem.base + 100 * 4096, 3 * 65536), -ENOSPC);
	check_eq(run(f, BDEV_WRITE, 0, f->dmem.base + 100 * 4096, 3 * 65536), 0);
	fake_end(f);
}

static void lies(size_t counter)
{
	struct fake *f = fake_start(9, 4);
	void *page = f->dmem.base + 200 * 4096;

	atomic_store((atomic_int *)((char *)f + counter), 1);
	check_eq(run(f, BDEV_READ, 0, page, 512), 0);
	for (int i = 0; i < 300 && atomic_load(&f->nr_enables) < 2; i++) {
		disk_poll(f->ch);
		usleep(10000);
	}
	check_eq(atomic_load(&f->nr_enables), 2);
	check_eq(run(f, BDEV_READ, 0, page, 512), 0);
	fake_end(f);
}

static void an_id_that_was_not_given_resets_it(void)
{
	lies(offsetof(struct fake, bad_cid));
}

static void another_queue_resets_it(void)
{
	lies(offsetof(struct fake, bad_queue));
}

static void a_head_outside_the_queue_resets_it(void)
{
	lies(offsetof(struct fake, bad_head));
}

static void a_second_answer_resets_it(void)
{
	lies(offsetof(struct fake, twice));
}

static void one_that_always_lies_is_given_up(void)
{
	struct fake *f = fake_start(9, 4);

	atomic_store(&f->bad_cid, 1000);
	check_eq(run(f, BDEV_READ, 0, f->dmem.base + 200 * 4096, 512), -EIO);
	fake_end(f);
}

static void what_does_not_end_is_aborted_then_sent_again_after_a_reset(void)
{
	struct fake *f = fake_start(9, 4);

	f->ctrl.timeout_ms = 1000;
	atomic_store(&f->swallow, 1);
	check_eq(run(f, BDEV_WRITE, 0, f->dmem.base + 200 * 4096, 512), 0);
	check(atomic_load(&f->nr_aborts) >= 1);
	check_eq(atomic_load(&f->nr_enables), 2);
	check_eq(atomic_load(&f->nr_io), 2);
	fake_end(f);
}

/* The first is unanswered; until the reset none is sent, and then all is well. */
static void an_unanswered_admin_command_resets_it(void)
{
	struct fake *f = fake_start(9, 4);
	uint64_t deadline_ns = clock_ns() + 20 * NS_PER_S;
	struct identify_ns ns;
	int err;

	f->ctrl.id.nr_namespaces = 1;
	f->ctrl.admin_timeout_ms = 2000;
	atomic_store(&f->swallow_admin, 1);
	check_eq(ctrl_identify_ns(&f->ctrl, 1, &ns, NULL), -ETIMEDOUT);
	do {
		/* Whoever resets it needs the lock too. */
		usleep(1000);
		err = ctrl_identify_ns(&f->ctrl, 1, &ns, NULL);
	} while (err == -ETIMEDOUT && clock_ns() < deadline_ns);
	/* All zeroes, which is what one that is not there looks like. */
	check_eq(err, -ENODEV);
	check_eq(atomic_load(&f->nr_enables), 2);
	check_eq(run(f, BDEV_READ, 0, f->dmem.base + 200 * 4096, 4096), 0);
	fake_end(f);
}

static void one_that_does_not_come_back_fails_all(void)
{
	struct fake *f = fake_start(9, 4);
	void *page = f->dmem.base + 200 * 4096;
	struct bdev_channel *other;

	f->ctrl.timeout_ms = 100;
	f->ctrl.ready_ms = 300;
	atomic_store(&f->swallow, 1);
	atomic_store(&f->stuck, true);
	check_eq(run(f, BDEV_READ, 0, page, 512), -EIO);
	check_eq(run(f, BDEV_READ, 0, page, 512), -EIO);
	check_eq(disk_channel_create(&f->disk.bdev, 1, &other), 0);
	disk_channel_destroy(other);
	fake_end(f);
}

static void one_that_is_gone_fails_all(void)
{
	struct fake *f = fake_start(9, 4);
	void *page = f->dmem.base + 200 * 4096;

	atomic_store(&f->swallow, 1);
	atomic_store(&f->gone, true);
	check_eq(run(f, BDEV_READ, 0, page, 512), -ENODEV);
	check_eq(run(f, BDEV_FLUSH, 0, NULL, 0), -ENODEV);
	fake_end(f);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	tap_run(does_what_it_is_asked);
	tap_run(splits_at_what_one_command_moves);
	tap_run(keeps_more_requests_than_slots_and_loses_none);
	tap_run(nothing_gets_past_the_fence);
	tap_run(memory_in_pieces_is_one_command_where_there_are_sgls);
	tap_run(fua_is_a_bit_of_the_write);
	tap_run(deallocates_a_range_as_large_as_a_command_takes);
	tap_run(deallocates_more_than_4_gib);
	tap_run(discards_by_zeroes_where_that_is_the_way);
	tap_run(chooses_how_to_discard);
	tap_run(no_discard_gets_past_the_fence);
	tap_run(large_blocks_want_alignment);
	tap_run(without_a_cache_a_flush_is_no_command);
	tap_run(what_passes_is_tried_again_and_no_more_than_so_often);
	tap_run(first_error_of_several_commands_counts);
	tap_run(an_id_that_was_not_given_resets_it);
	tap_run(another_queue_resets_it);
	tap_run(a_head_outside_the_queue_resets_it);
	tap_run(a_second_answer_resets_it);
	tap_run(one_that_always_lies_is_given_up);
	tap_run(what_does_not_end_is_aborted_then_sent_again_after_a_reset);
	tap_run(an_unanswered_admin_command_resets_it);
	tap_run(one_that_does_not_come_back_fails_all);
	tap_run(one_that_is_gone_fails_all);
	return tap_end();
}
