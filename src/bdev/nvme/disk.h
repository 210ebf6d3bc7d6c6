/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk - a namespace of an NVMe controller, or a part of one, as a bdev.
 *
 * disk.c opens and describes it; disk_io.c takes its requests, each of which is held against the
 * disk's own borders: many guests share a drive, each fenced to its part.
 */
#ifndef XENBLKD_NVME_DISK_H
#define XENBLKD_NVME_DISK_H

#include "bdev.h"
#include "ctrl.h"
#include "list.h"

/* How a discard is done. */
enum disk_discard {
	DISCARD_NONE,
	DISCARD_DEALLOCATE, /* dataset management: the drive does as it likes */
	DISCARD_ZERO, /* write zeroes, by deallocating */
};

struct disk {
	struct bdev bdev;
	struct list_node link; /* the controller's */
	struct ctrl *ctrl;
	uint32_t nsid;
	uint32_t block_shift;
	uint64_t first_byte; /* of the namespace; a multiple of the block */
	enum disk_discard discard;
};

/* The part of nvme_ops that moves data; each as in struct bdev_ops. */
int disk_channel_create(struct bdev *bdev, uint32_t depth, struct bdev_channel **out);
void disk_channel_destroy(struct bdev_channel *bch);
int disk_submit(struct bdev_channel *bch, struct bdev_io *io);
uint32_t disk_poll(struct bdev_channel *bch);

/* disk_choose_discard - by what the controller can; where the disk begins is known. Pure. */
void disk_choose_discard(struct disk *d, const struct identify_ns *ns);

/**
 * disk_read - reads from a disk whose channels nobody has made, and waits for it
 *
 * Thread: control; blocks.
 * Return: 0 or -errno.
 */
int disk_read(struct disk *d, uint64_t offset_bytes, void *buf, uint32_t len_bytes);

#endif
