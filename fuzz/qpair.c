/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lying NVMe controller: completions of its own invention, among true ones, while requests go on.
 * Each request ends once, whatever it says, and each command names memory of ours.
 *
 * The keeper is a thread, and would make each run another: the reset that it is called for is done
 * here, in turn.
 */
#include <errno.h>

#include "input.h"
#include "log.h"
#include "qpair.h"
#include "sgl.h"
#include "test_fake.h"

#define DEPTH	  80u /* more than there are slots */
#define MAX_STEPS 100

static struct {
	struct fake fake;
	struct input in;
	struct bdev_io ios[DEPTH];
	struct iovec iov[DEPTH][3];
	bool busy[DEPTH];
	bool called; /* the keeper */
	uint32_t cq_at; /* where an honest controller would write next, */
	bool cq_phase; /* with this */
	uint32_t sq_seen;
} * t;

void keeper_call(struct keeper *k)
{
	t->called = true;
}

static void io_done(struct bdev_io *io, int status)
{
	uint32_t i = (uint32_t)(io - t->ios);

	must(t->busy[i] && status <= 0);
	t->busy[i] = false;
}

static struct qpair *the_qpair(void)
{
	return list_empty(&t->fake.ctrl.qpairs)
		       ? NULL
		       : list_entry(t->fake.ctrl.qpairs.head.next, struct qpair, link);
}

/* Answers to the next two admin commands, as they are wanted, or wrong. */
static void answer_admin(void)
{
	struct ctrl *c = &t->fake.ctrl;
	volatile struct nvme_cqe *cq = c->pages[CTRL_ADMIN_CQ];

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t at = (c->admin_head + i) % CTRL_ADMIN_DEPTH;
		uint8_t lie = input_u8(&t->in);
		bool phase = c->admin_phase != (at < c->admin_head);
		struct nvme_cqe cqe = { .cid = (uint16_t)(c->admin_cid + 1 + i) };

		if (lie == 1)
			input_bytes(&t->in, &cqe, sizeof(cqe));
		if (lie == 2)
			cqe.status = input_u16(&t->in);
		cqe.status = (uint16_t)((cqe.status & ~1) | phase);
		memcpy((void *)&cq[at], &cqe, sizeof(cqe));
	}
}

/* All bytes that a command names are of the region, and of pages that are handed out. */
static void check_bus(uint64_t bus, uint64_t len_bytes)
{
	uint64_t at = bus - (uintptr_t)t->fake.dmem.base;

	must(at < FAKE_PAGES * 4096 && len_bytes <= FAKE_PAGES * 4096 - at);
}

static void check_sgl(const struct nvme_sqe *sqe, uint64_t bytes)
{
	const struct nvme_sgl *list;
	struct nvme_sgl entry;
	uint32_t nr = 1;

	memcpy(&entry, &sqe->prp1, sizeof(entry.address));
	memcpy(&entry.len_bytes, &sqe->prp2, sizeof(sqe->prp2));
	list = &entry;
	if (entry.type == NVME_SGL_LAST_SEGMENT) {
		nr = entry.len_bytes / (uint32_t)sizeof(entry);
		must(nr > 1 && nr <= SGL_ENTRIES && !(entry.len_bytes % sizeof(entry)));
		check_bus(entry.address, entry.len_bytes);
		list = (const struct nvme_sgl *)(uintptr_t)entry.address;
	}
	for (uint32_t i = 0; i < nr; i++) {
		must(list[i].type == NVME_SGL_DATA_BLOCK && list[i].len_bytes);
		must(list[i].len_bytes <= bytes);
		check_bus(list[i].address, list[i].len_bytes);
		bytes -= list[i].len_bytes;
	}
	must(!bytes);
}

static void check_data(const struct nvme_sqe *sqe)
{
	uint64_t bytes = ((uint64_t)(sqe->cdw12 & 0xffff) + 1) << t->fake.disk.block_shift;
	uint64_t first = 4096 - sqe->prp1 % 4096;

	must(bytes <= t->fake.ctrl.max_bytes);
	must((((uint64_t)sqe->cdw11 << 32 | sqe->cdw10) << t->fake.disk.block_shift) + bytes <=
	     t->fake.disk.first_byte + t->fake.disk.bdev.info.size_bytes);
	if (sqe->flags & NVME_SQE_SGL) {
		must(t->fake.ctrl.id.sgl);
		check_sgl(sqe, bytes);
		return;
	}
	check_bus(sqe->prp1, first < bytes ? first : bytes);
	bytes -= first < bytes ? first : bytes;
	if (!bytes)
		return;
	must(sqe->prp2);
	if (bytes <= 4096) {
		check_bus(sqe->prp2, bytes);
		return;
	}
	for (uint32_t i = 0; bytes; i++) {
		uint64_t n = bytes < 4096 ? bytes : 4096;

		must(i < PRP_LIST_ENTRIES);
		check_bus(sqe->prp2 + 8 * i, 8);
		check_bus(((uint64_t *)(uintptr_t)sqe->prp2)[i], n);
		bytes -= n;
	}
}

/* What the controller would find, up to the doorbell. */
static void check_commands(const struct qpair *qp)
{
	for (; t->sq_seen != qp->sq_rung; t->sq_seen = (t->sq_seen + 1) % qp->depth) {
		const struct nvme_sqe *sqe = &qp->sq[t->sq_seen];

		if (sqe->opcode == NVME_READ || sqe->opcode == NVME_WRITE)
			check_data(sqe);
		if (sqe->opcode == NVME_DATASET_MANAGEMENT)
			check_bus(sqe->prp1, sizeof(struct nvme_dsm_range));
	}
}

static void submit(void)
{
	uint32_t i = input_u8(&t->in) % DEPTH;
	struct bdev_io *io = &t->ios[i];
	uint32_t block_bytes = 1u << t->fake.disk.block_shift;

	if (t->busy[i])
		return;
	*io = (struct bdev_io){ .iov = t->iov[i], .done = io_done };
	io->op = input_u8(&t->in) % 4;
	io->offset_bytes = io->op == BDEV_FLUSH ? 0 : input_u16(&t->in) * (uint64_t)block_bytes;
	for (io->nr_iov = 0; io->op <= BDEV_WRITE && io->nr_iov < 3;) {
		/* Whole blocks, anywhere in the region but for what is the driver's own. */
		uint32_t at = input_u8(&t->in) * 512, n = (input_u8(&t->in) % 40) * block_bytes;

		if (!n)
			break;
		io->iov[io->nr_iov++] = (struct iovec){ t->fake.dmem.base + at, n };
		io->len_bytes += n;
	}
	if (io->op == BDEV_DISCARD)
		io->len_bytes = (input_u16(&t->in) + 1) * (uint64_t)block_bytes;
	if (io->op <= BDEV_WRITE && !io->len_bytes)
		return;
	t->busy[i] = !disk_submit(t->fake.ch, io);
}

static void complete(struct qpair *qp, uint8_t how)
{
	struct slot *slot = &qp->slots[input_u8(&t->in) % qp->nr_slots];
	uint32_t at = t->cq_at;
	struct nvme_cqe cqe = { .cid = slot->sqe.cid, .sq_id = qp->qid };

	if (how & 1)
		cqe.status = input_u16(&t->in);
	if (how & 2)
		input_bytes(&t->in, &cqe, sizeof(cqe));
	if (how & 4) {
		at = input_u8(&t->in) % qp->cq_depth;
	} else {
		cqe.status = (uint16_t)((cqe.status & ~1) | t->cq_phase);
		if (++t->cq_at == qp->cq_depth) {
			t->cq_at = 0;
			t->cq_phase = !t->cq_phase;
		}
	}
	memcpy((void *)&qp->cq[at], &cqe, sizeof(cqe));
}

/* What the keeper does for one that lies: all begins anew, or ends. */
static void reset(struct qpair *qp)
{
	struct ctrl *c = &t->fake.ctrl;
	int err;

	t->called = false;
	qpair_free_stuck(c);
	c->lost = false;
	answer_admin();
	err = qpair_create_queues(qp);
	if (err)
		c->dead = -EIO;
	qp->resend = !err;
	qp->lied = false;
	t->sq_seen = t->cq_at = 0;
	t->cq_phase = true;
}

static void one_step(struct qpair *qp)
{
	uint8_t op = input_u8(&t->in);

	switch (op % 8) {
	case 0:
	case 1:
	case 2:
		submit();
		break;
	case 3:
	case 4:
		complete(qp, op >> 3);
		break;
	case 5:
		*fake_reg(&t->fake, NVME_CSTS) = input_u8(&t->in);
		/* Long enough for all that waits for a while. */
		qp->looked_ms = qp->asked_ms = 0;
		break;
	default:
		disk_poll(t->fake.ch);
		check_commands(qp);
	}
	must(!t->called || !t->fake.ctrl.dead);
	if (t->called)
		reset(qp);
}

static void begin(uint8_t flags)
{
	struct ctrl *c;

	memset(&t->fake.ctrl, 0, sizeof(t->fake.ctrl));
	memset(t->fake.bar, 0, sizeof(t->fake.bar));
	fake_ctrl(&t->fake);
	c = &t->fake.ctrl;
	c->nr_qids = 2;
	c->admin_phase = true;
	c->admin_timeout_ms = 0;
	c->keeper = (struct keeper *)c;
	c->max_bytes = flags & 2 ? 4096 : 131072;
	c->id.sgl = flags & 32;
	*fake_reg(&t->fake, NVME_CSTS) = NVME_CSTS_RDY;
	t->fake.disk = (struct disk){ .ctrl = c, .nsid = 1, .block_shift = flags & 1 ? 12 : 9 };
	t->fake.disk.first_byte = 1 << 20;
	t->fake.disk.bdev.info = (struct bdev_info){ .size_bytes = 16 << 20, .flush = flags & 4 };
	t->fake.disk.discard = flags >> 3 & 3 ? (flags >> 3 & 3) - 1 : DISCARD_NONE;
	t->cq_at = t->sq_seen = 0;
	t->cq_phase = true;
	t->called = false;
	memset(t->busy, 0, sizeof(t->busy));
}

static void end(void)
{
	struct ctrl *c = &t->fake.ctrl;

	/* Dead at last: everything ends. */
	c->dead = c->dead ? c->dead : -ENODEV;
	disk_poll(t->fake.ch);
	for (uint32_t i = 0; i < DEPTH; i++)
		must(!t->busy[i]);
	disk_channel_destroy(t->fake.ch);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	t = aligned_alloc(4096, (sizeof(*t) + 4095) & ~4095ul);
	must(t);
	memset(t, 0, sizeof(*t));
	log_set_level(0);
	fake_dmem(&t->fake.dmem);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ctrl *c = &t->fake.ctrl;

	t->in = (struct input){ data, size };
	begin(input_u8(&t->in));
	answer_admin();
	if (!disk_channel_create(&t->fake.disk.bdev, DEPTH, &t->fake.ch)) {
		for (int i = 0; i < MAX_STEPS && t->in.left && !c->dead; i++)
			one_step(the_qpair());
		end();
	}
	qpair_free_stuck(c);
	dmem_free(&t->fake.dmem, CTRL_NR_PAGES, c->pages);
	/* Nothing of the region is kept, or given back twice. */
	must(t->fake.dmem.nr_free == FAKE_PAGES);
	close(c->pci.config_fd);
	return 0;
}
