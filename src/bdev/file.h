/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file - a bdev on a regular file or a block device of this kernel, by io_uring.
 *
 * file.c opens and describes it; file_io.c moves its data: one io_uring for each channel, so that
 * a poll() enters the kernel once for all that was submitted, or not at all.
 */
#ifndef XENBLKD_BDEV_FILE_H
#define XENBLKD_BDEV_FILE_H

#include "bdev.h"

struct io_uring;

struct file {
	struct bdev bdev;
	int fd; /* without O_NONBLOCK, which would have io_uring answer -EAGAIN instead of waiting */
	struct discarder *discarder; /* of a block device that discards, or NULL */
};

/**
 * file_ring_init - the best io_uring that this kernel has for one thread that also sleeps on it
 *
 * Thread: the one that will use @ring.
 * Return: 0, or -errno; -ENOSYS or -EPERM if there is none.
 */
int file_ring_init(struct io_uring *ring, uint32_t depth);

/* The part of file_ops that moves data; each as in struct bdev_ops. */
int file_channel_create(struct bdev *bdev, uint32_t depth, struct bdev_channel **out);
void file_channel_destroy(struct bdev_channel *bch);
int file_submit(struct bdev_channel *bch, struct bdev_io *io);
uint32_t file_poll(struct bdev_channel *bch);
int file_fd(struct bdev_channel *bch);

#endif
