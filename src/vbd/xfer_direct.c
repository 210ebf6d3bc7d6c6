/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "pipeline.h"
#include "queue.h"
#include "xfer.h"

/*
 * Each segment's grant is mapped for devices alone, and the device gets a pointer into the bus
 * window. What is written to the disk is mapped read-only: the device is not to change it, and the
 * guest may have granted no more.
 *
 * The maps are undone before the response. For one that could be written Xen then marks the page
 * dirty, so that a live migration that copies the guest's memory sees what the device wrote.
 */
static void direct_bring_in(struct pipeline *pl, struct io *io)
{
	const struct request *req = &io->record->request;

	io->first_op = pl->batch.nr_maps;
	for (uint32_t i = 0; i < req->nr_segments; i++)
		grant_batch_map(&pl->batch, io->queue->domid, io->segments[i].gref,
				req->op != REQUEST_READ);
}

static int direct_brought_in(struct pipeline *pl, struct io *io)
{
	const struct request *req = &io->record->request;
	struct iovec *iov = io_iov(io);
	int status = 0;

	for (uint32_t i = 0; i < req->nr_segments; i++) {
		const struct segment *seg = &io->segments[i];
		struct io_map *map = &io->maps[i];
		uint8_t *window = NULL;
		bool mapped =
			grant_batch_mapped(&pl->batch, io->first_op + i, &map->handle, &map->bus);

		/* Which one it is before that it is one. */
		record_order();
		map->mapped = mapped;
		POINT();
		if (mapped)
			window = dmem_window(pl->dmem, map->bus);
		if (!window) {
			status = -EFAULT;
			continue;
		}
		iov[i].iov_base = window + seg->offset_bytes;
		iov[i].iov_len = seg->len_bytes;
	}
	return status;
}

static void direct_bring_out(struct pipeline *pl, struct io *io)
{
	const struct request *req = &io->record->request;

	io->first_op = pl->batch.nr_unmaps;
	for (uint32_t i = 0; i < req->nr_segments; i++) {
		const struct io_map *map = &io->maps[i];

		if (map->mapped)
			grant_batch_unmap(&pl->batch, map->handle, map->bus, map);
	}
}

static int direct_brought_out(struct pipeline *pl, struct io *io)
{
	const struct request *req = &io->record->request;
	uint32_t op = io->first_op;
	int status = io->status;

	for (uint32_t i = 0; i < req->nr_segments; i++) {
		struct io_map *map = &io->maps[i];

		if (!map->mapped)
			continue;
		/* A guest whose page we still hold must not be told that all went well. */
		if (!grant_batch_unmapped(&pl->batch, op++) && !status)
			status = -EIO;
		POINT();
		map->mapped = false;
		POINT();
	}
	return status;
}

const struct xfer_ops xfer_direct = {
	.name = "direct",
	.bring_in = direct_bring_in,
	.brought_in = direct_brought_in,
	.bring_out = direct_bring_out,
	.brought_out = direct_brought_out,
};
