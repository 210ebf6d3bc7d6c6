/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of a disk, on a reactor: SPDK's calls back, from its own poll, fill the list that ours empties. */
#include <spdk/stdinc.h>
#include <spdk/bdev.h>
#include <spdk/thread.h>

#include "host_thread.h"
#include "sdisk.h"

struct request {
	struct list_node link; /* free, finished or again */
	struct channel *ch;
	struct bdev_io *io;
	int status;
	struct spdk_bdev_io_wait_entry wait;
};

struct channel {
	struct bdev_channel ch;
	struct list_node link; /* the host_thread's */
	struct sdisk *disk;
	struct spdk_io_channel *spdk; /* NULL: let go of */
	struct list free, finished;
	uint32_t nr_at_spdk; /* requests that it has, or that wait for it */
	struct request requests[];
};

static void put(struct channel *ch)
{
	spdk_put_io_channel(ch->spdk);
	ch->spdk = NULL;
	sdisk_channel_put(ch->disk);
}

int sdisk_channel_create(struct bdev *bdev, uint32_t depth, struct bdev_channel **out)
{
	struct sdisk *d = container_of(bdev, struct sdisk, bdev);
	struct channel *ch = calloc(1, sizeof(*ch) + depth * sizeof(ch->requests[0]));

	if (!ch)
		return -ENOMEM;
	ch->ch.bdev = bdev;
	ch->disk = d;
	list_init(&ch->free);
	list_init(&ch->finished);
	for (uint32_t i = 0; i < depth; i++) {
		ch->requests[i].ch = ch;
		list_add_tail(&ch->free, &ch->requests[i].link);
	}
	/* Counted before it is looked at: who removes it looks the other way round. */
	atomic_fetch_add(&d->nr_channels, 1);
	if (!atomic_load(&d->gone))
		ch->spdk = spdk_bdev_get_io_channel(d->desc);
	if (!ch->spdk) {
		sdisk_channel_put(d);
		free(ch);
		return atomic_load(&d->gone) ? -ENODEV : -ENOMEM;
	}
	list_add_tail(&host_thread_mine()->channels, &ch->link);
	*out = &ch->ch;
	return 0;
}

void sdisk_channel_destroy(struct bdev_channel *bch)
{
	struct channel *ch = container_of(bch, struct channel, ch);

	list_del(&ch->link);
	if (ch->spdk)
		put(ch);
	free(ch);
}

void sdisk_let_go(struct sdisk *d)
{
	struct channel *ch;

	list_for_each (ch, &host_thread_mine()->channels, link) {
		if (ch->disk == d && ch->spdk && !ch->nr_at_spdk)
			put(ch);
	}
}

static void finish(struct request *req, int status)
{
	struct channel *ch = req->ch;

	req->status = status;
	list_add_tail(&ch->finished, &req->link);
}

static void start(struct request *req);

/* It is SPDK's no more. */
static void ended(struct request *req, int status)
{
	struct channel *ch = req->ch;

	finish(req, status);
	ch->nr_at_spdk--;
	if (!ch->nr_at_spdk && ch->spdk && atomic_load(&ch->disk->gone))
		put(ch);
}

static void again(void *arg)
{
	start(arg);
}

/* Return: false if it ended. */
static bool wait_for_room(struct request *req)
{
	struct channel *ch = req->ch;

	req->wait = (struct spdk_bdev_io_wait_entry){
		.bdev = ch->disk->spdk,
		.cb_fn = again,
		.cb_arg = req,
	};
	return !spdk_bdev_queue_io_wait(ch->disk->spdk, ch->spdk, &req->wait);
}

static void flushed(struct spdk_bdev_io *bio, bool ok, void *arg)
{
	spdk_bdev_free_io(bio);
	ended(arg, ok ? 0 : -EIO);
}

static void flush(struct request *req)
{
	struct sdisk *d = req->ch->disk;
	int err = spdk_bdev_flush(d->desc, req->ch->spdk, 0, d->bdev.info.size_bytes, flushed, req);

	if (err)
		ended(req, -EIO);
}

static void done(struct spdk_bdev_io *bio, bool ok, void *arg)
{
	struct request *req = arg;
	const struct bdev_io *io = req->io;

	spdk_bdev_free_io(bio);
	/* There is no such thing as a write through all caches for all bdevs. */
	if (ok && io->op == BDEV_WRITE && io->fua && req->ch->disk->bdev.info.flush)
		flush(req);
	else
		ended(req, ok ? 0 : atomic_load(&req->ch->disk->gone) ? -ENODEV : -EIO);
}

static int start_io(struct request *req)
{
	struct spdk_bdev_desc *desc = req->ch->disk->desc;
	struct spdk_io_channel *spdk = req->ch->spdk;
	struct bdev_io *io = req->io;

	switch (io->op) {
	case BDEV_READ:
		return spdk_bdev_readv(desc, spdk, io->iov, (int)io->nr_iov, io->offset_bytes,
				       io->len_bytes, done, req);
	case BDEV_WRITE:
		return spdk_bdev_writev(desc, spdk, io->iov, (int)io->nr_iov, io->offset_bytes,
					io->len_bytes, done, req);
	case BDEV_FLUSH:
		return spdk_bdev_flush(desc, spdk, 0, req->ch->disk->bdev.info.size_bytes, done,
				       req);
	case BDEV_DISCARD:
		return spdk_bdev_unmap(desc, spdk, io->offset_bytes, io->len_bytes, done, req);
	}
	return -EINVAL;
}

static void start(struct request *req)
{
	int err = start_io(req);

	if (err == -ENOMEM && wait_for_room(req))
		return;
	if (err)
		ended(req, err == -EINVAL ? -EIO : err);
}

int sdisk_submit(struct bdev_channel *bch, struct bdev_io *io)
{
	struct channel *ch = container_of(bch, struct channel, ch);
	struct list_node *n = list_pop(&ch->free);
	struct request *req;

	if (!n)
		return -EAGAIN;
	req = list_entry(n, struct request, link);
	req->io = io;
	if (!ch->spdk || atomic_load_explicit(&ch->disk->gone, memory_order_relaxed)) {
		finish(req, -ENODEV);
		return 0;
	}
	ch->nr_at_spdk++;
	start(req);
	return 0;
}

uint32_t sdisk_poll(struct bdev_channel *bch)
{
	struct channel *ch = container_of(bch, struct channel, ch);
	struct list_node *n;
	struct list ended_now;
	uint32_t nr = 0;

	/* What done() submits may fail at once: it is for the next poll, so that this one ends. */
	list_init(&ended_now);
	while ((n = list_pop(&ch->finished)))
		list_add_tail(&ended_now, n);
	while ((n = list_pop(&ended_now))) {
		struct request *req = list_entry(n, struct request, link);
		struct bdev_io *io = req->io;
		int status = req->status;

		list_add_head(&ch->free, &req->link);
		io->done(io, status);
		nr++;
	}
	return nr;
}
