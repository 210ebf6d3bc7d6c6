/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rmw - a bdev that takes multiples of 512 bytes, over one whose blocks are larger.
 *
 * Requests of whole blocks go through to it as they are, their memory with them. Others go by memory
 * of ours: a read reads the blocks around and copies out what was asked for; a write reads the blocks
 * at its ends as far as it does not fill them, copies in, and writes whole blocks. Blocks that have
 * not been written in between come back as they were, so nothing else may write to them meanwhile,
 * be it through another channel: writes that overlap wait for each other if one of them merges.
 *
 * bdev_open() puts it where it is needed; nobody else knows of it.
 */
#ifndef XENBLKD_BDEV_RMW_H
#define XENBLKD_BDEV_RMW_H

#include "bdev.h"

/* The largest blocks that it makes smaller: a page. */
#define RMW_MAX_BLOCK_BYTES 4096u

/**
 * rmw_open - puts one over @lower, whose logical_block_bytes are a power of two
 *
 * @lower: becomes its own
 * @dmem:  where memory for the merging comes from, if @lower does DMA; else it may be NULL
 *
 * Thread: control.
 * Return: 0 and *@out; or -errno and *@e, and @lower is closed.
 */
int rmw_open(struct bdev *lower, struct dmem *dmem, struct bdev **out, struct error *e);

#endif
