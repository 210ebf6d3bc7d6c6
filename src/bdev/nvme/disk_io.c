/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "qpair.h"

struct channel {
	struct bdev_channel ch;
	struct qpair *qp;
	struct list finished; /* requests that have ended, for poll() */
	struct list free;
	struct nvme_request requests[];
};

int disk_channel_create(struct bdev *bdev, uint32_t depth, struct bdev_channel **out)
{
	struct disk *d = container_of(bdev, struct disk, bdev);
	struct channel *ch = calloc(1, sizeof(*ch) + depth * sizeof(ch->requests[0]));
	int err;

	if (!ch)
		return -ENOMEM;
	err = qpair_get(d->ctrl, &ch->qp);
	if (err) {
		free(ch);
		return err;
	}
	ch->ch.bdev = bdev;
	list_init(&ch->finished);
	list_init(&ch->free);
	for (uint32_t i = 0; i < depth; i++)
		list_add_tail(&ch->free, &ch->requests[i].link);
	*out = &ch->ch;
	return 0;
}

void disk_channel_destroy(struct bdev_channel *bch)
{
	struct channel *ch = container_of(bch, struct channel, ch);

	qpair_put(ch->qp);
	free(ch);
}

/* Return: 0, or what the request ends with before it has begun. */
static int io_check(const struct disk *d, const struct bdev_io *io)
{
	const struct bdev_info *info = &d->bdev.info;
	uint64_t mask = (1u << d->block_shift) - 1;

	if (io->op == BDEV_FLUSH)
		return 0;
	/* The fence: whatever was checked before, nobody gets past it. */
	if (io->offset_bytes > info->size_bytes ||
	    io->len_bytes > info->size_bytes - io->offset_bytes)
		return -EIO;
	if (io->op != BDEV_READ && info->read_only)
		return -EROFS;
	if (io->op == BDEV_DISCARD && d->discard == DISCARD_NONE)
		return -EOPNOTSUPP;
	if (io->offset_bytes & mask || io->len_bytes & mask)
		return -EINVAL;
	return 0;
}

/* The command, and what stands in its CDW12. */
static void choose_command(const struct disk *d, const struct bdev_io *io, struct nvme_request *req)
{
	switch (io->op) {
	case BDEV_READ:
		req->opcode = NVME_READ;
		break;
	case BDEV_WRITE:
		req->opcode = NVME_WRITE;
		req->cdw12 = io->fua ? NVME_FUA : 0;
		break;
	case BDEV_FLUSH:
		req->opcode = NVME_FLUSH;
		break;
	case BDEV_DISCARD:
		req->opcode = NVME_DATASET_MANAGEMENT;
		if (d->discard == DISCARD_ZERO) {
			req->opcode = NVME_WRITE_ZEROES;
			req->cdw12 = NVME_DEALLOCATE;
		}
		break;
	}
}

int disk_submit(struct bdev_channel *bch, struct bdev_io *io)
{
	struct channel *ch = container_of(bch, struct channel, ch);
	struct disk *d = container_of(bch->bdev, struct disk, bdev);
	struct list_node *n = list_pop(&ch->free);
	struct nvme_request *req;

	if (!n)
		return -EAGAIN;
	req = list_entry(n, struct nvme_request, link);
	*req = (struct nvme_request){
		.finished = &ch->finished,
		.io = io,
		.nsid = d->nsid,
		.block_shift = d->block_shift,
		.block = (d->first_byte + io->offset_bytes) >> d->block_shift,
		.left_bytes = io->op == BDEV_FLUSH ? 0 : io->len_bytes,
		/* Without a cache that forgets, what was completed is durable. */
		.flush = io->op == BDEV_FLUSH && d->bdev.info.flush,
		.at = { .iov = io->iov, .nr_iov = io->nr_iov },
		.status = io_check(d, io),
	};
	choose_command(d, io, req);
	list_node_init(&req->link);
	qpair_add(ch->qp, req);
	return 0;
}

/* The queue pair serves all channels of this thread; each takes what is its own. */
uint32_t disk_poll(struct bdev_channel *bch)
{
	struct channel *ch = container_of(bch, struct channel, ch);
	struct list ended;
	struct list_node *n;
	uint32_t nr = 0;

	qpair_poll(ch->qp);
	/* What done() submits waits for the next poll, so that this one ends. */
	list_init(&ended);
	while ((n = list_pop(&ch->finished)))
		list_add_tail(&ended, n);
	while ((n = list_pop(&ended))) {
		struct nvme_request *req = list_entry(n, struct nvme_request, link);
		struct bdev_io *io = req->io;
		int status = req->status;

		list_add_head(&ch->free, &req->link);
		io->done(io, status);
		nr++;
	}
	return nr;
}

struct read_io {
	struct bdev_io io;
	bool done;
	int status;
};

static void read_done(struct bdev_io *io, int status)
{
	struct read_io *r = container_of(io, struct read_io, io);

	r->status = status;
	r->done = true;
}

/* Blocks that @page can hold, of which some bytes are wanted. */
static int read_page(struct disk *d, struct bdev_channel *ch, void *page, uint64_t offset_bytes,
		     uint32_t len_bytes)
{
	struct iovec iov = { .iov_base = page, .iov_len = len_bytes };
	struct read_io r = {
		.io = { .op = BDEV_READ,
			.offset_bytes = offset_bytes,
			.len_bytes = len_bytes,
			.iov = &iov,
			.nr_iov = 1,
			.done = read_done },
	};
	int err = disk_submit(ch, &r.io);

	while (!err && !r.done) {
		if (!disk_poll(ch))
			usleep(50);
	}
	return err ? err : r.status;
}

static int read_pages(struct disk *d, struct bdev_channel *ch, uint8_t *page, uint64_t offset_bytes,
		      uint8_t *buf, uint32_t len_bytes)
{
	uint32_t block_bytes = 1u << d->block_shift;
	int err = 0;

	while (len_bytes && !err) {
		uint32_t skip = (uint32_t)(offset_bytes & (block_bytes - 1));
		uint32_t n = NVME_PAGE_BYTES - skip;
		uint32_t blocks_bytes;

		if (n > len_bytes)
			n = len_bytes;
		blocks_bytes = (skip + n + block_bytes - 1) & ~(block_bytes - 1);
		err = read_page(d, ch, page, offset_bytes - skip, blocks_bytes);
		if (!err)
			memcpy(buf, page + skip, n);
		buf += n;
		offset_bytes += n;
		len_bytes -= n;
	}
	return err;
}

int disk_read(struct disk *d, uint64_t offset_bytes, void *buf, uint32_t len_bytes)
{
	struct bdev_channel *ch;
	void *page;
	int err = dmem_alloc(d->ctrl->dmem, 1, &page);

	if (err)
		return err;
	err = disk_channel_create(&d->bdev, 1, &ch);
	if (!err) {
		err = read_pages(d, ch, page, offset_bytes, buf, len_bytes);
		disk_channel_destroy(ch);
	}
	dmem_free(d->ctrl->dmem, 1, &page);
	return err;
}
