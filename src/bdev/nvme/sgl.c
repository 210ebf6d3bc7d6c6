/* SPDX-License-Identifier: BSD-2-Clause */
#include "sgl.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool add(struct sgl *s, uint64_t bus, uint32_t len_bytes)
{
	struct nvme_sgl *last = s->nr ? &s->list[s->nr - 1] : NULL;

	if (last && last->address + last->len_bytes == bus) {
		last->len_bytes += len_bytes;
		return true;
	}
	if (s->nr == SGL_ENTRIES)
		return false;
	s->list[s->nr++] = (struct nvme_sgl){ .address = bus,
					      .len_bytes = len_bytes,
					      .type = NVME_SGL_DATA_BLOCK };
	return true;
}

/* Up to @limit_bytes of memory, as much as one list can have. Return: bytes, or -EFAULT. */
static int64_t gather_some(struct sgl *s, const struct dmem *dmem, struct nvme_cursor *at,
			   uint32_t limit_bytes)
{
	uint32_t bytes = 0;
	uint64_t bus;
	int64_t n;

	s->nr = 0;
	while ((n = cursor_piece(at, dmem, limit_bytes - bytes, &bus)) > 0) {
		if (!add(s, bus, (uint32_t)n))
			break;
		at->done_bytes += (size_t)n;
		bytes += (uint32_t)n;
	}
	return n < 0 ? n : bytes;
}

int64_t sgl_gather(struct sgl *s, const struct dmem *dmem, struct nvme_cursor *at,
		   uint32_t limit_bytes, uint32_t block_bytes)
{
	struct nvme_cursor from = *at;
	int64_t bytes = gather_some(s, dmem, at, limit_bytes);

	/* The list was full within a block: the command ends with the block before. */
	if (bytes > 0 && bytes % block_bytes) {
		*at = from;
		bytes = gather_some(s, dmem, at, (uint32_t)(bytes - bytes % block_bytes));
	}
	return bytes ? bytes : -EINVAL;
}

void sgl_end(const struct sgl *s, uint64_t list_bus, struct nvme_sqe *sqe)
{
	struct nvme_sgl entry = s->list[0];

	if (s->nr > 1)
		entry = (struct nvme_sgl){ .address = list_bus,
					   .len_bytes = s->nr * (uint32_t)sizeof(entry),
					   .type = NVME_SGL_LAST_SEGMENT };
	sqe->flags = NVME_SQE_SGL;
	/* It lies where the two PRPs would. */
	memcpy(&sqe->prp1, &entry.address, sizeof(sqe->prp1));
	memcpy(&sqe->prp2, &entry.len_bytes, sizeof(sqe->prp2));
}
