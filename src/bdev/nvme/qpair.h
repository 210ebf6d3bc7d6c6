/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qpair - one submission and one completion queue, of one thread on one controller.
 *
 * Requests wait in a list until qpair_poll() makes commands of them, as many as there are slots,
 * rings the doorbell once for all, and takes what has been completed. The other doorbell only says
 * that there is room again: it is rung when there might not be.
 * A request may take several commands: at the most that one command may move, and where its memory
 * cannot be said in one list (prp.h, sgl.h). It ends when all have ended; the first error counts.
 *
 * The controller is not trusted with our memory: an id that it answers with names a slot and which
 * use of the slot is meant, and one that fits nothing in flight is an error of the controller's, for
 * which it is reset.
 *
 * Thread: the owner's; but the keeper, holding @lock, resets the controller below it. The owner takes
 * @lock for the length of a poll, and does not wait for it.
 */
#ifndef XENBLKD_NVME_QPAIR_H
#define XENBLKD_NVME_QPAIR_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "bdev.h"
#include "ctrl.h"
#include "list.h"
#include "nvme.h"
#include "prp.h"

#define QPAIR_MAX_SLOTS (CTRL_QUEUE_DEPTH - 1)
#define QPAIR_LIST_PAGES \
	((QPAIR_MAX_SLOTS * PRP_LIST_BYTES + NVME_PAGE_BYTES - 1) / NVME_PAGE_BYTES)

/* How often one command is sent, in all. */
#define QPAIR_MAX_TRIES 4

/* One request on its way; a channel has as many as its depth. */
struct nvme_request {
	struct list_node link; /* free, waiting, or finished */
	struct list *finished; /* where it goes when it has ended */
	struct bdev_io *io;
	uint8_t opcode;
	uint32_t cdw12; /* beside the number of blocks */
	uint32_t nsid;
	uint32_t block_shift;
	uint64_t block; /* of the namespace, where the next command begins */
	uint64_t left_bytes; /* without commands as yet */
	bool flush; /* wants a command without data */
	struct nvme_cursor at; /* in its memory, likewise */
	uint32_t nr_commands; /* in flight */
	int status; /* 0, or the first error */
};

enum slot_state {
	SLOT_FREE,
	SLOT_SENT, /* the controller has it, or will when the doorbell rings */
	SLOT_RESTING, /* is sent once more, when its time has come */
};

struct slot {
	enum slot_state state;
	struct nvme_request *req;
	struct nvme_sqe sqe; /* as it was sent */
	uint64_t due_ms; /* sent: when it is too late; resting: when to send it again */
	uint16_t use; /* counts the uses of the slot, so that an old answer is known as such */
	uint8_t tries;
	bool aborted; /* the controller was asked to */
	void *list; /* of PRPs, of an SGL, or of ranges */
	uint64_t list_bus;
};

struct qpair_stats {
	uint64_t commands; /* sent, each time counted */
	uint64_t sq_doorbells, cq_doorbells; /* rung */
};

struct qpair {
	struct list_node link; /* the controller's */
	struct ctrl *ctrl;
	pthread_t owner;
	uint32_t refs; /* channels; the owner's */
	uint16_t qid;
	uint32_t depth; /* entries of the submission queue */
	uint32_t cq_depth; /* and of the other, with room for what its doorbell is spared */
	struct list waiting; /* requests that want commands; the owner's */

	pthread_mutex_t lock; /* all below */
	void *pages[2 + QPAIR_LIST_PAGES];
	struct nvme_sqe *sq;
	volatile struct nvme_cqe *cq;
	uint32_t sq_tail, sq_rung; /* rung: what the controller was told */
	uint32_t cq_head;
	uint32_t cq_unrung; /* entries taken that the controller was not told of */
	bool cq_phase;
	struct slot slots[QPAIR_MAX_SLOTS];
	uint8_t free[QPAIR_MAX_SLOTS]; /* stack of slots */
	uint32_t nr_free;
	uint32_t nr_slots;
	uint32_t nr_resting;
	uint64_t now_ms, looked_ms, asked_ms;
	struct log_limit log_limit;
	struct qpair_stats stats;
	bool resend; /* the controller was reset: what was sent has to be sent again */
	bool lied; /* it answered what it was not asked */
};

/**
 * qpair_get - the calling thread's queue pair on the controller
 *
 * Return: 0 or -errno.
 */
int qpair_get(struct ctrl *c, struct qpair **out);

/* qpair_put - the reverse; no request of this channel is left. */
void qpair_put(struct qpair *qp);

/* qpair_add - the request waits for qpair_poll(). */
static inline void qpair_add(struct qpair *qp, struct nvme_request *req)
{
	list_add_tail(&qp->waiting, &req->link);
}

/* qpair_poll - starts what waits and takes what was completed, into the requests' lists. */
void qpair_poll(struct qpair *qp);

/* For the keeper, which holds the controller's lock and all locks of its queue pairs. */

/* qpair_free_stuck - frees what could not be deleted; the controller is halted. */
void qpair_free_stuck(struct ctrl *c);

/* qpair_create_queues - tells the controller of empty queues. Return: 0 or -errno. */
int qpair_create_queues(struct qpair *qp);

/* qpair_claimed - Return: the slot in flight that an answer is about; NULL if there is none such. */
struct slot *qpair_claimed(struct qpair *qp, const struct nvme_cqe *cqe);

/**
 * qpair_overdue - looks for a command that has been in flight for longer than it may
 *
 * @aborted: one that was aborted, and got time for that
 *
 * Return: its slot, or NULL.
 */
struct slot *qpair_overdue(struct qpair *qp, uint64_t now_ms, bool aborted);

/* What is this far from now is good enough for time-outs, and costs no system call in any guest. */
static inline uint64_t coarse_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

#endif
