/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include <time.h>

#include "nvme_device.h"

#define COMMAND_MASTER 4u

void *device_dma(struct device *d, uint64_t bus, uint32_t bytes)
{
	uint64_t frame = bus / SIM_PAGE_BYTES;
	uint32_t offset = (uint32_t)(bus % SIM_PAGE_BYTES);

	if (!(d->config[4] & COMMAND_MASTER))
		return NULL;
	if (frame >= SIM_FRAMES || offset + bytes > SIM_PAGE_BYTES ||
	    !__atomic_load_n(&sim()->frames[frame].nr_device, __ATOMIC_RELAXED)) {
		SIM_COUNT(device_strays, 1);
		return NULL;
	}
	return (uint8_t *)sim_page((uint32_t)frame) + offset;
}

/* Queues are contiguous on the bus (CAP.CQR); an entry lies within a page. */
static void *entry(struct device *d, uint64_t bus, uint32_t i, uint32_t bytes)
{
	return device_dma(d, bus + (uint64_t)i * bytes, bytes);
}

void device_reset(struct device *d)
{
	memset(d->sqs, 0, sizeof(d->sqs));
	memset(d->cqs, 0, sizeof(d->cqs));
	memset(d->bar + NVME_DOORBELLS, 0, 8 * DEVICE_QUEUES);
	d->nr_late = 0;
	d->nr_done = 0;
	d->broken = false;
}

/* The controller says that it is of no further use until it is reset. */
static void fatal(struct device *d)
{
	d->broken = true;
	*device_register(d, NVME_CSTS) |= NVME_CSTS_CFS;
}

static void post(struct device *d, uint16_t cqid, const struct nvme_cqe *cqe)
{
	struct device_cq *cq = &d->cqs[cqid];
	struct nvme_cqe *at = cq->bus ? entry(d, cq->bus, cq->tail, sizeof(*at)) : NULL;

	if (!at)
		return;
	at->result = cqe->result;
	at->sq_head = cqe->sq_head;
	at->sq_id = cqe->sq_id;
	at->cid = cqe->cid;
	/* The phase says that all the rest is there. */
	__atomic_store_n(&at->status, (uint16_t)(cqe->status << 1 | cq->phase), __ATOMIC_RELEASE);
	if (++cq->tail == cq->depth) {
		cq->tail = 0;
		cq->phase = !cq->phase;
	}
}

static void post_all(struct device *d)
{
	for (uint32_t i = 0; i < d->nr_done; i++)
		post(d, d->done[i].cqid, &d->done[i].cqe);
	d->nr_done = 0;
}

/* At once; or together, as from a drive that works on many commands at a time. */
static void complete(struct device *d, uint16_t qid, const struct nvme_cqe *cqe)
{
	if (!qid || !sim()->controls.nvme_burst) {
		post(d, d->sqs[qid].cqid, cqe);
		return;
	}
	if (d->nr_done == DEVICE_DONE)
		post_all(d);
	d->done[d->nr_done++] = (struct device_done){ d->sqs[qid].cqid, *cqe };
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Around a mean, so that commands end in another order than they began. */
static uint64_t due_ns(uint64_t delay_us)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return now_ns() + delay_us * 500 + x % (delay_us * 1000);
}

static void carry_out(struct device *d, uint16_t qid, const struct nvme_sqe *sqe)
{
	struct nvme_cqe cqe = { .sq_id = qid, .cid = sqe->cid };

	cqe.status = qid ? device_io(d, sqe) : device_admin(d, sqe, &cqe.result);
	cqe.sq_head = (uint16_t)d->sqs[qid].head;
	if (cqe.status != STATUS_NO_ANSWER)
		complete(d, qid, &cqe);
}

void device_forget(struct device *d, uint16_t qid)
{
	for (uint32_t i = 0; i < d->nr_late;) {
		if (d->late[i].qid == qid)
			d->late[i] = d->late[--d->nr_late];
		else
			i++;
	}
}

static bool carry_out_late(struct device *d)
{
	bool some = d->nr_late;
	uint64_t now = some ? now_ns() : 0;

	for (uint32_t i = 0; i < d->nr_late;) {
		struct device_late late = d->late[i];

		if (late.due_ns > now) {
			i++;
			continue;
		}
		d->late[i] = d->late[--d->nr_late];
		carry_out(d, late.qid, &late.sqe);
	}
	return some;
}

/* For what is not taken by the driver yet, and for what will be answered. */
static bool has_room(struct device *d, uint16_t cqid)
{
	const struct device_cq *cq = &d->cqs[cqid];
	uint32_t head = *device_cq_doorbell(d, cqid);

	if (!cq->bus || head >= cq->depth)
		return false;
	return (cq->tail + cq->depth - head) % cq->depth + d->nr_late + d->nr_done + 1 < cq->depth;
}

static void take(struct device *d, uint16_t qid)
{
	uint64_t delay_us = sim()->controls.nvme_delay_us;
	struct device_sq *sq = &d->sqs[qid];
	const struct nvme_sqe *at = entry(d, sq->bus, sq->head, sizeof(*at));
	struct nvme_sqe sqe;

	if (!at) {
		fatal(d);
		return;
	}
	sqe = *at;
	sq->head = (sq->head + 1) % sq->depth;
	if (qid && delay_us && d->nr_late < DEVICE_LATE)
		d->late[d->nr_late++] = (struct device_late){ due_ns(delay_us), qid, sqe };
	else
		carry_out(d, qid, &sqe);
}

static bool poll_queue(struct device *d, uint16_t qid)
{
	struct device_sq *sq = &d->sqs[qid];
	bool some = false;

	for (uint32_t i = 0; sq->bus && i < sq->depth && !d->broken; i++) {
		uint32_t tail = *device_sq_doorbell(d, qid);

		if (tail >= sq->depth) {
			fatal(d);
			return true;
		}
		/* The entries were written before the doorbell. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (tail == sq->head || !has_room(d, sq->cqid))
			break;
		take(d, qid);
		some = true;
	}
	return some;
}

bool device_poll(struct device *d)
{
	bool some = false;

	if (d->broken)
		return false;
	if (__atomic_exchange_n(&sim()->controls.nvme_fatal, 0, __ATOMIC_RELAXED)) {
		fatal(d);
		return true;
	}
	for (uint16_t qid = 0; qid < DEVICE_QUEUES; qid++) {
		if (!qid || !sim()->controls.nvme_hold)
			some |= poll_queue(d, qid);
	}
	some |= carry_out_late(d);
	post_all(d);
	return some;
}
