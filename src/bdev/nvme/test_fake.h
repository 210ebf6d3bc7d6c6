/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_fake - a controller made of a thread, that behaves as badly as it is told to. For *_test.c
 * files alone.
 *
 * Its registers are ordinary memory that it watches; bus addresses are pointers.
 */
#ifndef XENBLKD_NVME_TEST_FAKE_H
#define XENBLKD_NVME_TEST_FAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctrl.h"
#include "disk.h"
#include "keeper.h"

#define FAKE_QUEUES    4
#define FAKE_BAR_BYTES 16384
#define FAKE_PAGES     256u

struct fake_queue {
	struct nvme_sqe *sq;
	struct nvme_cqe *cq;
	uint32_t depth, cq_depth, sq_head, cq_tail;
	bool phase;
};

struct fake {
	uint8_t bar[FAKE_BAR_BYTES] __attribute__((aligned(4096)));
	struct fake_queue queues[FAKE_QUEUES]; /* 0: admin */
	pthread_t thread;
	atomic_bool stop;

	/* What it does with I/O commands; each counts down, and then all is well again. */
	atomic_int swallow; /* no answer */
	atomic_int swallow_admin; /* likewise, to an identify */
	atomic_int fail; /* answers @status */
	atomic_int bad_cid, bad_queue, bad_head, twice; /* lies */
	atomic_bool gone; /* registers read as all ones */
	atomic_bool stuck; /* does not become ready */
	atomic_int status;

	atomic_int nr_io, nr_enables, nr_aborts;
	struct nvme_sqe last_sqe; /* of I/O; to be read when all is answered */
	struct nvme_dsm_range last_range;

	struct dmem dmem;
	struct ctrl ctrl;
	struct disk disk;
	struct bdev_channel *ch;
};

static inline volatile uint32_t *fake_reg(struct fake *f, size_t offset)
{
	return (volatile uint32_t *)(f->bar + offset);
}

static inline bool fake_one(atomic_int *counter)
{
	return atomic_load(counter) > 0 && atomic_fetch_sub(counter, 1) > 0;
}

static inline void fake_answer(struct fake *f, uint32_t qid, struct nvme_cqe cqe)
{
	struct fake_queue *q = &f->queues[qid];
	struct nvme_cqe *at = &q->cq[q->cq_tail];

	/* Full: it waits until it is told of room. */
	while (qid &&
	       (q->cq_tail + 1) % q->cq_depth == *fake_reg(f, NVME_DOORBELLS + 8 * qid + 4) &&
	       !atomic_load(&f->stop))
		;
	at->result = cqe.result;
	at->sq_head = cqe.sq_head;
	at->sq_id = cqe.sq_id;
	at->cid = cqe.cid;
	atomic_thread_fence(memory_order_release);
	*(volatile uint16_t *)&at->status = (uint16_t)(cqe.status << 1 | q->phase);
	if (++q->cq_tail == q->cq_depth) {
		q->cq_tail = 0;
		q->phase = !q->phase;
	}
}

static inline void fake_create(struct fake *f, const struct nvme_sqe *sqe)
{
	struct fake_queue *q = &f->queues[sqe->cdw10 % FAKE_QUEUES];

	if (sqe->opcode == NVME_ADMIN_CREATE_CQ) {
		*q = (struct fake_queue){ .cq = (void *)(uintptr_t)sqe->prp1, .phase = true };
		q->cq_depth = (sqe->cdw10 >> 16) + 1;
	} else {
		q->depth = (sqe->cdw10 >> 16) + 1;
		q->sq = (void *)(uintptr_t)sqe->prp1;
	}
}

static inline void fake_admin(struct fake *f, const struct nvme_sqe *sqe)
{
	struct nvme_cqe cqe = { .cid = sqe->cid };

	switch (sqe->opcode) {
	case NVME_ADMIN_CREATE_CQ:
	case NVME_ADMIN_CREATE_SQ:
		fake_create(f, sqe);
		break;
	case NVME_ADMIN_DELETE_SQ:
		f->queues[sqe->cdw10 % FAKE_QUEUES].sq = NULL;
		memset(f->bar + NVME_DOORBELLS + 8 * (sqe->cdw10 % FAKE_QUEUES), 0, 8);
		break;
	case NVME_ADMIN_SET_FEATURES:
		cqe.result = (FAKE_QUEUES - 2) | (FAKE_QUEUES - 2) << 16;
		break;
	case NVME_ADMIN_ASYNC_EVENT:
		return;
	case NVME_ADMIN_IDENTIFY:
		if (fake_one(&f->swallow_admin))
			return;
		break;
	case NVME_ADMIN_ABORT:
		atomic_fetch_add(&f->nr_aborts, 1);
		cqe.result = 1; /* not aborted */
		break;
	}
	fake_answer(f, 0, cqe);
}

static inline void fake_io(struct fake *f, uint32_t qid, const struct nvme_sqe *sqe)
{
	struct fake_queue *q = &f->queues[qid];
	struct nvme_cqe cqe = { .cid = sqe->cid, .sq_id = (uint16_t)qid };

	f->last_sqe = *sqe;
	if (sqe->opcode == NVME_DATASET_MANAGEMENT)
		memcpy(&f->last_range, (void *)(uintptr_t)sqe->prp1, sizeof(f->last_range));
	atomic_fetch_add(&f->nr_io, 1);
	cqe.sq_head = (uint16_t)q->sq_head;
	if (fake_one(&f->swallow))
		return;
	if (fake_one(&f->fail))
		cqe.status = (uint16_t)atomic_load(&f->status);
	if (fake_one(&f->bad_cid))
		cqe.cid ^= 0x803f;
	if (fake_one(&f->bad_queue))
		cqe.sq_id++;
	if (fake_one(&f->bad_head))
		cqe.sq_head = 64;
	fake_answer(f, qid, cqe);
	if (fake_one(&f->twice))
		fake_answer(f, qid, cqe);
}

static inline void fake_serve(struct fake *f)
{
	for (uint32_t qid = 0; qid < FAKE_QUEUES; qid++) {
		struct fake_queue *q = &f->queues[qid];

		while (q->sq && q->sq_head != *fake_reg(f, NVME_DOORBELLS + 8 * qid)) {
			struct nvme_sqe sqe = q->sq[q->sq_head];

			q->sq_head = (q->sq_head + 1) % q->depth;
			if (qid)
				fake_io(f, qid, &sqe);
			else
				fake_admin(f, &sqe);
		}
	}
}

static inline void fake_enable(struct fake *f)
{
	uint64_t asq, acq;

	memcpy(&asq, f->bar + NVME_ASQ, 8);
	memcpy(&acq, f->bar + NVME_ACQ, 8);
	memset(f->queues, 0, sizeof(f->queues));
	memset(f->bar + NVME_DOORBELLS, 0, 8 * FAKE_QUEUES);
	f->queues[0] = (struct fake_queue){ .sq = (void *)(uintptr_t)asq,
					    .cq = (void *)(uintptr_t)acq,
					    .depth = CTRL_ADMIN_DEPTH,
					    .cq_depth = CTRL_ADMIN_DEPTH,
					    .phase = true };
	atomic_fetch_add(&f->nr_enables, 1);
	*fake_reg(f, NVME_CSTS) = NVME_CSTS_RDY;
}

static inline void *fake_main(void *arg)
{
	struct fake *f = arg;

	while (!atomic_load(&f->stop)) {
		bool on = *fake_reg(f, NVME_CC) & NVME_CC_EN;
		bool ready = *fake_reg(f, NVME_CSTS) & NVME_CSTS_RDY;

		if (atomic_load(&f->gone)) {
			memset(f->bar, 0xff, sizeof(f->bar));
		} else if (on && !ready) {
			if (!atomic_load(&f->stuck))
				fake_enable(f);
		} else if (!on && ready) {
			*fake_reg(f, NVME_CSTS) = 0;
		} else if (ready) {
			fake_serve(f);
		}
		usleep(20);
	}
	return NULL;
}

static inline void fake_dmem(struct dmem *d)
{
	d->base = mmap(NULL, FAKE_PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	d->nr_pages = d->nr_free = FAKE_PAGES;
	d->bus = calloc(FAKE_PAGES, sizeof(*d->bus));
	d->free = calloc(FAKE_PAGES, sizeof(*d->free));
	for (uint32_t i = 0; i < FAKE_PAGES; i++) {
		d->bus[i] = (uintptr_t)d->base + 4096 * (uint64_t)i;
		d->free[i] = i;
	}
	pthread_mutex_init(&d->lock, NULL);
}

static inline void fake_ctrl(struct fake *f)
{
	struct ctrl *c = &f->ctrl;

	c->dmem = &f->dmem;
	c->pci.bar = f->bar;
	c->pci.bar_bytes = sizeof(f->bar);
	c->pci.config_fd = memfd_create("config", MFD_CLOEXEC);
	if (ftruncate(c->pci.config_fd, 64))
		abort();
	snprintf(c->pci.bdf, sizeof(c->pci.bdf), "fake");
	list_init(&c->disks);
	list_init(&c->qpairs);
	list_init(&c->stuck);
	pthread_mutex_init(&c->lock, NULL);
	c->depth = CTRL_QUEUE_DEPTH;
	c->cq_depth = CTRL_CQ_DEPTH;
	c->max_qids = FAKE_QUEUES - 1;
	c->doorbell_bytes = 4;
	/* So long that a busy machine is not taken for a controller that hangs. */
	c->ready_ms = 10000;
	c->max_bytes = 65536;
	c->max_deallocate_blocks = 1 << 14;
	c->max_zero_bytes = 1 << 20;
	c->timeout_ms = 10000;
	c->admin_timeout_ms = CTRL_ADMIN_TIMEOUT_MS;
	dmem_alloc(c->dmem, CTRL_NR_PAGES, c->pages);
}

/* fake_start - a disk of 16 MiB in blocks of 2^@block_shift, on a controller that is well. */
static inline struct fake *fake_start(uint32_t block_shift, uint32_t depth)
{
	struct fake *f = aligned_alloc(4096, (sizeof(*f) + 4095) & ~4095ul);

	memset(f, 0, sizeof(*f));
	fake_dmem(&f->dmem);
	fake_ctrl(f);
	pthread_create(&f->thread, NULL, fake_main, f);
	f->disk = (struct disk){ .ctrl = &f->ctrl, .nsid = 1, .block_shift = block_shift };
	f->disk.bdev.info = (struct bdev_info){ .size_bytes = 16 << 20, .flush = true };
	if (ctrl_enable(&f->ctrl, NULL) || keeper_start(&f->ctrl, &f->ctrl.keeper) ||
	    disk_channel_create(&f->disk.bdev, depth, &f->ch))
		abort();
	return f;
}

static inline void fake_end(struct fake *f)
{
	disk_channel_destroy(f->ch);
	keeper_stop(f->ctrl.keeper);
	atomic_store(&f->stop, true);
	pthread_join(f->thread, NULL);
	dmem_free(&f->dmem, CTRL_NR_PAGES, f->ctrl.pages);
	close(f->ctrl.pci.config_fd);
	munmap(f->dmem.base, FAKE_PAGES * 4096);
	free(f->dmem.bus);
	free(f->dmem.free);
	free(f);
}

#endif
