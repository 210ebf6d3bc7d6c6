/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_contract - what bdev.h asks of every bdev, on one that reads as zeroes and holds 64 KiB at
 * least. The tests of each kind run them all. For *_test.c files alone.
 */
#ifndef XENBLKD_TEST_CONTRACT_H
#define XENBLKD_TEST_CONTRACT_H

#include <errno.h>

#include "test_bdev.h"

static inline void contract_reads_leave_no_stale_byte(const char *uri)
{
	static char memory[65536] __attribute__((aligned(512)));
	struct request r;
	struct rig rig;

	check(rig_open(&rig, uri, true, 1));
	memset(memory, 0xaa, sizeof(memory));
	request_init(&r, BDEV_READ, 0);
	request_add(&r, memory, 512);
	request_add(&r, memory + 1024, sizeof(memory) - 1024);
	check_eq(request_run(&rig, &r), 0);
	check(all_bytes_are(memory, 0, 512));
	check(all_bytes_are(memory + 512, 0xaa, 512));
	check(all_bytes_are(memory + 1024, 0, sizeof(memory) - 1024));
	rig_close(&rig);
}

static inline void contract_completes_from_poll_alone(const char *uri)
{
	static char memory[512] __attribute__((aligned(512)));
	struct request r;
	struct rig rig;

	check(rig_open(&rig, uri, false, 1));
	check_eq(bdev_poll(rig.ch), 0);
	request_init(&r, BDEV_READ, 0);
	request_add(&r, memory, sizeof(memory));
	check_eq(bdev_submit(rig.ch, &r.io), 0);
	check_eq(r.nr_done, 0);
	check(request_wait(&rig, &r));
	check_eq(r.status, 0);
	check_eq(bdev_poll(rig.ch), 0);
	check_eq(r.nr_done, 1);
	rig_close(&rig);
}

static inline void contract_refuses_more_than_depth_and_loses_none(const char *uri)
{
	enum {
		DEPTH = 5
	}; /* no power of two, which a ring would like better */
	static char memory[DEPTH + 1][512] __attribute__((aligned(512)));
	struct request r[DEPTH + 1];
	struct rig rig;

	check(rig_open(&rig, uri, false, DEPTH));
	for (int i = 0; i <= DEPTH; i++) {
		request_init(&r[i], BDEV_WRITE, 512 * (uint64_t)i);
		request_add(&r[i], memory[i], 512);
		check_eq(bdev_submit(rig.ch, &r[i].io), i < DEPTH ? 0 : -EAGAIN);
	}
	for (int i = 0; i < DEPTH; i++) {
		check(request_wait(&rig, &r[i]));
		check_eq(r[i].status, 0);
		check_eq(r[i].nr_done, 1);
	}
	check_eq(r[DEPTH].nr_done, 0);
	check_eq(request_run(&rig, &r[DEPTH]), 0);
	rig_close(&rig);
}

struct chain {
	struct request r;
	struct bdev_channel *ch;
	int left, nr_refused;
};

static inline void chain_done(struct bdev_io *io, int status)
{
	struct chain *c = container_of(io, struct chain, r.io);

	if (!status && --c->left)
		c->nr_refused += bdev_submit(c->ch, io) != 0;
	else
		request_done(io, status);
}

static inline void contract_done_may_submit_again(const char *uri)
{
	struct chain c = { .left = 100 };
	struct rig rig;

	check(rig_open(&rig, uri, false, 1));
	c.ch = rig.ch;
	request_init(&c.r, BDEV_FLUSH, 0);
	c.r.io.done = chain_done;
	check_eq(request_run(&rig, &c.r), 0);
	check_eq(c.left, 0);
	check_eq(c.nr_refused, 0);
	rig_close(&rig);
}

static inline void contract_flush_completes(const char *uri)
{
	struct rig rig;

	check(rig_open(&rig, uri, false, 1));
	check(rig.bdev->info.flush);
	check_eq(run(&rig, BDEV_FLUSH, 0, NULL, 0), 0);
	rig_close(&rig);
}

static inline void contract_fua_write_completes(const char *uri)
{
	static char memory[4096] __attribute__((aligned(512)));
	struct request r;
	struct rig rig;

	check(rig_open(&rig, uri, false, 1));
	request_init(&r, BDEV_WRITE, 8192);
	request_add(&r, memory, sizeof(memory));
	r.io.fua = true;
	check_eq(request_run(&rig, &r), 0);
	rig_close(&rig);
}

/* 64 KiB that are written, of which all but some at both ends are discarded. */
static inline void contract_discard_leaves_its_neighbours(const char *uri)
{
	static char memory[65536] __attribute__((aligned(512)));
	struct request r;
	struct rig rig;

	check(rig_open(&rig, uri, false, 1));
	check(rig.bdev->info.discard_bytes && rig.bdev->info.discard_bytes <= 4096);
	memset(memory, 0x55, sizeof(memory));
	check_eq(run(&rig, BDEV_WRITE, 0, memory, sizeof(memory)), 0);
	check_eq(run(&rig, BDEV_READ, 0, memory, 512), 0);
	request_init(&r, BDEV_DISCARD, 512);
	r.io.len_bytes = 65536 - 1024;
	check_eq(request_run(&rig, &r), 0);
	check_eq(r.nr_done, 1);
	check_eq(run(&rig, BDEV_READ, 65536 - 512, memory + 512, 512), 0);
	check(!memcmp(memory, memory + 512, 512));
	if (rig.bdev->info.discard_zeroes) {
		memset(memory, 0xaa, sizeof(memory));
		check_eq(run(&rig, BDEV_READ, 4096, memory, 65536 - 8192), 0);
		check(all_bytes_are(memory, 0, 65536 - 8192));
	}
	rig_close(&rig);
}

#endif
