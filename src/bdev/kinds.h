/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kinds - the kinds of bdev there are; a new one is a line here, one in bdev.c, and its file.
 */
#ifndef XENBLKD_BDEV_KINDS_H
#define XENBLKD_BDEV_KINDS_H

struct bdev_ops;

extern const struct bdev_ops file_ops;
extern const struct bdev_ops null_ops;
extern const struct bdev_ops nvme_ops;
extern const struct bdev_ops spdk_ops;

#endif
