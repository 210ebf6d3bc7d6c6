/* SPDX-License-Identifier: BSD-2-Clause */
/* The admin queue of a controller, and the commands that several need. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "ctrl.h"
#include "keeper.h"
#include "log.h"
#include "status.h"

#define ADMIN_SPIN_NS  1000000u
#define ADMIN_PAUSE_US 50

/* Ids of commands: 0 is none, and the last is that which asks for an event. */
#define NO_CID	  0u
#define EVENT_CID UINT16_MAX

/* Takes completions until that of @cid. Return: true if it came. */
static bool admin_reap(struct ctrl *c, uint16_t cid, struct nvme_cqe *out)
{
	volatile struct nvme_cqe *cq = c->pages[CTRL_ADMIN_CQ];

	/* No more than the queue holds: one that never stops is not to keep us here. */
	for (uint32_t n = 0; n < CTRL_ADMIN_DEPTH; n++) {
		if ((cq[c->admin_head].status & NVME_CQE_PHASE) != c->admin_phase)
			break;
		/* The phase is written last: the rest must not have been read before it. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		*out = (struct nvme_cqe){
			.result = cq[c->admin_head].result,
			.cid = cq[c->admin_head].cid,
			.status = cq[c->admin_head].status,
		};
		if (++c->admin_head == CTRL_ADMIN_DEPTH) {
			c->admin_head = 0;
			c->admin_phase = !c->admin_phase;
		}
		pci_write32(&c->pci, ctrl_doorbell(c, 0, true), c->admin_head);
		if (out->cid == cid)
			return true;
		if (out->cid == EVENT_CID && !NVME_STATUS_CODE(out->status >> 1)) {
			c->has_event = true;
			c->event = out->result;
		}
	}
	return false;
}

static void admin_send(struct ctrl *c, const struct nvme_sqe *sqe)
{
	struct nvme_sqe *sq = c->pages[CTRL_ADMIN_SQ];

	sq[c->admin_tail] = *sqe;
	c->admin_tail = (c->admin_tail + 1) % CTRL_ADMIN_DEPTH;
	/* The entry is in memory before the controller is told of it. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	pci_write32(&c->pci, ctrl_doorbell(c, 0, false), c->admin_tail);
}

void ctrl_admin_event(struct ctrl *c)
{
	const struct nvme_sqe sqe = { .opcode = NVME_ADMIN_ASYNC_EVENT, .cid = EVENT_CID };

	admin_send(c, &sqe);
}

void ctrl_admin_look(struct ctrl *c)
{
	struct nvme_cqe cqe;

	admin_reap(c, NO_CID, &cqe);
}

int ctrl_admin(struct ctrl *c, struct nvme_sqe *sqe, uint32_t timeout_ms, uint32_t *result)
{
	uint64_t begun_ns = clock_ns();
	uint64_t deadline_ns = begun_ns + timeout_ms * (NS_PER_S / 1000);
	struct nvme_cqe cqe;

	/* It may still write the answer to what came before where we would look for this one's. */
	if (c->lost)
		return -ETIMEDOUT;
	if (++c->admin_cid == EVENT_CID)
		c->admin_cid = NO_CID + 1;
	sqe->cid = c->admin_cid;
	admin_send(c, sqe);
	while (!admin_reap(c, sqe->cid, &cqe)) {
		/* A guest may be waiting. */
		if (clock_ns() < begun_ns + ADMIN_SPIN_NS)
			continue;
		if (pci_is_gone(&c->pci))
			return -ENODEV;
		if (clock_ns() > deadline_ns) {
			c->lost = true;
			if (c->keeper)
				keeper_call(c->keeper);
			return -ETIMEDOUT;
		}
		usleep(ADMIN_PAUSE_US);
	}
	if (result)
		*result = cqe.result;
	if (NVME_STATUS_CODE(cqe.status >> 1))
		log_debug("nvme:%s: admin command 0x%02x: %s", c->pci.bdf, sqe->opcode,
			  nvme_status_words(cqe.status >> 1));
	return nvme_status_errno(cqe.status >> 1);
}

int ctrl_identify(struct ctrl *c, enum nvme_identify what, uint32_t nsid)
{
	struct nvme_sqe sqe = {
		.opcode = NVME_ADMIN_IDENTIFY,
		.nsid = nsid,
		.prp1 = dmem_bus(c->dmem, c->pages[CTRL_DATA]),
		.cdw10 = what,
	};

	memset(c->pages[CTRL_DATA], 0, NVME_IDENTIFY_BYTES);
	return ctrl_admin(c, &sqe, c->admin_timeout_ms, NULL);
}

int ctrl_set_queues(struct ctrl *c, uint32_t want)
{
	struct nvme_sqe sqe = {
		.opcode = NVME_ADMIN_SET_FEATURES,
		.cdw10 = NVME_FEATURE_NUMBER_OF_QUEUES,
		.cdw11 = (want - 1) | (want - 1) << 16,
	};
	uint32_t result = 0, nr_sq, nr_cq;
	int err = ctrl_admin(c, &sqe, c->admin_timeout_ms, &result);

	if (err)
		return err;
	nr_sq = (result & 0xffff) + 1;
	nr_cq = (result >> 16) + 1;
	c->nr_qids = want;
	if (c->nr_qids > nr_sq)
		c->nr_qids = nr_sq;
	if (c->nr_qids > nr_cq)
		c->nr_qids = nr_cq;
	return 0;
}

int ctrl_create_queues(struct ctrl *c, uint16_t qid, const void *sq, const void *cq)
{
	struct nvme_sqe create_cq = {
		.opcode = NVME_ADMIN_CREATE_CQ,
		.prp1 = dmem_bus(c->dmem, cq),
		.cdw10 = qid | (c->cq_depth - 1) << 16,
		.cdw11 = NVME_QUEUE_CONTIGUOUS,
	};
	struct nvme_sqe create_sq = {
		.opcode = NVME_ADMIN_CREATE_SQ,
		.prp1 = dmem_bus(c->dmem, sq),
		.cdw10 = qid | (c->depth - 1) << 16,
		.cdw11 = NVME_QUEUE_CONTIGUOUS | (uint32_t)qid << 16,
	};
	int err = ctrl_admin(c, &create_cq, c->admin_timeout_ms, NULL);

	if (err)
		return err;
	err = ctrl_admin(c, &create_sq, c->admin_timeout_ms, NULL);
	if (err) {
		struct nvme_sqe undo = { .opcode = NVME_ADMIN_DELETE_CQ, .cdw10 = qid };

		ctrl_admin(c, &undo, c->admin_timeout_ms, NULL);
	}
	return err;
}

int ctrl_delete_queues(struct ctrl *c, uint16_t qid)
{
	struct nvme_sqe sq = { .opcode = NVME_ADMIN_DELETE_SQ, .cdw10 = qid };
	struct nvme_sqe cq = { .opcode = NVME_ADMIN_DELETE_CQ, .cdw10 = qid };
	int err = ctrl_admin(c, &sq, c->admin_timeout_ms, NULL);

	return err ? err : ctrl_admin(c, &cq, c->admin_timeout_ms, NULL);
}

int ctrl_abort(struct ctrl *c, uint16_t qid, uint16_t cid, uint32_t timeout_ms)
{
	struct nvme_sqe sqe = {
		.opcode = NVME_ADMIN_ABORT,
		.cdw10 = qid | (uint32_t)cid << 16,
	};

	return ctrl_admin(c, &sqe, timeout_ms, NULL);
}
