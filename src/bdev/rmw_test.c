/* SPDX-License-Identifier: BSD-2-Clause */
#include "rmw.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "dmem.h"
#include "test_bdev.h"

#define BLOCK_BYTES 4096u
#define NR_BLOCKS   64u
#define DISK_BYTES  (NR_BLOCKS * BLOCK_BYTES)
#define MAX_HELD    64

/*
 * A device with large blocks, of which nothing else may be asked. What it does it does when it
 * completes, in an order that is as bad as it can be: any.
 */
struct blocks {
	struct bdev bdev;
	unsigned char bytes[DISK_BYTES];
	uint32_t nr_reads, nr_writes, nr_discards, nr_flushes, nr_fua;
	atomic_uint nr_channels;
	int fail_reads, fail_writes; /* after so many; 0: none */
	const void *last_base; /* memory of the last write */
	pthread_mutex_t lock;
};

struct blocks_channel {
	struct bdev_channel ch;
	struct bdev_io *held[MAX_HELD];
	uint32_t nr_held, depth;
};

static _Thread_local uint32_t seed;

static uint32_t any(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static int blocks_channel_create(struct bdev *bdev, uint32_t depth, struct bdev_channel **out)
{
	struct blocks_channel *ch = calloc(1, sizeof(*ch));

	container_of(bdev, struct blocks, bdev)->nr_channels++;
	ch->ch.bdev = bdev;
	ch->depth = depth;
	*out = &ch->ch;
	return 0;
}

static void blocks_channel_destroy(struct bdev_channel *bch)
{
	container_of(bch->bdev, struct blocks, bdev)->nr_channels--;
	free(container_of(bch, struct blocks_channel, ch));
}

static void blocks_close(struct bdev *bdev)
{
}

static int blocks_submit(struct bdev_channel *bch, struct bdev_io *io)
{
	struct blocks_channel *ch = container_of(bch, struct blocks_channel, ch);

	if (ch->nr_held == ch->depth)
		return -EAGAIN;
	ch->held[ch->nr_held++] = io;
	return 0;
}

static int blocks_check(const struct bdev_io *io)
{
	uint64_t bits = io->offset_bytes | io->len_bytes, sum = 0;

	if (io->op == BDEV_FLUSH)
		return 0;
	for (uint32_t i = 0; i < io->nr_iov; i++) {
		bits |= (uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len;
		sum += io->iov[i].iov_len;
	}
	if (bits % BLOCK_BYTES || io->offset_bytes + io->len_bytes > DISK_BYTES ||
	    (io->op != BDEV_DISCARD && sum != io->len_bytes))
		return -EINVAL;
	return 0;
}

static bool fails(int *count)
{
	return *count && !--*count;
}

static int blocks_do(struct blocks *b, const struct bdev_io *io)
{
	unsigned char *at = b->bytes + io->offset_bytes;
	int err = blocks_check(io);

	b->nr_reads += io->op == BDEV_READ;
	b->nr_writes += io->op == BDEV_WRITE;
	b->nr_discards += io->op == BDEV_DISCARD;
	b->nr_flushes += io->op == BDEV_FLUSH;
	b->nr_fua += io->op == BDEV_WRITE && io->fua;
	if (err || (io->op == BDEV_READ && fails(&b->fail_reads)) ||
	    (io->op == BDEV_WRITE && fails(&b->fail_writes)))
		return err ? err : -EIO;
	if (io->op == BDEV_DISCARD)
		memset(at, 0, io->len_bytes);
	for (uint32_t i = 0; i < io->nr_iov; i++) {
		if (io->op == BDEV_READ)
			memcpy(io->iov[i].iov_base, at, io->iov[i].iov_len);
		else
			memcpy(at, io->iov[i].iov_base, io->iov[i].iov_len);
		b->last_base = io->iov[i].iov_base;
		at += io->iov[i].iov_len;
	}
	return 0;
}

/* One of what it holds. */
static uint32_t blocks_poll(struct bdev_channel *bch)
{
	struct blocks_channel *ch = container_of(bch, struct blocks_channel, ch);
	struct blocks *b = container_of(bch->bdev, struct blocks, bdev);
	struct bdev_io *io;
	uint32_t i;
	int status;

	if (!ch->nr_held)
		return 0;
	i = any(ch->nr_held);
	io = ch->held[i];
	ch->held[i] = ch->held[--ch->nr_held];
	pthread_mutex_lock(&b->lock);
	status = blocks_do(b, io);
	pthread_mutex_unlock(&b->lock);
	io->done(io, status);
	return 1;
}

static const struct bdev_ops blocks_ops = {
	.close = blocks_close,
	.channel_create = blocks_channel_create,
	.channel_destroy = blocks_channel_destroy,
	.submit = blocks_submit,
	.poll = blocks_poll,
};

static bool blocks_open(struct blocks *b, struct rig *rig, uint32_t depth)
{
	*b = (struct blocks){ .bdev.ops = &blocks_ops, .lock = PTHREAD_MUTEX_INITIALIZER };
	b->bdev.info = (struct bdev_info){ .size_bytes = DISK_BYTES,
					   .logical_block_bytes = BLOCK_BYTES,
					   .physical_block_bytes = BLOCK_BYTES,
					   .flush = true,
					   .discard_bytes = BLOCK_BYTES };
	for (uint32_t i = 0; i < DISK_BYTES; i++)
		b->bytes[i] = (unsigned char)(i / 512 * 7 + 1);
	return !rmw_open(&b->bdev, NULL, &rig->bdev, NULL) &&
	       !rig->bdev->ops->channel_create(rig->bdev, depth, &rig->ch);
}

/* The same for a device that does DMA, in a domain that has @nr_pages left. */
static bool blocks_open_dma(struct blocks *b, struct rig *rig, struct dmem *dmem, uint32_t nr_pages)
{
	static uint8_t pages[2][4096] __attribute__((aligned(4096)));
	static uint32_t free_pages[2] = { 0, 1 };

	if (!blocks_open(b, rig, 1))
		return false;
	rig_close(rig);
	*dmem = (struct dmem){ .base = pages[0], .nr_pages = 2, .free = free_pages };
	dmem->nr_free = nr_pages;
	pthread_mutex_init(&dmem->lock, NULL);
	b->bdev.info.dma = true;
	return !rmw_open(&b->bdev, dmem, &rig->bdev, NULL);
}

static unsigned char memory[DISK_BYTES] __attribute__((aligned(4096)));
static unsigned char expected[DISK_BYTES];
static struct blocks blocks;

static void whole_blocks_go_through_with_their_memory(void)
{
	struct request r;
	struct rig rig;

	check(blocks_open(&blocks, &rig, 2));
	memset(memory, 0x55, 12288);
	request_init(&r, BDEV_WRITE, 8192);
	request_add(&r, memory, 4096);
	request_add(&r, memory + 8192, 4096);
	check_eq(request_run(&rig, &r), 0);
	check(blocks.last_base == memory + 8192);
	check_eq(run(&rig, BDEV_READ, 8192, memory, 4096), 0);
	check(blocks.last_base == memory);
	check_eq(run(&rig, BDEV_FLUSH, 0, NULL, 0), 0);
	check_eq(blocks.nr_writes, 1);
	check_eq(blocks.nr_reads, 1);
	check_eq(blocks.nr_flushes, 1);
	check(!rig.bdev->ops->fd);
	rig_close(&rig);
	check_eq(blocks.nr_channels, 0);
}

static void reads_any_sectors(void)
{
	struct request r;
	struct rig rig;

	check(blocks_open(&blocks, &rig, 1));
	memset(memory, 0xaa, sizeof(memory));
	request_init(&r, BDEV_READ, 3 * 512);
	request_add(&r, memory, 512);
	request_add(&r, memory + 1024, 9 * 512);
	request_add(&r, memory + 16384, 100 * 1024);
	check_eq(request_run(&rig, &r), 0);
	check(!memcmp(memory, blocks.bytes + 3 * 512, 512));
	check(all_bytes_are(memory + 512, 0xaa, 512));
	check(!memcmp(memory + 1024, blocks.bytes + 4 * 512, 9 * 512));
	check(!memcmp(memory + 16384, blocks.bytes + 13 * 512, 100 * 1024));
	check(all_bytes_are(memory + 16384 + 100 * 1024, 0xaa, 512));
	rig_close(&rig);
}

/* Every first and every number of sectors, over the borders of blocks and of our memory. */
static void writes_any_sectors_and_no_other(void)
{
	struct rig rig;

	check(blocks_open(&blocks, &rig, 1));
	memcpy(expected, blocks.bytes, DISK_BYTES);
	for (uint32_t first = 0; first < 17; first++) {
		for (uint32_t nr = 1; nr < 90; nr += nr < 20 ? 1 : 11) {
			for (uint32_t i = 0; i < nr * 512; i++)
				memory[i] = (unsigned char)any(256);
			memcpy(expected + first * 512, memory, nr * 512);
			check_eq(run(&rig, BDEV_WRITE, first * 512, memory, nr * 512), 0);
			check(!memcmp(expected, blocks.bytes, DISK_BYTES));
		}
	}
	rig_close(&rig);
}

static void merges_with_a_single_page(void)
{
	struct dmem dmem;
	struct rig rig;

	check(blocks_open_dma(&blocks, &rig, &dmem, 1));
	check_eq(rig.bdev->ops->channel_create(rig.bdev, 2, &rig.ch), 0);
	check_eq(dmem.nr_free, 0);
	memcpy(expected, blocks.bytes, DISK_BYTES);
	memset(memory, 0x77, 40 * 512);
	memset(expected + 3 * 512, 0x77, 40 * 512);
	check_eq(run(&rig, BDEV_WRITE, 3 * 512, memory, 40 * 512), 0);
	check(!memcmp(expected, blocks.bytes, DISK_BYTES));
	check_eq(run(&rig, BDEV_READ, 512, memory, 50 * 512), 0);
	check(!memcmp(memory, expected + 512, 50 * 512));
	rig_close(&rig);
	check_eq(dmem.nr_free, 1);
}

static void needs_memory_that_the_device_can_reach(void)
{
	struct dmem dmem;
	struct rig rig;

	check(blocks_open_dma(&blocks, &rig, &dmem, 0));
	check_eq(rig.bdev->ops->channel_create(rig.bdev, 2, &rig.ch), -ENOMEM);
	bdev_close(rig.bdev);
	check_eq(blocks.nr_channels, 0);
}

static void reads_no_more_than_it_has_to_merge(void)
{
	struct rig rig;

	check(blocks_open(&blocks, &rig, 1));
	check_eq(run(&rig, BDEV_WRITE, 512, memory, 512), 0);
	check_eq(blocks.nr_reads, 1);
	check_eq(run(&rig, BDEV_WRITE, 512, memory, 4096), 0);
	check_eq(blocks.nr_reads, 3);
	check_eq(run(&rig, BDEV_WRITE, 512, memory, 7 * 512), 0);
	check_eq(blocks.nr_reads, 4);
	check_eq(run(&rig, BDEV_WRITE, 0, memory, 512), 0);
	check_eq(blocks.nr_reads, 5);
	/* Blocks that it fills, from memory that is not aligned to them. */
	check_eq(run(&rig, BDEV_WRITE, 4096, memory + 512, 8192), 0);
	check_eq(blocks.nr_reads, 5);
	check_eq(blocks.nr_writes, 5);
	rig_close(&rig);
}

static void fua_goes_along(void)
{
	struct request r;
	struct rig rig;

	check(blocks_open(&blocks, &rig, 1));
	for (uint32_t len_bytes = 512; len_bytes <= 4096; len_bytes += 3584) {
		request_init(&r, BDEV_WRITE, 4096);
		request_add(&r, memory, len_bytes);
		r.io.fua = true;
		check_eq(request_run(&rig, &r), 0);
	}
	check_eq(run(&rig, BDEV_WRITE, 512, memory, 512), 0);
	check_eq(blocks.nr_writes, 3);
	check_eq(blocks.nr_fua, 2);
	rig_close(&rig);
}

static int discard(struct rig *rig, uint64_t offset_bytes, uint64_t len_bytes)
{
	struct request r;

	request_init(&r, BDEV_DISCARD, offset_bytes);
	r.io.len_bytes = len_bytes;
	return request_run(rig, &r);
}

static void discards_whole_blocks_alone(void)
{
	struct rig rig;

	check(blocks_open(&blocks, &rig, 1));
	memcpy(expected, blocks.bytes, DISK_BYTES);
	check_eq(discard(&rig, 512, 4096), 0);
	check_eq(discard(&rig, 0, 512), 0);
	check_eq(blocks.nr_discards, 0);
	check(!memcmp(expected, blocks.bytes, DISK_BYTES));
	check_eq(discard(&rig, 512, 3 * 4096), 0);
	check_eq(blocks.nr_discards, 1);
	memset(expected + 4096, 0, 2 * 4096);
	check(!memcmp(expected, blocks.bytes, DISK_BYTES));
	rig_close(&rig);
}

static void an_error_ends_a_request_and_lets_the_next(void)
{
	struct rig rig;

	check(blocks_open(&blocks, &rig, 1));
	blocks.fail_reads = 1;
	check_eq(run(&rig, BDEV_WRITE, 512, memory, 512), -EIO);
	blocks.fail_reads = 2;
	check_eq(run(&rig, BDEV_WRITE, 512, memory, 4096), -EIO);
	check_eq(blocks.nr_writes, 0);
	blocks.fail_writes = 2;
	check_eq(run(&rig, BDEV_WRITE, 512, memory, 80 * 512), -EIO);
	check_eq(blocks.nr_writes, 2);
	blocks.fail_reads = 1;
	check_eq(run(&rig, BDEV_READ, 512, memory, 512), -EIO);
	for (int i = 0; i < 10; i++)
		check_eq(run(&rig, BDEV_WRITE, 512, memory, 512), 0);
	rig_close(&rig);
}

static void refuses_more_than_depth_and_loses_none(void)
{
	enum {
		DEPTH = 13
	};
	struct request r[DEPTH + 1];
	struct rig rig;

	check(blocks_open(&blocks, &rig, DEPTH));
	for (uint32_t i = 0; i <= DEPTH; i++) {
		request_init(&r[i], i % 3 ? BDEV_WRITE : BDEV_READ, i * 512);
		request_add(&r[i], memory + i * 4096, 512 + i % 5 * 512);
		check_eq(bdev_submit(rig.ch, &r[i].io), i < DEPTH ? 0 : -EAGAIN);
		check_eq(r[i].nr_done, 0);
	}
	for (uint32_t i = 0; i < DEPTH; i++) {
		check(request_wait(&rig, &r[i]));
		check_eq(r[i].status, 0);
		check_eq(r[i].nr_done, 1);
	}
	check_eq(bdev_poll(rig.ch), 0);
	check_eq(request_run(&rig, &r[DEPTH]), 0);
	rig_close(&rig);
}

/* ----- requests at once, on two channels, in blocks that they share but sectors that they do not */

#define NR_AT_ONCE 24

struct at_once {
	struct request r;
	uint32_t first, nr; /* sectors */
	bool busy;
	unsigned char *memory;
};

static bool overlaps(const struct at_once *all, uint32_t first, uint32_t nr)
{
	for (int i = 0; i < NR_AT_ONCE; i++) {
		if (all[i].busy && first < all[i].first + all[i].nr && all[i].first < first + nr)
			return true;
	}
	return false;
}

/* A read has to find what was written last, which nothing in flight is about to change. */
static bool at_once_ended(struct at_once *a)
{
	a->busy = false;
	if (a->r.status)
		return false;
	return a->r.io.op != BDEV_READ ||
	       !memcmp(a->memory, expected + a->first * 512, a->nr * 512);
}

static void at_once_begin(struct at_once *a, struct bdev_channel *ch)
{
	enum bdev_op op = any(4) ? BDEV_WRITE : BDEV_READ;
	uint32_t split = any(a->nr + 1) * 512;

	if (op == BDEV_WRITE) {
		for (uint32_t i = 0; i < a->nr * 512; i++)
			a->memory[i] = (unsigned char)any(256);
		memcpy(expected + a->first * 512, a->memory, a->nr * 512);
	}
	request_init(&a->r, op, a->first * 512);
	if (split)
		request_add(&a->r, a->memory, split);
	if (split < a->nr * 512)
		request_add(&a->r, a->memory + split, a->nr * 512 - split);
	a->busy = !bdev_submit(ch, &a->r.io);
}

static void overlapping_blocks_lose_no_write(void)
{
	static unsigned char buffers[NR_AT_ONCE][DISK_BYTES / 2] __attribute__((aligned(4096)));
	struct at_once all[NR_AT_ONCE] = { 0 };
	struct bdev_channel *ch[2];
	struct rig rig;

	check(blocks_open(&blocks, &rig, NR_AT_ONCE));
	memcpy(expected, blocks.bytes, DISK_BYTES);
	ch[0] = rig.ch;
	check_eq(rig.bdev->ops->channel_create(rig.bdev, NR_AT_ONCE, &ch[1]), 0);
	for (int round = 0; round < 50000; round++) {
		struct at_once *a = &all[any(NR_AT_ONCE)];

		if (a->busy && a->r.nr_done)
			check(at_once_ended(a));
		a->memory = buffers[a - all];
		if (!a->busy) {
			/* Most are within a few blocks; some are whole ones. */
			uint32_t nr = any(8) ? 1 + any(10) : 8 * (1 + any(8));
			uint32_t first = nr % 8 ? any(60) : 8 * any(12);

			if (!overlaps(all, first, nr)) {
				a->first = first;
				a->nr = nr;
				at_once_begin(a, ch[any(2)]);
			}
		}
		bdev_poll(ch[any(2)]);
	}
	for (int i = 0; i < NR_AT_ONCE; i++) {
		while (all[i].busy && !all[i].r.nr_done) {
			bdev_poll(ch[0]);
			bdev_poll(ch[1]);
		}
		check(!all[i].busy || at_once_ended(&all[i]));
	}
	check(!memcmp(expected, blocks.bytes, DISK_BYTES));
	rig.bdev->ops->channel_destroy(ch[1]);
	rig_close(&rig);
}

/* Which of the two the shared sector is of, nobody can say; but the others are the whole block's. */
static void a_whole_block_beside_a_merge_is_not_undone(void)
{
	static unsigned char sector[512];
	struct request merge, whole;
	struct rig rig;

	check(blocks_open(&blocks, &rig, 4));
	for (int round = 0; round < 200; round++) {
		memset(memory, round, 3 * 4096);
		memset(sector, ~round, sizeof(sector));
		request_init(&merge, BDEV_WRITE, 8 * 512);
		request_add(&merge, sector, sizeof(sector));
		request_init(&whole, BDEV_WRITE, 0);
		request_add(&whole, memory, 3 * 4096);
		check_eq(bdev_submit(rig.ch, round % 2 ? &merge.io : &whole.io), 0);
		for (uint32_t n = any(3); n; n--)
			bdev_poll(rig.ch);
		check_eq(bdev_submit(rig.ch, round % 2 ? &whole.io : &merge.io), 0);
		check(request_wait(&rig, &merge) && request_wait(&rig, &whole));
		check(all_bytes_are(blocks.bytes, round & 255, 8 * 512));
		check(all_bytes_are(blocks.bytes + 9 * 512, round & 255, 15 * 512));
	}
	rig_close(&rig);
}

/* A reactor, which writes every other sector of the first blocks, each over and over. */
struct writer {
	pthread_t thread;
	struct bdev *bdev;
	uint32_t parity;
	int nr_failed;
};

#define WRITER_SECTORS 16

static void writer_turn(struct writer *w, struct rig *rig, struct request *r,
			unsigned char (*data)[512], int round)
{
	for (uint32_t i = 0; i < WRITER_SECTORS; i++) {
		memset(data[i], round + (int)i, 512);
		request_init(&r[i], BDEV_WRITE, (2 * i + w->parity) * 512);
		request_add(&r[i], data[i], 512);
		w->nr_failed += bdev_submit(rig->ch, &r[i].io) != 0;
	}
	for (uint32_t i = 0; i < WRITER_SECTORS; i++)
		w->nr_failed += !request_wait(rig, &r[i]) || r[i].status;
}

#define WRITER_ROUNDS 100

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	struct rig rig = { .bdev = w->bdev };
	struct request r[WRITER_SECTORS];
	unsigned char(*data)[512] = aligned_alloc(512, WRITER_SECTORS * 512);

	seed = w->parity;
	if (w->bdev->ops->channel_create(w->bdev, WRITER_SECTORS, &rig.ch)) {
		w->nr_failed++;
		return NULL;
	}
	for (int round = 0; round < WRITER_ROUNDS; round++)
		writer_turn(w, &rig, r, data, round);
	w->bdev->ops->channel_destroy(rig.ch);
	free(data);
	return NULL;
}

static void threads_that_share_blocks_lose_no_write(void)
{
	struct writer writers[2];
	struct rig rig;

	check(blocks_open(&blocks, &rig, 1));
	for (uint32_t i = 0; i < 2; i++) {
		writers[i] = (struct writer){ .bdev = rig.bdev, .parity = i };
		check(!pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]));
	}
	for (uint32_t i = 0; i < 2; i++) {
		pthread_join(writers[i].thread, NULL);
		check_eq(writers[i].nr_failed, 0);
	}
	for (uint32_t i = 0; i < 2 * WRITER_SECTORS; i++)
		check(all_bytes_are(blocks.bytes + i * 512, (WRITER_ROUNDS - 1 + (int)i / 2) & 255,
				    512));
	rig_close(&rig);
}

static void refuses_blocks_larger_than_a_page(void)
{
	struct bdev *bdev = NULL;
	struct error e = { "" };

	blocks = (struct blocks){ .bdev.ops = &blocks_ops };
	blocks.bdev.info.logical_block_bytes = 8192;
	check_eq(rmw_open(&blocks.bdev, NULL, &bdev, &e), -EOPNOTSUPP);
	check(strstr(e.text, "blocks of 8192 bytes; expected 4096"));
	check(!bdev);
}

int main(void)
{
	tap_run(whole_blocks_go_through_with_their_memory);
	tap_run(reads_any_sectors);
	tap_run(writes_any_sectors_and_no_other);
	tap_run(merges_with_a_single_page);
	tap_run(needs_memory_that_the_device_can_reach);
	tap_run(reads_no_more_than_it_has_to_merge);
	tap_run(fua_goes_along);
	tap_run(discards_whole_blocks_alone);
	tap_run(an_error_ends_a_request_and_lets_the_next);
	tap_run(refuses_more_than_depth_and_loses_none);
	tap_run(overlapping_blocks_lose_no_write);
	tap_run(a_whole_block_beside_a_merge_is_not_undone);
	tap_run(threads_that_share_blocks_lose_no_write);
	tap_run(refuses_blocks_larger_than_a_page);
	return tap_end();
}
