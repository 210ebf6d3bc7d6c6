/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prp - the memory of one command as NVMe wants it: a list of physical region pages.
 *
 * The first entry may begin anywhere in its page; each further one begins a page, and each but the
 * last goes to its page's end (NVMe 1.4, 4.3). Memory that is otherwise, such as one with a hole in
 * the middle, takes several commands, or a list that can say it (sgl.h): what does not continue here
 * begins the next.
 *
 * Thread: any; pure.
 */
#ifndef XENBLKD_NVME_PRP_H
#define XENBLKD_NVME_PRP_H

#include <stdbool.h>
#include <stdint.h>

#include "cursor.h"
#include "dmem.h"
#include "nvme.h"

/* Entries behind the first. One list holds them, which does not cross a page. */
#define PRP_LIST_ENTRIES 128u
#define PRP_LIST_BYTES	 (PRP_LIST_ENTRIES * 8u)

_Static_assert(NVME_PAGE_BYTES % PRP_LIST_BYTES == 0, "no list crosses a page");

/* What fits whatever the first entry's place in its page. */
#define PRP_MAX_BYTES (PRP_LIST_ENTRIES * NVME_PAGE_BYTES)

struct prp {
	uint64_t first;
	uint64_t end; /* where what follows would have to begin, if within a page */
	uint64_t *list; /* PRP_LIST_ENTRIES entries, the caller's */
	uint32_t nr; /* entries, the first included */
};

/* prp_begin - no memory yet. */
static inline void prp_begin(struct prp *p, uint64_t *list)
{
	*p = (struct prp){ .list = list };
}

/**
 * prp_add - continues with @len_bytes at bus address @bus, all within one page
 *
 * Return: true; or false if no one command can have both what is there and this: nothing changed.
 */
bool prp_add(struct prp *p, uint64_t bus, uint32_t len_bytes);

/**
 * prp_end - the two entries of the command
 *
 * @list_bus: bus address of the list
 */
void prp_end(const struct prp *p, uint64_t list_bus, struct nvme_sqe *sqe);

/**
 * prp_gather - the memory of the next command
 *
 * @at:          moved on by what is returned
 * @limit_bytes: at most this many; a multiple of @block_bytes
 * @block_bytes: the device's
 *
 * Return: bytes, a multiple of @block_bytes and not 0; or -EFAULT: the memory has no bus address;
 * -EINVAL: it does not hold one block that a command could have.
 */
int64_t prp_gather(struct prp *p, const struct dmem *dmem, struct nvme_cursor *at,
		   uint32_t limit_bytes, uint32_t block_bytes);

#endif
