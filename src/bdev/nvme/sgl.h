/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sgl - the memory of one command as a scatter gather list (NVMe 1.4, 4.4), where a controller has them.
 *
 * A descriptor names any bytes, so one list says what PRPs cannot: holes, pieces of pages. PRPs hold
 * more pages in as much memory, and every controller has them: a list is for what they cannot say.
 *
 * Thread: any; pure.
 */
#ifndef XENBLKD_NVME_SGL_H
#define XENBLKD_NVME_SGL_H

#include <stdint.h>

#include "cursor.h"
#include "dmem.h"
#include "nvme.h"
#include "prp.h"

/* A slot has one list, of either kind. */
#define SGL_ENTRIES (PRP_LIST_BYTES / sizeof(struct nvme_sgl))

struct sgl {
	struct nvme_sgl *list; /* SGL_ENTRIES entries, the caller's */
	uint32_t nr;
};

/**
 * sgl_gather - the memory of the next command
 *
 * As prp_gather(); @s->list is the caller's, and the rest of *@s is made anew.
 */
int64_t sgl_gather(struct sgl *s, const struct dmem *dmem, struct nvme_cursor *at,
		   uint32_t limit_bytes, uint32_t block_bytes);

/**
 * sgl_end - what the command says of it: one piece itself, or where the list is
 *
 * @list_bus: bus address of the list
 */
void sgl_end(const struct sgl *s, uint64_t list_bus, struct nvme_sqe *sqe);

#endif
