/* SPDX-License-Identifier: BSD-2-Clause */
#include "prp.h"

#include <errno.h>

bool prp_add(struct prp *p, uint64_t bus, uint32_t len_bytes)
{
	if (!p->nr) {
		p->first = bus;
		p->nr = 1;
	} else if (p->end % NVME_PAGE_BYTES) {
		/* The last entry's page has more: it has to be that. */
		if (bus != p->end)
			return false;
	} else {
		if (bus % NVME_PAGE_BYTES || p->nr > PRP_LIST_ENTRIES)
			return false;
		p->list[p->nr++ - 1] = bus;
	}
	p->end = bus + len_bytes;
	return true;
}

void prp_end(const struct prp *p, uint64_t list_bus, struct nvme_sqe *sqe)
{
	sqe->prp1 = p->first;
	if (p->nr > 2)
		sqe->prp2 = list_bus;
	else
		sqe->prp2 = p->nr == 2 ? p->list[0] : 0;
}

/* Up to @limit_bytes of memory, as much as one command can have. Return: bytes, or -EFAULT. */
static int64_t gather_some(struct prp *p, const struct dmem *dmem, struct nvme_cursor *at,
			   uint32_t limit_bytes)
{
	uint32_t bytes = 0;
	uint64_t bus;
	int64_t n;

	while ((n = cursor_piece(at, dmem, limit_bytes - bytes, &bus)) > 0) {
		if (!prp_add(p, bus, (uint32_t)n))
			break;
		at->done_bytes += (size_t)n;
		bytes += (uint32_t)n;
	}
	return n < 0 ? n : bytes;
}

int64_t prp_gather(struct prp *p, const struct dmem *dmem, struct nvme_cursor *at,
		   uint32_t limit_bytes, uint32_t block_bytes)
{
	struct nvme_cursor from = *at;
	int64_t bytes = gather_some(p, dmem, at, limit_bytes);

	/* A border within a block: the command ends with the block before. */
	if (bytes > 0 && bytes % block_bytes) {
		*at = from;
		prp_begin(p, p->list);
		limit_bytes = (uint32_t)bytes - (uint32_t)bytes % block_bytes;
		bytes = gather_some(p, dmem, at, limit_bytes);
	}
	return bytes ? bytes : -EINVAL;
}
