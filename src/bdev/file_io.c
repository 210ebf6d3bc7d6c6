/* SPDX-License-Identifier: BSD-2-Clause */
#include "file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "file_discard.h"
#include "log.h"

/* A request that is not over yet; not an errno. */
#define GO_ON 1

struct file_channel {
	struct bdev_channel ch;
	struct io_uring ring;
	uint32_t depth;
	uint32_t nr_inflight; /* held back, or in the kernel */
	bool refusal_logged;
	struct discard_channel discards;
};

/*
 * Best first. With COOP_TASKRUN (Linux 5.19, SINGLE_ISSUER 6.0) the kernel does not interrupt a
 * reactor that runs, to complete a request: it sets a flag in shared memory, and writes the
 * completion when we next enter. One that sleeps it wakes, so that epoll_wait() may end with EINTR.
 * Without it completions are written at once, and the flag stays clear.
 *
 * Not DEFER_TASKRUN: with it, newer kernels (6.18) do not wake who sleeps on the ring's fd.
 */
static const unsigned int ring_flags[] = {
	IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SINGLE_ISSUER,
	0,
};

int file_ring_init(struct io_uring *ring, uint32_t depth)
{
	int err = -EINVAL;

	for (size_t i = 0; i < sizeof(ring_flags) / sizeof(ring_flags[0]) && err == -EINVAL; i++)
		err = io_uring_queue_init(depth, ring, ring_flags[i]);
	return err;
}

int file_channel_create(struct bdev *bdev, uint32_t depth, struct bdev_channel **out)
{
	struct file_channel *ch;
	int err;

	ch = calloc(1, sizeof(*ch));
	if (!ch)
		return -ENOMEM;
	err = discard_channel_init(&ch->discards, container_of(bdev, struct file, bdev)->discarder);
	if (err)
		goto free;
	err = file_ring_init(&ch->ring, depth);
	if (err)
		goto fini_discards;
	ch->ch.bdev = bdev;
	ch->depth = depth;
	*out = &ch->ch;
	return 0;
fini_discards:
	discard_channel_fini(&ch->discards);
free:
	free(ch);
	return err;
}

void file_channel_destroy(struct bdev_channel *bch)
{
	struct file_channel *ch = container_of(bch, struct file_channel, ch);

	io_uring_queue_exit(&ch->ring);
	discard_channel_fini(&ch->discards);
	free(ch);
}

static void discard_prepare(struct file_channel *ch, struct io_uring_sqe *sqe, int fd,
			    const struct bdev_io *io)
{
	struct discard_channel *discards = &ch->discards;

	if (discards->discarder)
		io_uring_prep_read(sqe, discards->event_fd, &discards->event,
				   sizeof(discards->event), 0);
	else
		/* May block: the kernel always has a worker of its own do it. */
		io_uring_prep_fallocate(sqe, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)io->offset_bytes, (off_t)io->len_bytes);
}

/*
 * The file is not registered with the ring: a ring ends in the background, and would keep a device
 * claimed that is closed and opened again, as when a guest reboots.
 */
static void io_prepare(struct file_channel *ch, struct bdev_io *io)
{
	int fd = container_of(ch->ch.bdev, struct file, bdev)->fd;
	uint64_t offset_bytes = io->offset_bytes + io->progress_bytes;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ch->ring);
	uint32_t first = 0;

	assert(sqe); /* the ring has room for depth, and each in flight takes one at most */
	while (first < io->nr_iov && !io->iov[first].iov_len)
		first++;

	switch (io->op) {
	case BDEV_READ:
		io_uring_prep_readv(sqe, fd, io->iov + first, io->nr_iov - first, offset_bytes);
		break;
	case BDEV_WRITE:
		io_uring_prep_writev2(sqe, fd, io->iov + first, io->nr_iov - first, offset_bytes,
				      io->fua ? RWF_DSYNC : 0);
		break;
	case BDEV_FLUSH:
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
		break;
	case BDEV_DISCARD:
		discard_prepare(ch, sqe, fd, io);
		break;
	}
	io_uring_sqe_set_data(sqe, io);
}

int file_submit(struct bdev_channel *bch, struct bdev_io *io)
{
	struct file_channel *ch = container_of(bch, struct file_channel, ch);

	if (ch->nr_inflight == ch->depth)
		return -EAGAIN;
	ch->nr_inflight++;
	io->progress_bytes = 0;
	io_prepare(ch, io);
	if (io->op == BDEV_DISCARD && ch->discards.discarder)
		discard_start(&ch->discards, io);
	return 0;
}

/* What is done leaves entries of length 0, which io_prepare() steps over. */
static void iov_skip(struct bdev_io *io, size_t bytes)
{
	for (struct iovec *v = io->iov; bytes; v++) {
		size_t n = bytes < v->iov_len ? bytes : v->iov_len;

		v->iov_base = (char *)v->iov_base + n;
		v->iov_len -= n;
		bytes -= n;
	}
}

/*
 * io_advance - takes in one result of the kernel
 *
 * The kernel means "again" by EINTR and EAGAIN and says neither for long, so there is no limit.
 *
 * Return: 0 or -errno if the request is over, else GO_ON.
 */
static int io_advance(struct bdev_io *io, int res)
{
	if (res == -EINTR || res == -EAGAIN)
		return GO_ON;
	if (res < 0 || io->op == BDEV_FLUSH || io->op == BDEV_DISCARD)
		return res;
	/* The file has become shorter. What the buffer holds past its end is not the disk's. */
	if (res == 0 || (io->op == BDEV_READ && res % 512))
		return -EIO;

	io->progress_bytes += (uint64_t)res;
	if (io->progress_bytes == io->len_bytes)
		return 0;
	iov_skip(io, (size_t)res);
	return GO_ON;
}

/* No system call, so that what done() submits waits for the next poll(), and this one ends. */
static uint32_t reap(struct file_channel *ch)
{
	struct io_uring_cqe *cqe;
	uint32_t nr_seen = 0, nr_done = 0;
	unsigned int head;

	io_uring_for_each_cqe(&ch->ring, head, cqe)
	{
		struct bdev_io *io = io_uring_cqe_get_data(cqe);
		int status = io_advance(io, cqe->res);

		nr_seen++;
		if (status == GO_ON) {
			io_prepare(ch, io);
			continue;
		}
		/* It was an event that was read: one has ended, not necessarily this one. */
		if (io->op == BDEV_DISCARD && ch->discards.discarder)
			status = discard_ended(&ch->discards, &io);
		nr_done++;
		ch->nr_inflight--;
		io->done(io, status);
	}
	io_uring_cq_advance(&ch->ring, nr_seen);
	return nr_done;
}

/* Whatever the kernel does not take stays in the ring, for the next poll(). */
static void enter(struct file_channel *ch)
{
	int n = io_uring_submit_and_get_events(&ch->ring);

	if (n >= 0 || n == -EAGAIN || n == -EBUSY || n == -EINTR || ch->refusal_logged)
		return;
	ch->refusal_logged = true;
	log_error("io_uring_enter: %s; %u requests wait, and are tried again", strerror(-n),
		  ch->nr_inflight);
}

uint32_t file_poll(struct bdev_channel *bch)
{
	struct file_channel *ch = container_of(bch, struct file_channel, ch);
	bool deferred = IO_URING_READ_ONCE(*ch->ring.sq.kflags) & IORING_SQ_TASKRUN;
	uint32_t nr_done;

	if (deferred || io_uring_sq_ready(&ch->ring))
		enter(ch);
	nr_done = reap(ch);
	/* For what is held back still, the fd will not become readable. */
	if (!nr_done && io_uring_sq_ready(&ch->ring))
		return 1;
	return nr_done;
}

int file_fd(struct bdev_channel *bch)
{
	return container_of(bch, struct file_channel, ch)->ring.ring_fd;
}
