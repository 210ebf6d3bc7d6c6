/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io - one request of a guest on its way through the pipeline.
 *
 * A queue has as many as its ring has slots, so one is always free when a request can be taken. The
 * checked request lies in the record (record.h); what is here is this process's own.
 *
 *   free -> pending, meanwhile [fetching] and [incoming] -> at the bdev -> [outgoing] -> answered: free
 *
 * It is pending from the moment it is taken, so that a queue's requests come to the bdev in the order
 * of the ring, whichever of them had to be fetched first.
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
#include "point.h"
#include "request.h"
#include "table.h"

/*
 * What a successor needs to know of a request. Its daemon may be killed between any two stores, so
 * they are in this order (the compiler is told; a killed process's stores are all there):
 *
 *   taken     the request, then req_idx, then state; it counts once the queue's req_cons is past it,
 *             and nothing of it has an effect before
 *   answered  the answer and rsp_idx, then state, then the response into the ring; it counts once
 *             the queue's rsp_prod is past it, and the guest is told of it after that alone
 *
 * So what is in flight at any instant is: those taken with req_idx before req_cons, and one answered
 * at most, whose response may be half written: it is at rsp_prod, which no guest has seen.
 */
enum io_state {
	IO_FREE,
	IO_TAKEN,
	IO_ANSWERED,
};

struct io_record {
	uint32_t state; /* enum io_state */
	uint32_t req_idx, rsp_idx; /* places on the ring */
	bool settled; /* nothing is to be done but to answer it: */
	int16_t answer; /* BLKIF_RSP_* */
	struct request request;
	uint32_t table; /* number plus 1 of the table that has its segments; 0: they are here */
	struct io_map maps[REQUEST_MAX_SEGMENTS]; /* one a segment, of a direct transfer */
};

/* By which a ring is known again: one that the same frontend has made anew differs in it. */
struct queue_identity {
	uint32_t refs[16]; /* of the ring's pages */
	uint32_t nr_pages;
	uint32_t remote_port;
	uint32_t entry_bytes; /* the ABI */
};

/* A queue in its record. What was taken and not answered was in flight when a daemon was killed. */
struct queue_record {
	uint32_t req_cons; /* as in struct ring; written before the requests have any effect */
	uint32_t rsp_prod; /* as in struct ring; written before the guest can see the responses */
	struct queue_identity identity;
	bool flush_failed; /* the disk's */
	struct io_record ios[]; /* as many as the ring has slots */
};

/* record_order - what is written before is in the record before what is written after. */
#define record_order()                                   \
	do {                                             \
		__atomic_signal_fence(__ATOMIC_SEQ_CST); \
		POINT();                                 \
	} while (0)

/*
 * RECORD - a store that nobody reads but a successor. A build with -Drecording=false, which serves
 * but cannot be killed, has none: what recording costs is the difference (bench/recording).
 */
#ifdef XENBLKD_UNRECORDED
#undef record_order
#define record_order() ((void)0)
#define RECORD(store)  ((void)0)
#else
#define RECORD(store) ((void)(store))
#endif

static inline size_t queue_record_bytes(uint32_t nr_ios)
{
	return sizeof(struct queue_record) + nr_ios * sizeof(struct io_record);
}

/*
 * What a plain request of one segment needs of it is three cache lines, in the order in which it is needed,
 * so that those of a whole batch stay near; what is rare comes last.
 */
struct io {
	_Alignas(64) struct list_node link; /* free, pending or outgoing */
	struct queue *queue;
	struct io_record *record;
	struct table *table; /* of its segments, if they are many; or NULL */
	uint32_t held_pages; /* of its guest's share */
	int status; /* 0 or -errno, once known */

	/* The transfer's own. */
	const struct xfer_ops *xfer;
	uint16_t first_op; /* of its operations in the grant batch */
	uint16_t nr_ops; /* of them, where that is not one a segment */

	bool flushed; /* of a flush or barrier: that is done, and its data is next */

	struct bdev_io bio; /* by its link in fetching or incoming, before it is submitted */
	uint64_t taken_ns, submitted_ns,
		done_ns; /* submitted: at first; 0: the bdev never had it */

	/* One a segment each: in the table if it has one, else in @record. */
	struct segment *segments;
	struct io_map *maps;

	/* One a segment, of a request without a table: see io_iov(), io_pages(). */
	struct iovec few_iov[REQUEST_MAX_SEGMENTS];
	void *few_pages[REQUEST_MAX_SEGMENTS];
};

_Static_assert(offsetof(struct io, few_iov[1]) <= 192, "three lines");

/* io_iov - what the bdev is to be given, an entry a segment. */
static inline struct iovec *io_iov(struct io *io)
{
	return io->table ? io->table->iov : io->few_iov;
}

/* io_pages - pages of dmem, of a transfer by copy, one a segment. */
static inline void **io_pages(struct io *io)
{
	return io->table ? io->table->pages : io->few_pages;
}

#endif
