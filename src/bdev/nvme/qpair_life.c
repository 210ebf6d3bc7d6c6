/* SPDX-License-Identifier: BSD-2-Clause */
/* How queue pairs come and go. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "qpair.h"

/* The pages of a queue pair. */
enum {
	QPAIR_SQ,
	QPAIR_CQ,
	QPAIR_LISTS,
};

static uint16_t qid_take(struct ctrl *c)
{
	for (uint32_t qid = 1; qid <= c->nr_qids; qid++) {
		if (!(c->qids & 1ull << qid)) {
			c->qids |= 1ull << qid;
			return (uint16_t)qid;
		}
	}
	return 0;
}

int qpair_create_queues(struct qpair *qp)
{
	memset(qp->sq, 0, NVME_PAGE_BYTES);
	/* No entry has the phase that is waited for. */
	memset(qp->pages[QPAIR_CQ], 0, NVME_PAGE_BYTES);
	qp->sq_tail = 0;
	qp->sq_rung = 0;
	qp->cq_head = 0;
	qp->cq_unrung = 0;
	qp->cq_phase = true;
	return ctrl_create_queues(qp->ctrl, qp->qid, qp->sq, qp->pages[QPAIR_CQ]);
}

static void slots_init(struct qpair *qp)
{
	const uint32_t lists_a_page = NVME_PAGE_BYTES / PRP_LIST_BYTES;

	qp->nr_slots = qp->depth - 1;
	for (uint32_t i = 0; i < qp->nr_slots; i++) {
		uint8_t *page = qp->pages[QPAIR_LISTS + i / lists_a_page];

		qp->slots[i].list = (uint64_t *)(page + i % lists_a_page * PRP_LIST_BYTES);
		qp->slots[i].list_bus = dmem_bus(qp->ctrl->dmem, qp->slots[i].list);
		qp->free[qp->nr_free++] = (uint8_t)(qp->nr_slots - 1 - i);
	}
}

static void qpair_free(struct qpair *qp)
{
	dmem_free(qp->ctrl->dmem, 2 + QPAIR_LIST_PAGES, qp->pages);
	pthread_mutex_destroy(&qp->lock);
	free(qp);
}

static struct qpair *qpair_alloc(struct ctrl *c)
{
	struct qpair *qp = calloc(1, sizeof(*qp));

	if (!qp)
		return NULL;
	if (dmem_alloc(c->dmem, 2 + QPAIR_LIST_PAGES, qp->pages)) {
		free(qp);
		return NULL;
	}
	qp->ctrl = c;
	qp->owner = pthread_self();
	qp->refs = 1;
	qp->depth = c->depth;
	qp->cq_depth = c->cq_depth;
	qp->sq = qp->pages[QPAIR_SQ];
	qp->cq = qp->pages[QPAIR_CQ];
	list_init(&qp->waiting);
	pthread_mutex_init(&qp->lock, NULL);
	slots_init(qp);
	return qp;
}

/* @c->lock is held. */
static int qpair_create(struct ctrl *c, struct qpair **out)
{
	struct qpair *qp;
	uint16_t qid;
	int err;

	if (c->dead)
		return c->dead;
	qid = qid_take(c);
	if (!qid)
		return -ENOSPC;
	qp = qpair_alloc(c);
	if (!qp) {
		c->qids &= ~(1ull << qid);
		return -ENOMEM;
	}
	qp->qid = qid;
	err = qpair_create_queues(qp);
	if (err) {
		/* It may have been told of the pages, and its id be taken. */
		list_add_tail(&c->stuck, &qp->link);
		return err;
	}
	list_add_tail(&c->qpairs, &qp->link);
	*out = qp;
	return 0;
}

int qpair_get(struct ctrl *c, struct qpair **out)
{
	struct qpair *qp;
	int err = -ENOENT;

	pthread_mutex_lock(&c->lock);
	list_for_each (qp, &c->qpairs, link) {
		if (pthread_equal(qp->owner, pthread_self())) {
			qp->refs++;
			*out = qp;
			err = 0;
			break;
		}
	}
	if (err)
		err = qpair_create(c, out);
	pthread_mutex_unlock(&c->lock);
	return err;
}

void qpair_put(struct qpair *qp)
{
	struct ctrl *c = qp->ctrl;

	if (--qp->refs)
		return;
	log_debug("nvme:%s: queue %u ends after %" PRIu64 " commands, %" PRIu64 " and %" PRIu64
		  " doorbells",
		  c->pci.bdf, qp->qid, qp->stats.commands, qp->stats.sq_doorbells,
		  qp->stats.cq_doorbells);
	pthread_mutex_lock(&c->lock);
	list_del(&qp->link);
	if (!c->dead && ctrl_delete_queues(c, qp->qid)) {
		list_add_tail(&c->stuck, &qp->link);
	} else {
		c->qids &= ~(1ull << qp->qid);
		qpair_free(qp);
	}
	pthread_mutex_unlock(&c->lock);
}

void qpair_free_stuck(struct ctrl *c)
{
	struct list_node *n;

	while ((n = list_pop(&c->stuck))) {
		struct qpair *qp = list_entry(n, struct qpair, link);

		c->qids &= ~(1ull << qp->qid);
		qpair_free(qp);
	}
}
