/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "pipeline.h"
#include "queue.h"
#include "xfer.h"

/*
 * Each segment has a page of ours and lies at the same place in it as in the guest's: one operation
 * a segment, and neither side is touched outside the sectors that were named.
 */
struct grant_copy xfer_segment_copy(struct io *io, uint32_t i)
{
	const struct segment *seg = &io->segments[i];

	return (struct grant_copy){
		.domid = io->queue->domid,
		.gref = seg->gref,
		.page = io_pages(io)[i],
		.offset_bytes = seg->offset_bytes,
		.len_bytes = seg->len_bytes,
	};
}

static void copy_bring_in(struct pipeline *pl, struct io *io)
{
	const struct request *req = &io->record->request;
	struct iovec *iov = io_iov(io);
	void **pages = io_pages(io);

	io->first_op = pl->batch.nr_copies;
	for (uint32_t i = 0; i < req->nr_segments; i++) {
		const struct segment *seg = &io->segments[i];

		pages[i] = dmem_get(&pl->pool);
		iov[i].iov_base = (uint8_t *)pages[i] + seg->offset_bytes;
		iov[i].iov_len = seg->len_bytes;
		if (req->op != REQUEST_READ) {
			struct grant_copy copy = xfer_segment_copy(io, i);

			grant_batch_copy_in(&pl->batch, &copy);
		}
	}
}

static int copy_brought_in(struct pipeline *pl, struct io *io)
{
	const struct request *req = &io->record->request;

	if (req->op == REQUEST_READ ||
	    grant_batch_copied(&pl->batch, io->first_op, req->nr_segments))
		return 0;
	return -EFAULT;
}

static void copy_bring_out(struct pipeline *pl, struct io *io)
{
	const struct request *req = &io->record->request;

	io->first_op = pl->batch.nr_copies;
	/* What a failed read left in our pages is somebody else's data. */
	if (req->op != REQUEST_READ || io->status)
		return;
	for (uint32_t i = 0; i < req->nr_segments; i++) {
		struct grant_copy copy = xfer_segment_copy(io, i);

		grant_batch_copy_out(&pl->batch, &copy);
	}
}

static int copy_brought_out(struct pipeline *pl, struct io *io)
{
	const struct request *req = &io->record->request;
	void **pages = io_pages(io);
	int status = io->status;

	if (req->op == REQUEST_READ && !status &&
	    !grant_batch_copied(&pl->batch, io->first_op, req->nr_segments))
		status = -EFAULT;
	for (uint32_t i = 0; i < req->nr_segments; i++)
		dmem_put(&pl->pool, pages[i]);
	return status;
}

const struct xfer_ops xfer_copy = {
	.name = "copy",
	.bring_in = copy_bring_in,
	.brought_in = copy_brought_in,
	.bring_out = copy_bring_out,
	.brought_out = copy_brought_out,
};
