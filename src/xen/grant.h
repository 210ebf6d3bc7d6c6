/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * grant - what a backend does with a guest's grants: maps rings, and copies data in batches.
 *
 * A reactor's batch takes the operations of a turn, for all its queues and requests (copies, maps,
 * unmaps), and hands them to the hypervisor in one call: of several kinds, in a multicall. Each
 * operation has a status of its own: a guest whose grant is bad spoils that operation and no other.
 * Only the bytes named are touched.
 *
 * The arguments of the hypercall lie in memory of the caller's, into which Xen itself writes the
 * statuses, so that they can outlive the process. Where our pages have no bus addresses (see
 * dmem.h) copies go through the gntdev driver instead, and there are no maps.
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

/* Operations of one kind. */
struct grant_array {
	void *ops;
	size_t nr, bytes; /* of each */
	size_t status; /* where it stands in each; those that are to run have NEVER_RAN */
};

#define GRANT_ARRAY(array, n)                                  \
	((struct grant_array){ (array), (n), sizeof(*(array)), \
			       offsetof(__typeof__(*(array)), status) })

/**
 * grant_hypercall - one grant table operation on an array
 *
 * Linux can move a page of the array for a moment (compaction does, locked or not), and Xen then
 * stops in the middle with EFAULT. What ran has a status; the rest is taken up again, as long as
 * that leads anywhere.
 *
 * @calls: counts the hypercalls, or NULL
 *
 * Return: 0, and each has the status of its own; or -errno, and some may not have run.
 */
int grant_hypercall(xencall_handle *xcall, unsigned int op, const struct grant_array *a,
		    uint64_t *calls);

struct grant_batch {
	/* One of the two, by whether @dmem has bus addresses. */
	xencall_handle *xcall;
	xengnttab_handle *gnttab;

	struct dmem *dmem; /* our side of every copy */
	uint32_t max; /* of each kind */

	/* The arguments of the hypercalls: the caller's memory. */
	struct gnttab_copy *copies;
	struct gnttab_map_grant_ref *maps;
	struct gnttab_unmap_grant_ref *unmaps;
	uint64_t *undone; /* of each unmap: where its map stands; see grant_batch_unmap() */
	uint32_t nr_copies, nr_maps, nr_unmaps;
	bool maps_stopped; /* some may not have run, when unmaps of the same flush have */

	xengnttab_grant_copy_segment_t *segs; /* copies in gntdev's words; else NULL */
	struct multicall_entry *entries; /* one a kind; NULL: each kind goes by a call of its own */

	uint64_t
		nr_calls; /* hypercalls, a multicall being one, or ioctls for gntdev; since the start */
	uint64_t nr_multicalls; /* of them; since the start */
	uint64_t nr_ops; /* operations since the start */
};

/* grant_batch_bytes - memory that a batch of @max operations of each kind wants from its caller. */
static inline size_t grant_batch_bytes(uint32_t max)
{
	return max * (sizeof(struct gnttab_copy) + sizeof(struct gnttab_map_grant_ref) +
		      sizeof(struct gnttab_unmap_grant_ref) + sizeof(uint64_t));
}

/**
 * grant_batch_init - an empty batch
 *
 * @mem: grant_batch_bytes(@max) bytes, page-aligned and locked in memory; they and @dmem stay the
 *       caller's and must outlive the batch
 *
 * Thread: control.
 * Return: 0 or -errno.
 */
int grant_batch_init(struct grant_batch *b, struct dmem *dmem, void *mem, uint32_t max);
void grant_batch_fini(struct grant_batch *b);

/* grant_batch_room_in - copies and maps that can still be added, of either kind. */
static inline uint32_t grant_batch_room_in(const struct grant_batch *b)
{
	return b->max - (b->nr_copies > b->nr_maps ? b->nr_copies : b->nr_maps);
}

/* grant_batch_room_out - the same of copies and unmaps. */
static inline uint32_t grant_batch_room_out(const struct grant_batch *b)
{
	return b->max - (b->nr_copies > b->nr_unmaps ? b->nr_copies : b->nr_unmaps);
}

/* One copy within one page on both sides. */
struct grant_copy {
	uint32_t domid;
	uint32_t gref; /* the guest's page */
	void *page; /* ours, of the batch's dmem */
	uint16_t offset_bytes; /* the same in both pages */
	uint16_t len_bytes;
};

/* The hypervisor knows our pages by machine frame; without, they are numbered from the start. */
static inline uint64_t grant_batch_frame(const struct grant_batch *b, const void *page)
{
	if (b->xcall)
		return dmem_bus(b->dmem, page) / DMEM_PAGE_BYTES;
	return (uint64_t)((const uint8_t *)page - b->dmem->base) / DMEM_PAGE_BYTES;
}

/*
 * Each adds an operation to the batch; there must be room. Return: its place among those of its
 * kind, to ask for its result. All of this is done once for each segment: it stands here so that it
 * can be part of its caller.
 */

/* grant_batch_copy_in, grant_batch_copy_out - from, and to, the guest's page */
static inline uint32_t grant_batch_copy_in(struct grant_batch *b, const struct grant_copy *c)
{
	struct gnttab_copy *op = &b->copies[b->nr_copies];

	op->source.u.ref = c->gref;
	op->source.domid = (domid_t)c->domid;
	op->source.offset = c->offset_bytes;
	op->dest.u.gmfn = grant_batch_frame(b, c->page);
	op->dest.domid = DOMID_SELF;
	op->dest.offset = c->offset_bytes;
	op->len = c->len_bytes;
	op->flags = GNTCOPY_source_gref;
	op->status = GRANT_STATUS_NEVER_RAN;
	return b->nr_copies++;
}

static inline uint32_t grant_batch_copy_out(struct grant_batch *b, const struct grant_copy *c)
{
	struct gnttab_copy *op = &b->copies[b->nr_copies];

	op->source.u.gmfn = grant_batch_frame(b, c->page);
	op->source.domid = DOMID_SELF;
	op->source.offset = c->offset_bytes;
	op->dest.u.ref = c->gref;
	op->dest.domid = (domid_t)c->domid;
	op->dest.offset = c->offset_bytes;
	op->len = c->len_bytes;
	op->flags = GNTCOPY_dest_gref;
	op->status = GRANT_STATUS_NEVER_RAN;
	return b->nr_copies++;
}

/* grant_batch_map - for devices alone; @read_only: they may only read it */
static inline uint32_t grant_batch_map(struct grant_batch *b, uint32_t domid, uint32_t gref,
				       bool read_only)
{
	struct gnttab_map_grant_ref *op = &b->maps[b->nr_maps];

	op->host_addr = 0;
	op->flags = GNTMAP_device_map | (read_only ? GNTMAP_readonly : 0);
	op->ref = gref;
	op->dom = (domid_t)domid;
	op->status = GRANT_STATUS_NEVER_RAN;
	return b->nr_maps++;
}

/**
 * grant_batch_unmap - by what grant_batch_mapped() said
 *
 * @map: where that was written down. It is known by this to whoever finds the unmap carried out: of the
 *       same handle, and even of the same page, there may be another map by then
 */
static inline uint32_t grant_batch_unmap(struct grant_batch *b, uint32_t handle, uint64_t bus,
					 const void *map)
{
	struct gnttab_unmap_grant_ref *op = &b->unmaps[b->nr_unmaps];

	op->host_addr = 0;
	op->dev_bus_addr = bus;
	op->handle = handle;
	op->status = GRANT_STATUS_NEVER_RAN;
	b->undone[b->nr_unmaps] = (uintptr_t)map;
	return b->nr_unmaps++;
}

/**
 * grant_batch_flush - carries out what was added, in one hypercall
 *
 * Or in one for each kind, where the hypervisor takes no multicalls. Nothing to do is no hypercall.
 * Maps run before unmaps: none of them is given a handle that an unmap of the same batch lets go of,
 * so that a kill leaves no doubt which of the two is meant. The results of copies and unmaps stand,
 * and those of maps after grant_batch_let_go().
 *
 * Return: true if there was anything to do.
 */
bool grant_batch_flush(struct grant_batch *b);

/**
 * grant_batch_let_go - between a flush and the first look at its maps
 *
 * What the unmaps undid has been written down elsewhere by now, and they are forgotten. Maps that a
 * page of the array which was just being moved kept from running are carried out only then: such a
 * one may well be given a handle of theirs.
 */
void grant_batch_let_go(struct grant_batch *b);

/* grant_batch_copied - true if copies @first to @first + @nr - 1 were all done. */
static inline bool grant_batch_copied(const struct grant_batch *b, uint32_t first, uint32_t nr)
{
	for (uint32_t i = first; i < first + nr; i++) {
		if (b->copies[i].status != GNTST_okay)
			return false;
	}
	return true;
}

/* grant_batch_copy_gref - the guest's page in copy @i. */
static inline uint32_t grant_batch_copy_gref(const struct grant_batch *b, uint32_t i)
{
	const struct gnttab_copy *op = &b->copies[i];

	return op->flags & GNTCOPY_source_gref ? op->source.u.ref : op->dest.u.ref;
}

/* grant_batch_mapped - true, and its handle and bus address, if map @i was done. */
static inline bool grant_batch_mapped(const struct grant_batch *b, uint32_t i, uint32_t *handle,
				      uint64_t *bus)
{
	if (b->maps[i].status != GNTST_okay)
		return false;
	*handle = b->maps[i].handle;
	*bus = b->maps[i].dev_bus_addr;
	return true;
}

/* grant_batch_unmapped - true if unmap @i was done. */
static inline bool grant_batch_unmapped(const struct grant_batch *b, uint32_t i)
{
	return b->unmaps[i].status == GNTST_okay;
}

/**
 * grant_batch_reset - empties the batch
 *
 * What has to be known of its maps and unmaps has been written down elsewhere by now: after a kill
 * that place counts, and before this the batch.
 */
void grant_batch_reset(struct grant_batch *b);

/* grant_batch_view - the arrays in the memory of a batch of @max operations. */
struct grant_view {
	struct gnttab_map_grant_ref *maps;
	struct gnttab_unmap_grant_ref *unmaps;
	uint64_t *undone; /* an address in the process that made the batch */
};

struct grant_view grant_batch_view(void *mem, uint32_t max);

#endif
