/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gpt - finds one partition of a GUID partition table (UEFI 2.10, section 5).
 *
 * For devices that this kernel does not partition for us. It reads through a callback and keeps
 * nothing. Whoever wrote the device may be hostile: each number is bounded before it is used, and an
 * extent is given out only if it lies in the usable blocks, clear of the tables and of all other
 * partitions.
 *
 * A table counts only behind a protective MBR, as for Linux: without one the device belongs to an
 * MBR or to no table, and a GPT on it is a remnant, or was put there to be found.
 */
#ifndef XENBLKD_BDEV_GPT_H
#define XENBLKD_BDEV_GPT_H

#include <stdint.h>

#include "error.h"

struct gpt_extent {
	uint64_t first_byte; /* this and size_bytes are multiples of the block size */
	uint64_t size_bytes; /* not 0 */
};

/**
 * gpt_read_fn - reads from the device
 *
 * @offset_bytes, @len_bytes: multiples of the block size and within the device
 * @len_bytes:                at most 4 MiB; 16 KiB for the tables that are usual
 * @buf:                      ordinary memory, without an alignment to rely on
 *
 * Return: 0 with all of @buf written, or -errno.
 */
typedef int (*gpt_read_fn)(void *arg, uint64_t offset_bytes, void *buf, uint32_t len_bytes);

/**
 * gpt_find - finds the partition that @selector names
 *
 * @size_bytes:  of the device; what is left after the last whole block does not count
 * @block_bytes: of the device's logical blocks, 512 or 4096
 * @selector:    a number ("3", from 1), "PARTUUID=" and a UUID, "PARTLABEL=" and a label in UTF-8;
 *               or without a prefix: digits are a number, what looks like a UUID is one, and all
 *               else is a label
 * @e:           on failure what follows the device's name in a sentence: "has no GPT: ..."
 *
 * The backup at the last block is read only if the table at LBA 1 is bad or cannot be read, and its
 * use is logged.
 *
 * Thread: any that @read may block.
 * Return: 0 and *@out; -ENOENT if there is no such partition, -ENOTUNIQ if there are several,
 * -EINVAL if the selector, the table or the partition is malformed or there is no table, -ENOMEM, or
 * what @read returned. On failure *@out is untouched.
 */
int gpt_find(gpt_read_fn read, void *arg, uint64_t size_bytes, uint32_t block_bytes,
	     const char *selector, struct gpt_extent *out, struct error *e);

#endif
