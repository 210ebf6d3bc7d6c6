/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transfer - how the data of a disk crosses the boundary, as an operator chooses it.
 *
 *   copy    by the hypervisor, through pages of ours
 *   direct  by the device, from and to the guest's pages
 *   auto    direct from a request size upwards, copy below: to undo a map Xen flushes TLBs, and to
 *           copy it does not
 *   persistent  by ourselves, through the guest's pages that stay mapped, if the guest does that;
 *           by copy if not
 *
 * Written as "auto", "direct", "copy" or "persistent", or "auto:BYTES" with the size.
 *
 * Thread: any; pure.
 */
#ifndef XENBLKD_TRANSFER_H
#define XENBLKD_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* What "auto" means without a size; doc/performance.md argues for it. */
#define TRANSFER_AUTO_BYTES 65536u

#define TRANSFER_COPY_ALL   UINT32_MAX

struct transfer {
	uint32_t direct_from_bytes; /* 0: all; TRANSFER_COPY_ALL: none */
	bool persistent; /* feature-persistent is offered */
};

/* transfer_parse - Return: 0; or -EINVAL and *@e: @out is then untouched. */
int transfer_parse(const char *text, struct transfer *out, struct error *e);

/**
 * transfer_cut - takes "?transfer=WORD" off the end of a disk's target
 *
 * Nothing else that follows a question mark is touched: file names may have them.
 *
 * @target: cut in place
 * @found:  whether there was one
 *
 * Return: 0; or -EINVAL and *@e if WORD is none.
 */
int transfer_cut(char *target, struct transfer *out, bool *found, struct error *e);

#endif
