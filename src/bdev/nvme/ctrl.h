/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctrl - one NVMe controller that we drive: its life, and its admin queue.
 *
 * A controller serves many disks: the first that wants it takes it from the kernel and starts it,
 * the last gives it back. Each thread that does I/O has a queue pair of its own on it (qpair.h).
 *
 * Admin commands are rare and synchronous. Whoever sends one holds @lock, which also guards the list
 * of queue pairs: threads that begin or end I/O, the control thread, and the keeper (keeper.h),
 * which looks after commands that do not end.
 *
 * Nothing here reaches memory by DMA when ctrl_put() has returned or after ctrl_halt().
 */
#ifndef XENBLKD_NVME_CTRL_H
#define XENBLKD_NVME_CTRL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dmem.h"
#include "error.h"
#include "health.h"
#include "identify.h"
#include "list.h"
#include "log.h"
#include "nvme.h"
#include "pci.h"

#define CTRL_MAX_QPAIRS	 63
#define CTRL_ADMIN_DEPTH 32u

/* Entries of an I/O queue: as many as a page holds, so that it is contiguous. */
#define CTRL_QUEUE_DEPTH 64u

/* Of a completion queue: a page as well. */
#define CTRL_CQ_DEPTH 256u

/* How long an I/O command may take. */
#define CTRL_TIMEOUT_MS 30000u

/* How long an admin command may take; a reactor that ends a queue waits for one at the most. */
#define CTRL_ADMIN_TIMEOUT_MS 20000u

/* The pages of the controller's own. */
enum ctrl_page {
	CTRL_ADMIN_SQ,
	CTRL_ADMIN_CQ,
	CTRL_DATA, /* of admin commands */
	CTRL_NR_PAGES,
};

struct keeper;

struct ctrl {
	struct list_node link; /* in the list of all; the control thread's */
	struct list disks; /* struct disk (disk.h); the control thread's */
	struct dmem *dmem;
	struct pci_device pci;
	struct keeper *keeper;
	struct log_limit log_limit; /* for what the controller reports */
	struct health health;

	uint32_t depth; /* entries of an I/O submission queue */
	uint32_t cq_depth; /* and of its completion queue */
	uint32_t max_qids; /* I/O queues that it is asked for */
	uint32_t doorbell_bytes; /* from one doorbell to the next */
	uint32_t ready_ms; /* how long it may take to start or stop */
	uint32_t page_min_bytes;
	struct identify_ctrl id;
	uint32_t max_bytes; /* of one command */
	uint32_t max_deallocate_blocks, max_zero_bytes; /* likewise */
	uint32_t timeout_ms; /* of an I/O command */
	uint32_t admin_timeout_ms;

	pthread_mutex_t lock; /* all below */
	void *pages[CTRL_NR_PAGES];
	uint32_t admin_tail, admin_head;
	uint16_t admin_cid;
	bool admin_phase;
	bool lost; /* an admin command got no answer: none is sent until a reset */
	bool has_event; /* an answer came to what ctrl_admin_event() asked, */
	uint32_t event; /* this */
	uint64_t qids; /* bit n: I/O queue n is in use */
	uint32_t nr_qids; /* ids go from 1 to this */
	struct list qpairs;
	struct list stuck; /* queue pairs that could not be deleted: their pages wait for the end */
	int dead; /* 0; or -errno: it is halted and everything fails. Also read under a qpair's lock */
};

/**
 * ctrl_get - the controller at @bdf, started
 *
 * Thread: control; may block for seconds.
 * Return: 0, or -errno and *@e.
 */
int ctrl_get(const char *bdf, struct dmem *dmem, struct ctrl **out, struct error *e);

/* ctrl_put - gives it up if no disk is left; no queue pair is then. Thread: control; may block. */
void ctrl_put(struct ctrl *c);

/* ctrl_see - each controller there is. Thread: control. */
void ctrl_see(void (*see)(void *arg, const struct controller *c), void *arg);

/**
 * ctrl_identify_ns - what a namespace is
 *
 * Thread: any.
 * Return: 0, or -errno and *@e.
 */
int ctrl_identify_ns(struct ctrl *c, uint32_t nsid, struct identify_ns *out, struct error *e);

/**
 * ctrl_stop_leftovers - stops controllers that a process drove which was killed
 *
 * They stay away from the kernel until they are opened, and closed, once more.
 *
 * Thread: control, before anything that they may write to is unmapped.
 * Return: 0, or -errno and *@e: one may still be running.
 */
int ctrl_stop_leftovers(struct error *e);

/* For keeper.c and qpair.c; @c->lock is held. */

/**
 * ctrl_enable - starts a controller that is halted, up to where queue pairs can be made
 *
 * Return: 0, or -errno and *@e: what follows its name in a sentence.
 */
int ctrl_enable(struct ctrl *c, struct error *e);

/**
 * ctrl_halt - stops it: nothing is written to memory any more
 *
 * By its own means, and by taking its DMA away if it does not obey.
 *
 * Return: 0; -ENODEV if it is not there any more; -EIO if it did not obey.
 */
int ctrl_halt(struct ctrl *c);

/*
 * The admin commands (admin.c). Return: 0; -errno by their status; -ETIMEDOUT or -ENODEV if there was
 * no answer: the controller has to be halted then, before memory that it was told of is used again.
 * After -ETIMEDOUT the keeper, if there is one, sees to that.
 */
int ctrl_admin(struct ctrl *c, struct nvme_sqe *sqe, uint32_t timeout_ms, uint32_t *result);

/* ctrl_identify - into the page CTRL_DATA. */
int ctrl_identify(struct ctrl *c, enum nvme_identify what, uint32_t nsid);

/* ctrl_set_queues - asks for @want I/O queues of each kind: there are then c->nr_qids. */
int ctrl_set_queues(struct ctrl *c, uint32_t want);

/* ctrl_create_queues - a pair by one id, empty. */
int ctrl_create_queues(struct ctrl *c, uint16_t qid, const void *sq, const void *cq);
int ctrl_delete_queues(struct ctrl *c, uint16_t qid);

/* ctrl_abort - asks for an end of a command; what becomes of it, its own completion says. */
int ctrl_abort(struct ctrl *c, uint16_t qid, uint16_t cid, uint32_t timeout_ms);

/* ctrl_admin_event - asks to be told of the next event; the answer may take for ever. */
void ctrl_admin_event(struct ctrl *c);

/* ctrl_admin_look - takes answers that nobody waits for. */
void ctrl_admin_look(struct ctrl *c);

/* ctrl_ask_events - asks for events (event.c); after ctrl_enable(). */
void ctrl_ask_events(struct ctrl *c);

/* ctrl_look_events - logs an event. Return: whether there was one; if not it reads memory alone. */
bool ctrl_look_events(struct ctrl *c);

/* ctrl_doorbell - where the doorbell of a queue is (NVMe 1.4, 3.1.24). */
static inline size_t ctrl_doorbell(const struct ctrl *c, uint32_t qid, bool completion)
{
	return NVME_DOORBELLS + (2 * qid + completion) * (size_t)c->doorbell_bytes;
}

#endif
