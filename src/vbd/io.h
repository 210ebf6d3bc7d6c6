/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io - one request of a guest on its way through the pipeline.
 *
 * A queue has as many as its ring has slots, so one is always free when a request can be taken. The
 * checked request lies in the record (record.h); what is here is this process's own.
 *
 *   free -> taken -> [fetching] -> [incoming] -> pending -> at the bdev -> [outgoing] -> answered:
 *   free
 *
 * Thread: the reactor of its queue.
 */
#ifndef XENBLKD_IO_H
#define XENBLKD_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "bdev.h"
#include "list.h"
#include "request.h"
#include "table.h"

struct io_record {
	struct request request;
	uint32_t table; /* number plus 1 of the table that has its segments; 0: they are here */
	struct io_map maps[REQUEST_MAX_SEGMENTS]; /* one a segment, of a direct transfer */
};

/* A queue in its record. What was taken and not answered was in flight when a daemon was killed. */
struct queue_record {
	uint32_t req_cons; /* as in struct ring; written before the requests have any effect */
	uint32_t rsp_pushed; /* written when the guest can see the responses */
	struct io_record ios[]; /* as many as the ring has slots */
};

static inline size_t queue_record_bytes(uint32_t nr_ios)
{
	return sizeof(struct queue_record) + nr_ios * sizeof(struct io_record);
}

struct io {
	struct list_node link; /* in the list that its place in the life names */
	struct queue *queue;
	struct io_record *record;
	struct bdev_io bio;
	int status; /* 0 or -errno, once known */
	bool flushed; /* of a flush or barrier: that is done, and its data is next */

	/* The transfer's own. */
	const struct xfer_ops *xfer;
	uint32_t first_op; /* of its operations in the grant batch */

	/* One a segment each: in the table if it has one, else in @record and below. */
	struct table *table; /* or NULL */
	struct segment *segments;
	struct io_map *maps;
	void **pages; /* of dmem, of a transfer by copy */
	struct iovec *iov;

	void *few_pages[REQUEST_MAX_SEGMENTS];
	struct iovec few_iov[REQUEST_MAX_SEGMENTS];
};

#endif
