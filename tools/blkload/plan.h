/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan - which request comes next: kind, place, size, and how its data lies in pages.
 *
 * Pure: the same seed gives the same requests. Each queue has a plan of its own on a part of the disk
 * that no other queue touches, so that what it must find there is its own affair alone.
 *
 * A "sector" is 512 bytes.
 *
 * Thread: that of its queue.
 */
#ifndef BLKLOAD_PLAN_H
#define BLKLOAD_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "front_ring.h"

enum op_kind {
	OP_READ,
	OP_WRITE,
	OP_FLUSH,
	OP_BARRIER, /* a write with that operation */
	OP_DISCARD,
	OP_NR_KINDS,
};

struct op {
	enum op_kind kind;
	uint64_t sector; /* 0 for a flush */
	uint32_t nr_sectors; /* 0 for a flush */
};

struct plan {
	uint64_t random_state;
	uint64_t first, nr_sectors; /* the part of the disk */
	uint64_t min_sectors, max_sectors, align_sectors;
	bool random;
	uint32_t read_percent;
	uint64_t flush_every, barrier_every, discard_every;

	uint64_t made; /* requests so far */
	uint64_t next; /* for sequential ones: sectors from first on */
	bool flush_due;
};

/* plan_next - at least max_sectors must fit into the part of the disk. */
void plan_next(struct plan *p, struct op *out);

static inline bool op_writes(const struct op *op)
{
	return op->kind == OP_WRITE || op->kind == OP_BARRIER;
}

static inline bool op_has_data(const struct op *op)
{
	return op->kind == OP_READ || op_writes(op);
}

/* op_conflict - whether two in flight at a time leave open what the disk then holds. */
bool op_conflict(const struct op *a, const struct op *b);

/* A segment, before it has a page. */
struct extent {
	uint8_t first, last; /* sectors of a page, 0 to 7 */
};

/* layout_pages - full pages, and the rest in the last one. Return: number of segments. */
uint32_t layout_pages(uint32_t nr_sectors, struct extent *out);

/**
 * layout_random - each segment of random length at a random place of its page
 *
 * @max: at least as many as layout_pages() would take
 *
 * Return: number of segments, at most @max.
 */
uint32_t layout_random(uint64_t *random_state, uint32_t nr_sectors, uint32_t max,
		       struct extent *out);

/* random_below - a number from 0 to @n - 1. */
uint64_t random_below(uint64_t *state, uint64_t n);

#endif
