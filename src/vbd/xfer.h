/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfer - how data crosses the boundary between guest and device.
 *
 * Two steps: bring_in() before the device gets the request, bring_out() after it is done with it.
 * Each adds operations to the reactor's grant batch; when those of all requests are in, the batch is
 * flushed in one hypercall and the second half of the step looks at the statuses. Every request
 * with data that went in comes out, whether the device succeeded or not.
 *
 * Thread: the reactor's; nothing here blocks or allocates.
 */
#ifndef XENBLKD_XFER_H
#define XENBLKD_XFER_H

#include <stdbool.h>

#include "grant.h"
#include "io.h"

struct pipeline;

struct xfer_ops {
	const char *name;

	/* bring_in - adds operations; the pipeline has room: see pipeline_has_room(). */
	void (*bring_in)(struct pipeline *pl, struct io *io);

	/*
	 * brought_in - after the flush; io_iov(io) is set up.
	 * Return: 0, or -errno: the device must not see it.
	 */
	int (*brought_in)(struct pipeline *pl, struct io *io);

	/* bring_out - adds operations, by io->status; the batch has room for one a segment. */
	void (*bring_out)(struct pipeline *pl, struct io *io);

	/* brought_out - after the flush; lets go of everything. Return: 0 or -errno. */
	int (*brought_out)(struct pipeline *pl, struct io *io);
};

/* By the hypervisor, through pages of our own. */
extern const struct xfer_ops xfer_copy;

/* By ourselves, where the guest's pages stay mapped; by the hypervisor else. */
extern const struct xfer_ops xfer_map;

/* xfer_segment_copy - segment @i by the hypervisor: at the same place in its page as in the guest's. */
struct grant_copy xfer_segment_copy(struct io *io, uint32_t i);

/* By the device, from and to the guest's pages, which are mapped for it alone. */
extern const struct xfer_ops xfer_direct;

#endif
