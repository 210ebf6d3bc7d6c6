/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file_discard - discards of a block device of the kernel's, by a thread of their own.
 *
 * The ioctl that discards blocks, for minutes with some devices, and io_uring has it from Linux 6.12
 * on only. What io_uring has, fallocate(), is for a block device an order to write zeroes: not all
 * that discard can do that, and some write each of them.
 *
 * Each channel has an eventfd, and reads it by its io_uring once for each discard: so a discard takes
 * one entry of the ring like any other request, and wakes whoever sleeps on the ring.
 *
 * Thread: create and destroy control; the rest the channel's reactor.
 */
#ifndef XENBLKD_BDEV_FILE_DISCARD_H
#define XENBLKD_BDEV_FILE_DISCARD_H

#include <stdint.h>

#include "bdev.h"
#include "list.h"

struct discarder;

/* discard_describe - what the kernel says of the block device @fd: discard_* of @info. */
void discard_describe(int fd, struct bdev_info *info);

/**
 * discarder_create - starts the thread
 *
 * @fd: the block device, open for writing; outlives it
 *
 * Return: 0 or -errno.
 */
int discarder_create(int fd, struct discarder **out);
void discarder_destroy(struct discarder *d);

struct discard_channel {
	struct discarder *discarder; /* or NULL: it has no discards */
	int event_fd;
	uint64_t event; /* what is read from it; means nothing */

	/* Under the discarder's lock. */
	struct list_node link; /* in its list while there is something to do */
	struct list todo, ended; /* struct bdev_io */
};

/* Return: 0 or -errno. */
int discard_channel_init(struct discard_channel *ch, struct discarder *d);
void discard_channel_fini(struct discard_channel *ch);

/* discard_start - what ends, ends with one more to read from ch->event_fd. */
void discard_start(struct discard_channel *ch, struct bdev_io *io);

/* discard_ended - one that has ended, after one was read. Return: 0 or -errno. */
int discard_ended(struct discard_channel *ch, struct bdev_io **out);

#endif
