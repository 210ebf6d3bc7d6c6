/* SPDX-License-Identifier: BSD-2-Clause */
#include "qpair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "keeper.h"
#include "sgl.h"
#include "status.h"

/* An id of a command: the slot in the low bits, which use of it in the others. */
#define CID_SLOT_BITS 6u
#define CID_SLOT_MASK ((1u << CID_SLOT_BITS) - 1)

_Static_assert(QPAIR_MAX_SLOTS <= CID_SLOT_MASK + 1, "a slot fits in an id");

/* How often the clock is compared with what is due, and the controller asked whether it lives. */
#define LOOK_MS	 20u
#define ALIVE_MS 1000u

/* Before a command that failed is sent again: so long, then twice, then four times. */
#define REST_MS 40u

static uint16_t slot_cid(const struct qpair *qp, const struct slot *slot)
{
	return (uint16_t)((uint32_t)(slot - qp->slots) | (uint32_t)slot->use << CID_SLOT_BITS);
}

static struct slot *slot_take(struct qpair *qp)
{
	return &qp->slots[qp->free[--qp->nr_free]];
}

static void slot_put(struct qpair *qp, struct slot *slot)
{
	slot->state = SLOT_FREE;
	slot->req = NULL;
	qp->free[qp->nr_free++] = (uint8_t)(slot - qp->slots);
}

/* There is room: a slot has one entry at most, and there are fewer slots than entries. */
static void slot_send(struct qpair *qp, struct slot *slot)
{
	qp->stats.commands++;
	slot->use++;
	slot->tries++;
	slot->aborted = false;
	slot->state = SLOT_SENT;
	slot->due_ms = qp->now_ms + qp->ctrl->timeout_ms;
	slot->sqe.cid = slot_cid(qp, slot);
	qp->sq[qp->sq_tail] = slot->sqe;
	if (++qp->sq_tail == qp->depth)
		qp->sq_tail = 0;
}

static bool wants_command(const struct nvme_request *req)
{
	return !req->status && (req->left_bytes || req->flush);
}

static void request_settle(struct nvme_request *req)
{
	if (req->nr_commands || wants_command(req))
		return;
	list_del(&req->link);
	list_add_tail(req->finished, &req->link);
}

/* The end of a command. */
static void slot_end(struct qpair *qp, struct slot *slot, int status)
{
	struct nvme_request *req = slot->req;

	slot_put(qp, slot);
	if (status && !req->status)
		req->status = status;
	req->nr_commands--;
	request_settle(req);
}

/* The next @nr_blocks of the request, as all commands name them but one. */
static void prepare_blocks(struct nvme_request *req, struct slot *slot, uint32_t nr_blocks)
{
	slot->sqe.opcode = req->opcode;
	slot->sqe.nsid = req->nsid;
	slot->sqe.cdw10 = (uint32_t)req->block;
	slot->sqe.cdw11 = (uint32_t)(req->block >> 32);
	slot->sqe.cdw12 = (nr_blocks - 1) | req->cdw12;
	req->block += nr_blocks;
	req->left_bytes -= (uint64_t)nr_blocks << req->block_shift;
}

/*
 * The memory of the next command: PRPs, or a list where those would end early and the controller has
 * them. Return: bytes, or -errno.
 */
static int64_t prepare_memory(struct qpair *qp, struct nvme_request *req, struct slot *slot,
			      uint32_t limit_bytes)
{
	const struct dmem *dmem = qp->ctrl->dmem;
	uint32_t block_bytes = 1u << req->block_shift;
	struct nvme_cursor from = req->at;
	struct sgl sgl = { .list = slot->list };
	struct prp prp;
	int64_t bytes, listed;

	prp_begin(&prp, slot->list);
	bytes = prp_gather(&prp, dmem, &req->at, limit_bytes, block_bytes);
	if (bytes < limit_bytes && bytes != -EFAULT && qp->ctrl->id.sgl) {
		req->at = from;
		listed = sgl_gather(&sgl, dmem, &req->at, limit_bytes, block_bytes);
		if (listed > bytes) {
			sgl_end(&sgl, slot->list_bus, &slot->sqe);
			return listed;
		}
		/* The other kind's list lay in the same memory. */
		req->at = from;
		prp_begin(&prp, slot->list);
		bytes = prp_gather(&prp, dmem, &req->at, limit_bytes, block_bytes);
	}
	if (bytes > 0)
		prp_end(&prp, slot->list_bus, &slot->sqe);
	return bytes;
}

static int prepare_data(struct qpair *qp, struct nvme_request *req, struct slot *slot)
{
	uint32_t limit_bytes = qp->ctrl->max_bytes;
	int64_t bytes;

	if (limit_bytes > req->left_bytes)
		limit_bytes = (uint32_t)req->left_bytes;
	bytes = prepare_memory(qp, req, slot, limit_bytes);
	if (bytes < 0)
		return (int)bytes;
	prepare_blocks(req, slot, (uint32_t)bytes >> req->block_shift);
	return 0;
}

/* Their number is 16 bits wide. */
#define MAX_ZERO_BLOCKS 65536u

static void prepare_zeroes(struct qpair *qp, struct nvme_request *req, struct slot *slot)
{
	uint64_t blocks = req->left_bytes >> req->block_shift;
	uint32_t limit = qp->ctrl->max_zero_bytes >> req->block_shift;

	if (limit > MAX_ZERO_BLOCKS)
		limit = MAX_ZERO_BLOCKS;
	prepare_blocks(req, slot, blocks < limit ? (uint32_t)blocks : limit);
}

/* A list of one range, in the slot's page. */
static void prepare_deallocate(struct qpair *qp, struct nvme_request *req, struct slot *slot)
{
	struct nvme_dsm_range *range = (struct nvme_dsm_range *)slot->list;
	uint64_t blocks = req->left_bytes >> req->block_shift;

	if (blocks > qp->ctrl->max_deallocate_blocks)
		blocks = qp->ctrl->max_deallocate_blocks;
	*range =
		(struct nvme_dsm_range){ .nr_blocks = (uint32_t)blocks, .first_block = req->block };
	slot->sqe = (struct nvme_sqe){
		.opcode = req->opcode,
		.nsid = req->nsid,
		.prp1 = slot->list_bus,
		.cdw11 = NVME_DSM_DEALLOCATE,
	};
	req->block += blocks;
	req->left_bytes -= blocks << req->block_shift;
}

static int prepare(struct qpair *qp, struct nvme_request *req, struct slot *slot)
{
	slot->sqe = (struct nvme_sqe){ 0 };
	switch (req->opcode) {
	case NVME_FLUSH:
		slot->sqe = (struct nvme_sqe){ .opcode = NVME_FLUSH, .nsid = req->nsid };
		req->flush = false;
		return 0;
	case NVME_DATASET_MANAGEMENT:
		prepare_deallocate(qp, req, slot);
		return 0;
	case NVME_WRITE_ZEROES:
		prepare_zeroes(qp, req, slot);
		return 0;
	default:
		return prepare_data(qp, req, slot);
	}
}

static void start_command(struct qpair *qp, struct nvme_request *req)
{
	struct slot *slot = slot_take(qp);
	int err = prepare(qp, req, slot);

	if (err) {
		req->status = err;
		slot_put(qp, slot);
		return;
	}
	slot->req = req;
	slot->tries = 0;
	req->nr_commands++;
	slot_send(qp, slot);
}

static void start_waiting(struct qpair *qp)
{
	while (!list_empty(&qp->waiting) && qp->nr_free) {
		struct nvme_request *req =
			list_entry(qp->waiting.head.next, struct nvme_request, link);

		if (wants_command(req))
			start_command(qp, req);
		if (!wants_command(req)) {
			list_del(&req->link);
			request_settle(req);
		}
	}
}

static void ring(struct qpair *qp)
{
	if (qp->sq_rung == qp->sq_tail)
		return;
	/*
	 * The entries and lists are in memory before the controller is told of them. On x86 stores
	 * are seen in their order, that to the device included; the compiler has to be told.
	 */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	pci_write32(&qp->ctrl->pci, ctrl_doorbell(qp->ctrl, qp->qid, false), qp->sq_tail);
	qp->sq_rung = qp->sq_tail;
	qp->stats.sq_doorbells++;
}

static const char *opcode_words(uint8_t opcode)
{
	switch (opcode) {
	case NVME_READ:
		return "read";
	case NVME_WRITE:
		return "write";
	case NVME_WRITE_ZEROES:
		return "zeroing";
	case NVME_DATASET_MANAGEMENT:
		return "deallocation";
	default:
		return "flush";
	}
}

static void log_failure(struct qpair *qp, const struct slot *slot, uint16_t status)
{
	const struct nvme_sqe *sqe = &slot->sqe;
	const struct nvme_dsm_range *range = (const struct nvme_dsm_range *)slot->list;
	uint64_t block = (uint64_t)sqe->cdw11 << 32 | sqe->cdw10;
	uint32_t nr_blocks = (sqe->cdw12 & 0xffff) + 1;

	if (!log_allowed(&qp->log_limit, clock_ns()))
		return;
	if (sqe->opcode == NVME_DATASET_MANAGEMENT) {
		block = range->first_block;
		nr_blocks = range->nr_blocks;
	}
	if (sqe->opcode == NVME_FLUSH)
		log_warning("nvme:%s/%u: flush: %s (0x%03x)", qp->ctrl->pci.bdf, sqe->nsid,
			    nvme_status_words(status), NVME_STATUS_CODE(status));
	else
		log_warning("nvme:%s/%u: %s of %u blocks from %" PRIu64 ": %s (0x%03x)",
			    qp->ctrl->pci.bdf, sqe->nsid, opcode_words(sqe->opcode), nr_blocks,
			    block, nvme_status_words(status), NVME_STATUS_CODE(status));
}

struct slot *qpair_claimed(struct qpair *qp, const struct nvme_cqe *cqe)
{
	struct slot *slot = &qp->slots[0] + (cqe->cid & CID_SLOT_MASK);

	if ((cqe->cid & CID_SLOT_MASK) >= qp->nr_slots || slot->state != SLOT_SENT ||
	    cqe->cid != slot_cid(qp, slot) || cqe->sq_id != qp->qid || cqe->sq_head >= qp->depth)
		return NULL;
	return slot;
}

static void take_completion(struct qpair *qp, const struct nvme_cqe *cqe)
{
	struct slot *slot = qpair_claimed(qp, cqe);
	uint16_t status = cqe->status >> 1;

	if (!slot) {
		if (!qp->lied)
			log_error("nvme:%s: answers what it was not asked: command 0x%04x of queue "
				  "%u",
				  qp->ctrl->pci.bdf, cqe->cid, cqe->sq_id);
		qp->lied = true;
		keeper_call(qp->ctrl->keeper);
		return;
	}
	if (!NVME_STATUS_CODE(status)) {
		slot_end(qp, slot, 0);
	} else if (nvme_status_again(status, slot->sqe.opcode == NVME_FLUSH) &&
		   slot->tries < QPAIR_MAX_TRIES) {
		slot->state = SLOT_RESTING;
		slot->due_ms = qp->now_ms + (REST_MS << (slot->tries - 1));
		qp->nr_resting++;
	} else {
		log_failure(qp, slot, status);
		slot_end(qp, slot, nvme_status_errno(status));
	}
}

/* No more than the queue holds: a controller that never stops is not to keep us here. */
static void reap(struct qpair *qp)
{
	uint32_t n;

	for (n = 0; n < qp->cq_depth; n++) {
		volatile struct nvme_cqe *at = &qp->cq[qp->cq_head];
		struct nvme_cqe cqe;

		cqe.status = at->status;
		if ((cqe.status & NVME_CQE_PHASE) != qp->cq_phase)
			break;
		/* The phase says that the entry is there: it must not have been read before. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		cqe.cid = at->cid;
		cqe.sq_id = at->sq_id;
		cqe.sq_head = at->sq_head;
		if (++qp->cq_head == qp->cq_depth) {
			qp->cq_head = 0;
			qp->cq_phase = !qp->cq_phase;
		}
		take_completion(qp, &cqe);
	}
	qp->cq_unrung += n;
	/* Each slot may yet be answered, and one entry always stays empty. */
	if (qp->cq_unrung + qp->nr_slots < qp->cq_depth || !n)
		return;
	qp->cq_unrung = 0;
	pci_write32(&qp->ctrl->pci, ctrl_doorbell(qp->ctrl, qp->qid, true), qp->cq_head);
	qp->stats.cq_doorbells++;
}

struct slot *qpair_overdue(struct qpair *qp, uint64_t now_ms, bool aborted)
{
	for (uint32_t i = 0; i < qp->nr_slots; i++) {
		struct slot *slot = &qp->slots[i];

		if (slot->state == SLOT_SENT && slot->aborted == aborted && now_ms > slot->due_ms)
			return slot;
	}
	return NULL;
}

static void send_rested(struct qpair *qp)
{
	for (uint32_t i = 0; i < qp->nr_slots && qp->nr_resting; i++) {
		struct slot *slot = &qp->slots[i];

		if (slot->state == SLOT_RESTING && qp->now_ms >= slot->due_ms) {
			qp->nr_resting--;
			slot_send(qp, slot);
		}
	}
}

/* What is not for each turn. */
static void look(struct qpair *qp)
{
	uint32_t csts;

	if (qp->now_ms - qp->looked_ms < LOOK_MS)
		return;
	qp->looked_ms = qp->now_ms;
	send_rested(qp);
	if (qp->now_ms - qp->asked_ms < ALIVE_MS)
		return;
	qp->asked_ms = qp->now_ms;
	csts = pci_read32(&qp->ctrl->pci, NVME_CSTS);
	/* Ready, and no fatal status; one that is gone reads as all ones. */
	if ((csts & (NVME_CSTS_RDY | NVME_CSTS_CFS)) != NVME_CSTS_RDY || qp->lied ||
	    qpair_overdue(qp, qp->now_ms, false) || qpair_overdue(qp, qp->now_ms, true))
		keeper_call(qp->ctrl->keeper);
}

/* After a reset, which has ended all that was in flight. */
static void resend(struct qpair *qp)
{
	qp->resend = false;
	for (uint32_t i = 0; i < qp->nr_slots; i++) {
		struct slot *slot = &qp->slots[i];

		if (slot->state != SLOT_SENT)
			continue;
		if (slot->tries < QPAIR_MAX_TRIES)
			slot_send(qp, slot);
		else
			slot_end(qp, slot, -EIO);
	}
}

/* The controller is halted: nothing of what it had is going on. */
static void fail_all(struct qpair *qp, int status)
{
	for (uint32_t i = 0; i < qp->nr_slots; i++) {
		if (qp->slots[i].state != SLOT_FREE)
			slot_end(qp, &qp->slots[i], status);
	}
	qp->nr_resting = 0;
	while (!list_empty(&qp->waiting)) {
		struct nvme_request *req =
			list_entry(list_pop(&qp->waiting), struct nvme_request, link);

		req->status = status;
		request_settle(req);
	}
}

void qpair_poll(struct qpair *qp)
{
	/* The keeper is at it: that takes a while, and we have others to serve. */
	if (pthread_mutex_trylock(&qp->lock))
		return;
	qp->now_ms = coarse_ms();
	if (qp->ctrl->dead) {
		fail_all(qp, qp->ctrl->dead);
	} else {
		if (qp->resend)
			resend(qp);
		start_waiting(qp);
		ring(qp);
		reap(qp);
		look(qp);
	}
	pthread_mutex_unlock(&qp->lock);
}
