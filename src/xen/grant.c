/* SPDX-License-Identifier: BSD-2-Clause */
#include "grant.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Times that a hypercall that stopped in the middle is taken up again. */
#define FLUSH_TRIES 4

int grant_map(xengnttab_handle *h, uint32_t domid, const uint32_t *refs, uint32_t nr, void **out)
{
	/* The library takes refs of a single domain by a pointer that it only reads. */
	void *addr = xengnttab_map_domain_grant_refs(h, nr, domid, (uint32_t *)refs,
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

int grant_batch_init(struct grant_batch *b, struct dmem *dmem, void *ops, uint32_t max)
{
	struct grant_batch made = { .dmem = dmem, .ops = ops, .max = max };

	if (dmem->frames) {
		made.xcall = xencall_open(NULL, XENCALL_OPENFLAG_NON_REENTRANT);
		if (!made.xcall)
			return -errno;
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
	if (b->xcall)
		xencall_close(b->xcall);
	if (b->gnttab)
		xengnttab_close(b->gnttab);
	free(b->segs);
}

uint32_t grant_batch_copy_in(struct grant_batch *b, const struct grant_copy *c)
{
	struct gnttab_copy *op = &b->ops[b->nr];

	op->source.u.ref = c->gref;
	op->source.domid = (domid_t)c->domid;
	op->source.offset = c->offset_bytes;
	op->dest.u.gmfn = b->dmem->frames ? b->dmem->frames[c->page] : c->page;
	op->dest.domid = DOMID_SELF;
	op->dest.offset = c->offset_bytes;
	op->len = c->len_bytes;
	op->flags = GNTCOPY_source_gref;
	op->status = GRANT_STATUS_NEVER_RAN;
	return b->nr++;
}

uint32_t grant_batch_copy_out(struct grant_batch *b, const struct grant_copy *c)
{
	struct gnttab_copy *op = &b->ops[b->nr];

	op->source.u.gmfn = b->dmem->frames ? b->dmem->frames[c->page] : c->page;
	op->source.domid = DOMID_SELF;
	op->source.offset = c->offset_bytes;
	op->dest.u.ref = c->gref;
	op->dest.domid = (domid_t)c->domid;
	op->dest.offset = c->offset_bytes;
	op->len = c->len_bytes;
	op->flags = GNTCOPY_dest_gref;
	op->status = GRANT_STATUS_NEVER_RAN;
	return b->nr++;
}

/*
 * Linux can move a page of the argument array for a moment (compaction does, locked or not), and
 * Xen then stops in the middle with EFAULT. What ran has a status; the rest is taken up again.
 */
static void flush_hypercall(struct grant_batch *b)
{
	uint32_t first = 0;

	for (int i = 0; i < FLUSH_TRIES; i++) {
		while (first < b->nr && b->ops[first].status != GRANT_STATUS_NEVER_RAN)
			first++;
		if (first == b->nr)
			return;
		b->nr_calls++;
		if (!xencall3(b->xcall, __HYPERVISOR_grant_table_op, GNTTABOP_copy,
			      (uintptr_t)(b->ops + first), b->nr - first))
			return;
	}
}

/* The same operations in the driver's words: our side by address instead of frame number. */
static void op_to_seg(const struct grant_batch *b, const struct gnttab_copy *op,
		      xengnttab_grant_copy_segment_t *seg)
{
	bool in = op->flags & GNTCOPY_source_gref;
	const struct gnttab_copy_ptr *guest = in ? &op->source : &op->dest;
	uint32_t page = (uint32_t)(in ? op->dest.u.gmfn : op->source.u.gmfn);
	union xengnttab_copy_ptr *theirs = in ? &seg->source : &seg->dest;
	union xengnttab_copy_ptr *ours = in ? &seg->dest : &seg->source;

	theirs->foreign.ref = guest->u.ref;
	theirs->foreign.offset = guest->offset;
	theirs->foreign.domid = guest->domid;
	ours->virt = (uint8_t *)dmem_ptr(b->dmem, page) + guest->offset;
	seg->len = op->len;
	seg->flags = op->flags;
	seg->status = GRANT_STATUS_NEVER_RAN;
}

static void flush_gntdev(struct grant_batch *b)
{
	for (uint32_t i = 0; i < b->nr; i++)
		op_to_seg(b, &b->ops[i], &b->segs[i]);
	b->nr_calls++;
	/* A failure of the call as a whole leaves operations that never ran, and says no more. */
	xengnttab_grant_copy(b->gnttab, b->nr, b->segs);
	for (uint32_t i = 0; i < b->nr; i++)
		b->ops[i].status = b->segs[i].status;
}

void grant_batch_flush(struct grant_batch *b)
{
	if (!b->nr)
		return;
	b->nr_ops += b->nr;
	if (b->xcall)
		flush_hypercall(b);
	else
		flush_gntdev(b);
}

bool grant_batch_ok(const struct grant_batch *b, uint32_t first, uint32_t nr)
{
	for (uint32_t i = first; i < first + nr; i++) {
		if (b->ops[i].status != GNTST_okay)
			return false;
	}
	return true;
}
