/* SPDX-License-Identifier: BSD-2-Clause */
#include "grant.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "counter.h"
#include "point.h"

/* Times that a hypercall is tried that stops at the same operation. */
#define HYPERCALL_TRIES 4

/* Times that a map is tried that is interrupted. */
#define MAP_TRIES 16

/* Of operations: copies, maps, unmaps. */
#define MAX_KINDS 3

int grant_map(xengnttab_handle *h, uint32_t domid, const uint32_t *refs, uint32_t nr, void **out)
{
	void *addr = NULL;

	/*
	 * The first map of a process takes all locks of its memory, which Linux gives up on when anything is
	 * there to be done on the way back, such as what io_uring has left: it is done by then.
	 */
	errno = EINTR;
	for (int tries = 0; !addr && errno == EINTR && tries < MAP_TRIES; tries++)
		/* The library takes refs of a single domain by a pointer that it only reads. */
		addr = xengnttab_map_domain_grant_refs(h, nr, domid, (uint32_t *)refs,
						       PROT_READ | PROT_WRITE);
	if (!addr)
		return errno ? -errno : -EIO;
	*out = addr;
	return 0;
}

void grant_unmap(xengnttab_handle *h, void *addr, uint32_t nr)
{
	xengnttab_unmap(h, addr, nr);
}

struct grant_view grant_batch_view(void *mem, uint32_t max)
{
	struct grant_view v;

	v.maps = (struct gnttab_map_grant_ref *)((struct gnttab_copy *)mem + max);
	v.unmaps = (struct gnttab_unmap_grant_ref *)(v.maps + max);
	v.undone = (uint64_t *)(v.unmaps + max);
	return v;
}

static void forget_unmaps(struct grant_batch *b)
{
#ifndef XENBLKD_UNRECORDED
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < b->nr_unmaps; i++)
		b->unmaps[i].status = GRANT_STATUS_NEVER_RAN;
	POINT();
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#endif
	b->nr_unmaps = 0;
}

void grant_batch_reset(struct grant_batch *b)
{
#ifndef XENBLKD_UNRECORDED
	/* The compiler must not bring these before what was written down elsewhere. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	POINT();
	for (uint32_t i = 0; i < b->nr_maps; i++)
		b->maps[i].status = GRANT_STATUS_NEVER_RAN;
	POINT();
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#endif
	forget_unmaps(b);
	b->nr_copies = b->nr_maps = 0;
}

int grant_batch_init(struct grant_batch *b, struct dmem *dmem, void *mem, uint32_t max)
{
	struct grant_view view = grant_batch_view(mem, max);
	struct grant_batch made = { .dmem = dmem,
				    .max = max,
				    .copies = mem,
				    .maps = view.maps,
				    .unmaps = view.unmaps,
				    .undone = view.undone };

	for (uint32_t i = 0; i < max; i++)
		made.maps[i].status = made.unmaps[i].status = GRANT_STATUS_NEVER_RAN;
	if (dmem_has_bus(dmem)) {
		made.xcall = xencall_open(NULL, XENCALL_OPENFLAG_NON_REENTRANT);
		if (!made.xcall)
			return -errno;
		made.entries = xencall_alloc_buffer(made.xcall, MAX_KINDS * sizeof(*made.entries));
		if (!made.entries) {
			xencall_close(made.xcall);
			return -ENOMEM;
		}
	} else {
		made.segs = calloc(max, sizeof(*made.segs));
		if (!made.segs)
			return -ENOMEM;
		made.gnttab = xengnttab_open(NULL, 0);
		if (!made.gnttab) {
			free(made.segs);
			return -errno;
		}
	}
	*b = made;
	return 0;
}

void grant_batch_fini(struct grant_batch *b)
{
	if (b->entries)
		xencall_free_buffer(b->xcall, b->entries);
	if (b->xcall)
		xencall_close(b->xcall);
	if (b->gnttab)
		xengnttab_close(b->gnttab);
	free(b->segs);
}

int grant_hypercall(xencall_handle *xcall, unsigned int op, const struct grant_array *a,
		    uint64_t *calls)
{
	uint8_t *at = a->ops, *end = at + a->nr * a->bytes, *stopped = NULL;
	int err = 0;

	for (int tries = 0; tries < HYPERCALL_TRIES; tries++) {
		while (at < end && *(int16_t *)(at + a->status) != GRANT_STATUS_NEVER_RAN)
			at += a->bytes;
		if (at == end)
			return 0;
		if (at != stopped)
			tries = 0;
		stopped = at;
		if (calls)
			counter_add(calls, 1);
		if (xencall3(xcall, __HYPERVISOR_grant_table_op, op, (uintptr_t)at,
			     (uint64_t)(end - at) / a->bytes) >= 0)
			return 0;
		err = -errno;
	}
	return err;
}

/* What never ran has a status that says so. */
#define HYPERCALL(b, op, array, nr) \
	grant_hypercall((b)->xcall, op, &GRANT_ARRAY(array, nr), &(b)->nr_calls)

static uint32_t add_entry(struct multicall_entry *entry, unsigned int op, void *array, uint32_t nr)
{
	if (!nr)
		return 0;
	*entry = (struct multicall_entry){
		.op = __HYPERVISOR_grant_table_op,
		.args = { op, (uintptr_t)array, nr },
	};
	return 1;
}

/*
 * All kinds in one hypercall, if there are several. One that stops in the middle does not keep the next
 * from running. Return: true if they may have run.
 */
static bool flush_together(struct grant_batch *b)
{
	struct multicall_entry *entries = b->entries;
	uint32_t nr = 0;

	if (!entries)
		return false;
	nr += add_entry(&entries[nr], GNTTABOP_copy, b->copies, b->nr_copies);
	nr += add_entry(&entries[nr], GNTTABOP_map_grant_ref, b->maps, b->nr_maps);
	nr += add_entry(&entries[nr], GNTTABOP_unmap_grant_ref, b->unmaps, b->nr_unmaps);
	if (nr < 2)
		return false;
	counter_add(&b->nr_calls, 1);
	counter_add(&b->nr_multicalls, 1);
	if (!xencall2(b->xcall, __HYPERVISOR_multicall, (uintptr_t)entries, nr) || errno == EFAULT)
		return true;
	/* It is refused, here and now and for ever. */
	xencall_free_buffer(b->xcall, entries);
	b->entries = NULL;
	return false;
}

/* The same copies in the driver's words: our side by address instead of frame number. */
static void copy_to_seg(const struct grant_batch *b, const struct gnttab_copy *op,
			xengnttab_grant_copy_segment_t *seg)
{
	bool in = op->flags & GNTCOPY_source_gref;
	const struct gnttab_copy_ptr *guest = in ? &op->source : &op->dest;
	uint64_t page = in ? op->dest.u.gmfn : op->source.u.gmfn;
	union xengnttab_copy_ptr *theirs = in ? &seg->source : &seg->dest;
	union xengnttab_copy_ptr *ours = in ? &seg->dest : &seg->source;

	theirs->foreign.ref = guest->u.ref;
	theirs->foreign.offset = guest->offset;
	theirs->foreign.domid = guest->domid;
	ours->virt = b->dmem->base + page * DMEM_PAGE_BYTES + guest->offset;
	seg->len = op->len;
	seg->flags = op->flags;
	seg->status = GRANT_STATUS_NEVER_RAN;
}

static void flush_gntdev(struct grant_batch *b)
{
	for (uint32_t i = 0; i < b->nr_copies; i++)
		copy_to_seg(b, &b->copies[i], &b->segs[i]);
	counter_add(&b->nr_calls, 1);
	counter_add(&b->nr_ops, b->nr_copies);
	/* A failure of the call as a whole leaves operations that never ran, and says no more. */
	xengnttab_grant_copy(b->gnttab, b->nr_copies, b->segs);
	for (uint32_t i = 0; i < b->nr_copies; i++)
		b->copies[i].status = b->segs[i].status;
}

bool grant_batch_flush(struct grant_batch *b)
{
	if (!b->nr_copies && !b->nr_maps && !b->nr_unmaps)
		return false;
	if (!b->xcall) {
		flush_gntdev(b);
		return true;
	}
	counter_add(&b->nr_ops, b->nr_copies + b->nr_maps + b->nr_unmaps);
	b->maps_stopped = flush_together(b);
	POINT();
	HYPERCALL(b, GNTTABOP_copy, b->copies, b->nr_copies);
	POINT();
	if (!b->maps_stopped)
		HYPERCALL(b, GNTTABOP_map_grant_ref, b->maps, b->nr_maps);
	POINT();
	HYPERCALL(b, GNTTABOP_unmap_grant_ref, b->unmaps, b->nr_unmaps);
	POINT();
	return true;
}

void grant_batch_let_go(struct grant_batch *b)
{
	forget_unmaps(b);
	if (b->maps_stopped)
		HYPERCALL(b, GNTTABOP_map_grant_ref, b->maps, b->nr_maps);
	POINT();
}
