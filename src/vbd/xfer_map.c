/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "pipeline.h"
#include "queue.h"
#include "xfer.h"

/*
 * As by copy, through a page of ours for each segment; but what the guest keeps granted we keep
 * mapped, and copy ourselves. The device never gets a page of the guest's: so one can be unmapped
 * whenever that is right, and what the guest changes meanwhile harms nobody.
 */

static void *kept(struct pipeline *pl, const struct io *io, uint32_t i)
{
	const struct segment *seg = &io->segments[i];
	uint8_t *page = persistent_find(io->queue->persistent, seg->gref, pl->reactor->now_ns);

	return page ? page + seg->offset_bytes : NULL;
}

static void map_bring_in(struct pipeline *pl, struct io *io)
{
	struct iovec *iov = io_iov(io);
	void **pages = io_pages(io);
	bool write = io->record->request.op != REQUEST_READ;

	io->first_op = pl->batch.nr_copies;
	for (uint32_t i = 0; i < io->record->request.nr_segments; i++) {
		const struct segment *seg = &io->segments[i];
		void *theirs = write ? kept(pl, io, i) : NULL;

		pages[i] = dmem_get(&pl->pool);
		iov[i].iov_base = (uint8_t *)pages[i] + seg->offset_bytes;
		iov[i].iov_len = seg->len_bytes;
		if (theirs) {
			memcpy(iov[i].iov_base, theirs, seg->len_bytes);
			counter_add(&io->queue->stats.kept, 1);
		} else if (write) {
			struct grant_copy copy = xfer_segment_copy(io, i);

			grant_batch_copy_in(&pl->batch, &copy);
		}
	}
	io->nr_ops = pl->batch.nr_copies - io->first_op;
}

/* What was copied well is mapped before the response: see persistent.h. */
static int copied(struct pipeline *pl, struct io *io)
{
	if (!grant_batch_copied(&pl->batch, io->first_op, io->nr_ops))
		return -EFAULT;
	for (uint32_t i = 0; i < io->nr_ops; i++)
		persistent_wish(io->queue->persistent,
				grant_batch_copy_gref(&pl->batch, io->first_op + i));
	return 0;
}

static int map_brought_in(struct pipeline *pl, struct io *io)
{
	return copied(pl, io);
}

static void map_bring_out(struct pipeline *pl, struct io *io)
{
	void **pages = io_pages(io);
	io->first_op = pl->batch.nr_copies;
	io->nr_ops = 0;
	/* What a failed read left in our pages is somebody else's data. */
	if (io->record->request.op != REQUEST_READ || io->status)
		return;
	for (uint32_t i = 0; i < io->record->request.nr_segments; i++) {
		const struct segment *seg = &io->segments[i];
		void *theirs = kept(pl, io, i);

		if (theirs) {
			memcpy(theirs, (uint8_t *)pages[i] + seg->offset_bytes, seg->len_bytes);
			counter_add(&io->queue->stats.kept, 1);
		} else {
			struct grant_copy copy = xfer_segment_copy(io, i);

			grant_batch_copy_out(&pl->batch, &copy);
		}
	}
	io->nr_ops = pl->batch.nr_copies - io->first_op;
}

static int map_brought_out(struct pipeline *pl, struct io *io)
{
	void **pages = io_pages(io);
	int status = io->status;

	if (!status)
		status = copied(pl, io);
	for (uint32_t i = 0; i < io->record->request.nr_segments; i++)
		dmem_put(&pl->pool, pages[i]);
	return status;
}

const struct xfer_ops xfer_map = {
	.name = "persistent",
	.bring_in = map_bring_in,
	.brought_in = map_brought_in,
	.bring_out = map_bring_out,
	.brought_out = map_brought_out,
};
