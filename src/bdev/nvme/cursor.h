/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cursor - how far commands have been made of an iovec.
 *
 * Thread: any; pure.
 */
#ifndef XENBLKD_NVME_CURSOR_H
#define XENBLKD_NVME_CURSOR_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "dmem.h"
#include "nvme.h"

struct nvme_cursor {
	const struct iovec *iov; /* the entry to go on with, */
	uint32_t nr_iov; /* of so many, */
	size_t done_bytes; /* this far in */
};

/**
 * cursor_piece - what comes next, as far as its page goes
 *
 * @at:          stays, but for entries that are used up; who takes the piece adds to @done_bytes
 * @limit_bytes: at most this many
 * @bus:         out: its bus address
 *
 * Return: bytes, 0 if there are no more; or -EFAULT: the memory has no bus address.
 */
static inline int64_t cursor_piece(struct nvme_cursor *at, const struct dmem *dmem,
				   uint32_t limit_bytes, uint64_t *bus)
{
	const uint8_t *ptr;
	uint32_t n;

	while (at->nr_iov && at->done_bytes == at->iov->iov_len) {
		at->iov++;
		at->nr_iov--;
		at->done_bytes = 0;
	}
	if (!at->nr_iov || !limit_bytes)
		return 0;
	ptr = (const uint8_t *)at->iov->iov_base + at->done_bytes;
	/* Pages of virtual memory are pages of bus addresses: dmem has both so aligned. */
	n = NVME_PAGE_BYTES - (uintptr_t)ptr % NVME_PAGE_BYTES;
	if (n > at->iov->iov_len - at->done_bytes)
		n = (uint32_t)(at->iov->iov_len - at->done_bytes);
	if (n > limit_bytes)
		n = limit_bytes;
	*bus = dmem_bus(dmem, ptr);
	return *bus == DMEM_NO_BUS ? -EFAULT : (int64_t)n;
}

#endif
