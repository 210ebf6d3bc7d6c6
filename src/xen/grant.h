/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * grant - what a backend does with a guest's grants: maps rings, and copies data in batches.
 *
 * A reactor's batch takes the copies of one stage, for all its queues and requests, and hands them
 * to the hypervisor in one call. Each operation has a status of its own: a guest whose grant is bad
 * spoils that operation and no other. Only the bytes named are touched.
 *
 * The arguments of the hypercall lie in memory of the caller's, into which Xen itself writes the
 * statuses, so that they can outlive the process. Where our pages have no frame numbers (see
 * dmem.h) the same batch goes through the gntdev driver instead.
 *
 * Thread: a batch belongs to its reactor; mapping is for the control thread.
 */
#ifndef XENBLKD_GRANT_H
#define XENBLKD_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xencall.h>
#include <xengnttab.h>
#include <xen/grant_table.h>

#include "dmem.h"

/**
 * grant_map - maps pages of a guest, readable and writable, at consecutive addresses
 *
 * Return: 0 and *@out, or -errno if one of them cannot be mapped: none is then.
 */
int grant_map(xengnttab_handle *h, uint32_t domid, const uint32_t *refs, uint32_t nr, void **out);

/* grant_unmap - the reverse. */
void grant_unmap(xengnttab_handle *h, void *addr, uint32_t nr);

/* The status of an operation that the hypervisor has not come to. */
#define GRANT_STATUS_NEVER_RAN 0x7fff

struct grant_batch {
	/* One of the two, by whether @dmem has frame numbers. */
	xencall_handle *xcall;
	xengnttab_handle *gnttab;

	struct dmem *dmem;		      /* our side of every copy */
	struct gnttab_copy *ops;	      /* max entries, the caller's memory */
	xengnttab_grant_copy_segment_t *segs; /* max entries, for gntdev; else NULL */
	uint32_t nr;			      /* operations in the batch */
	uint32_t max;
	uint64_t nr_calls; /* hypercalls, or ioctls for gntdev, since the start */
	uint64_t nr_ops;   /* operations since the start */
};

/* grant_batch_bytes - memory that a batch of @max operations wants from its caller. */
static inline size_t grant_batch_bytes(uint32_t max)
{
	return max * sizeof(struct gnttab_copy);
}

/**
 * grant_batch_init - an empty batch
 *
 * @ops: grant_batch_bytes(@max) bytes, page-aligned and locked in memory; they and @dmem stay the
 *       caller's and must outlive the batch
 *
 * Thread: control.
 * Return: 0 or -errno.
 */
int grant_batch_init(struct grant_batch *b, struct dmem *dmem, void *ops, uint32_t max);
void grant_batch_fini(struct grant_batch *b);

/* grant_batch_room - operations that can still be added. */
static inline uint32_t grant_batch_room(const struct grant_batch *b)
{
	return b->max - b->nr;
}

/* One copy within one page on both sides. */
struct grant_copy {
	uint32_t domid;
	uint32_t gref;	       /* the guest's page */
	uint32_t page;	       /* ours, a page number of the batch's dmem */
	uint16_t offset_bytes; /* the same in both pages */
	uint16_t len_bytes;
};

/**
 * grant_batch_copy_in, grant_batch_copy_out - adds a copy from, or to, the guest's page
 *
 * There must be room. Return: the operation's place in the batch, for grant_batch_ok().
 */
uint32_t grant_batch_copy_in(struct grant_batch *b, const struct grant_copy *c);
uint32_t grant_batch_copy_out(struct grant_batch *b, const struct grant_copy *c);

/**
 * grant_batch_flush - carries out what was added, in one hypercall
 *
 * Nothing to do is no hypercall. Afterwards grant_batch_ok() answers for each operation, until
 * grant_batch_reset().
 */
void grant_batch_flush(struct grant_batch *b);

/* grant_batch_ok - true if operations @first to @first + @nr - 1 were all done. */
bool grant_batch_ok(const struct grant_batch *b, uint32_t first, uint32_t nr);

static inline void grant_batch_reset(struct grant_batch *b)
{
	b->nr = 0;
}

#endif
