/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctrl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "keeper.h"
#include "qpair.h"

#define CSTS_PAUSE_US 100 /* guests may be waiting, and a drive may be quick */

/*
 * All controllers that we drive. It is here because a disk is opened by its name alone; the control
 * thread's.
 */
static struct list controllers = { { &controllers.head, &controllers.head } };

/* Until CSTS has @want in @mask. Return: 0, -ENODEV, -ETIMEDOUT; -EIO for a fatal status. */
static int csts_wait(struct ctrl *c, uint32_t mask, uint32_t want, uint32_t timeout_ms)
{
	uint64_t deadline_ns = clock_ns() + timeout_ms * (NS_PER_S / 1000);

	for (;;) {
		uint32_t csts = pci_read32(&c->pci, NVME_CSTS);

		if (csts == NVME_ABSENT)
			return -ENODEV;
		if ((csts & mask) == want)
			return 0;
		/* One that stops may have been in this state before. */
		if ((csts & NVME_CSTS_CFS) && want == NVME_CSTS_RDY)
			return -EIO;
		if (clock_ns() > deadline_ns)
			return -ETIMEDOUT;
		usleep(CSTS_PAUSE_US);
	}
}

int ctrl_halt(struct ctrl *c)
{
	uint32_t cc;
	int err;

	/* Where it was, something else may be by now. */
	if (pci_is_gone(&c->pci))
		return -ENODEV;
	cc = pci_read32(&c->pci, NVME_CC);
	pci_write32(&c->pci, NVME_CC, cc & ~(NVME_CC_EN | NVME_CC_SHN_MASK));
	err = csts_wait(c, NVME_CSTS_RDY, 0, c->ready_ms);
	/* In any case: with that, what it does has no effect on memory. */
	pci_stop_dma(&c->pci);
	return err == -ETIMEDOUT ? -EIO : err;
}

/* Lets it write down what it has in volatile memory. */
static void ctrl_shutdown(struct ctrl *c)
{
	uint32_t cc;

	if (pci_is_gone(&c->pci))
		return;
	cc = pci_read32(&c->pci, NVME_CC);
	pci_write32(&c->pci, NVME_CC, (cc & ~NVME_CC_SHN_MASK) | NVME_CC_SHN_NORMAL);
	if (csts_wait(c, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE, c->id.shutdown_ms))
		log_warning("nvme:%s: did not end its shutdown in %u ms", c->pci.bdf,
			    c->id.shutdown_ms);
}

static const char *ready_words(int err)
{
	switch (err) {
	case -ENODEV:
		return "it is not there any more";
	case -EIO:
		return "it reports a fatal status";
	case -ETIMEDOUT:
		return "it does not become ready in time";
	default:
		return strerror(-err);
	}
}

int ctrl_enable(struct ctrl *c, struct error *e)
{
	int err;

	memset(c->pages[CTRL_ADMIN_SQ], 0, NVME_PAGE_BYTES);
	memset(c->pages[CTRL_ADMIN_CQ], 0, NVME_PAGE_BYTES);
	c->admin_tail = 0;
	c->admin_head = 0;
	c->admin_phase = true;
	c->lost = false;
	err = pci_start_dma(&c->pci);
	if (err)
		return error_set(e, -err, "cannot be allowed DMA");
	pci_write32(&c->pci, NVME_AQA, (CTRL_ADMIN_DEPTH - 1) | (CTRL_ADMIN_DEPTH - 1) << 16);
	pci_write64(&c->pci, NVME_ASQ, dmem_bus(c->dmem, c->pages[CTRL_ADMIN_SQ]));
	pci_write64(&c->pci, NVME_ACQ, dmem_bus(c->dmem, c->pages[CTRL_ADMIN_CQ]));
	/* Pages of 4 KiB, the NVM command set, round robin: all 0. */
	pci_write32(&c->pci, NVME_CC, NVME_CC_IOSQES | NVME_CC_IOCQES | NVME_CC_EN);
	err = csts_wait(c, NVME_CSTS_RDY, NVME_CSTS_RDY, c->ready_ms);
	if (err)
		return error_set(e, -err, "does not start: %s", ready_words(err));
	err = ctrl_set_queues(c, c->max_qids);
	if (err)
		return error_set(e, -err, "gives no I/O queues: %s", strerror(-err));
	ctrl_ask_events(c);
	return 0;
}

static int read_capabilities(struct ctrl *c, struct error *e)
{
	uint32_t low = pci_read32(&c->pci, NVME_CAP);
	uint32_t high = pci_read32(&c->pci, NVME_CAP_HIGH);
	struct error why = { "" };
	struct identify_cap cap;
	int err;

	if (low == NVME_ABSENT && high == NVME_ABSENT)
		return error_set(e, ENODEV, "nvme:%s does not answer", c->pci.bdf);
	err = identify_cap_parse(low, high, c->pci.bar_bytes, &cap, &why);
	if (err)
		return error_set(e, -err, "nvme:%s %s", c->pci.bdf, why.text);
	c->depth = cap.depth < CTRL_QUEUE_DEPTH ? cap.depth : CTRL_QUEUE_DEPTH;
	c->cq_depth = cap.depth < CTRL_CQ_DEPTH ? cap.depth : CTRL_CQ_DEPTH;
	c->max_qids = cap.nr_qids < CTRL_MAX_QPAIRS ? cap.nr_qids : CTRL_MAX_QPAIRS;
	c->ready_ms = cap.ready_ms;
	c->doorbell_bytes = cap.doorbell_bytes;
	c->page_min_bytes = cap.page_min_bytes;
	return 0;
}

/* A controller that does not know this page of itself says so, and is none the worse for it. */
static int learn_limits(struct ctrl *c, struct error *e)
{
	struct identify_limits limits;
	int err = ctrl_identify(c, NVME_IDENTIFY_LIMITS, 0);

	if (err == -ETIMEDOUT || err == -ENODEV)
		return error_set(e, -err, "nvme:%s does not tell its limits: %s", c->pci.bdf,
				 strerror(-err));
	if (err)
		memset(c->pages[CTRL_DATA], 0, NVME_IDENTIFY_BYTES);
	identify_limits_parse(c->pages[CTRL_DATA], c->page_min_bytes, &limits);
	c->max_deallocate_blocks = limits.deallocate_blocks;
	/* Without a word about it, as much as it moves: there are some that take no more. */
	c->max_zero_bytes = limits.zero_bytes ? limits.zero_bytes : c->max_bytes;
	return 0;
}

static int learn(struct ctrl *c, struct error *e)
{
	int err = ctrl_identify(c, NVME_IDENTIFY_CONTROLLER, 0);

	if (err)
		return error_set(e, -err, "nvme:%s does not identify itself: %s", c->pci.bdf,
				 strerror(-err));
	err = identify_ctrl_parse(c->pages[CTRL_DATA], c->page_min_bytes, &c->id, e);
	if (err)
		return err;
	c->max_bytes = c->id.max_transfer_bytes;
	if (c->max_bytes > PRP_MAX_BYTES)
		c->max_bytes = PRP_MAX_BYTES;
	log_info("nvme:%s: %s, serial %s, firmware %s: %u queues of %u, %u KiB a command, %s",
		 c->pci.bdf, c->id.model, c->id.serial, c->id.firmware, c->nr_qids, c->depth,
		 c->max_bytes / 1024,
		 c->id.volatile_cache ? "volatile write cache" : "no volatile write cache");
	return learn_limits(c, e);
}

static int ctrl_start(struct ctrl *c, struct error *e)
{
	struct error why = { "" };
	int err = read_capabilities(c, e);

	if (err)
		return err;
	err = ctrl_halt(c);
	if (err)
		return error_set(e, -err, "nvme:%s does not stop: %s", c->pci.bdf,
				 ready_words(err));
	err = ctrl_enable(c, &why);
	if (err)
		error_set(e, -err, "nvme:%s %s", c->pci.bdf, why.text);
	else
		err = learn(c, e);
	if (!err) {
		err = keeper_start(c, &c->keeper);
		if (err)
			error_set(e, -err, "nvme:%s: no thread: %s", c->pci.bdf, strerror(-err));
	}
	if (err)
		ctrl_halt(c);
	return err;
}

static int ctrl_open(const char *bdf, struct dmem *dmem, struct ctrl **out, struct error *e)
{
	struct ctrl *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return error_set(e, ENOMEM, "nvme:%s found no memory", bdf);
	c->dmem = dmem;
	c->timeout_ms = CTRL_TIMEOUT_MS;
	c->admin_timeout_ms = CTRL_ADMIN_TIMEOUT_MS;
	list_init(&c->disks);
	list_init(&c->qpairs);
	list_init(&c->stuck);
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->health.lock, NULL);
	err = dmem_alloc(dmem, CTRL_NR_PAGES, c->pages);
	if (err) {
		error_set(e, -err, "nvme:%s found no memory for DMA", bdf);
		goto free;
	}
	err = pci_take(&c->pci, bdf, e);
	if (err)
		goto free_pages;
	err = ctrl_start(c, e);
	if (err)
		goto give_back;
	list_add_tail(&controllers, &c->link);
	*out = c;
	return 0;
give_back:
	pci_give_back(&c->pci);
free_pages:
	dmem_free(dmem, CTRL_NR_PAGES, c->pages);
free:
	pthread_mutex_destroy(&c->health.lock);
	pthread_mutex_destroy(&c->lock);
	free(c);
	return err;
}

static void ctrl_close(struct ctrl *c)
{
	keeper_stop(c->keeper);
	if (!c->dead) {
		ctrl_shutdown(c);
		if (ctrl_halt(c))
			log_warning("nvme:%s: did not stop; its DMA was taken away", c->pci.bdf);
	}
	qpair_free_stuck(c);
	pci_give_back(&c->pci);
	dmem_free(c->dmem, CTRL_NR_PAGES, c->pages);
	list_del(&c->link);
	pthread_mutex_destroy(&c->health.lock);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int ctrl_get(const char *bdf, struct dmem *dmem, struct ctrl **out, struct error *e)
{
	struct ctrl *c;
	int dead;

	list_for_each (c, &controllers, link) {
		if (strcmp(c->pci.bdf, bdf))
			continue;
		pthread_mutex_lock(&c->lock);
		dead = c->dead;
		pthread_mutex_unlock(&c->lock);
		if (dead)
			return error_set(e, -dead,
					 "nvme:%s has failed; expected its other disks to be "
					 "closed before it is tried again",
					 bdf);
		*out = c;
		return 0;
	}
	return ctrl_open(bdf, dmem, out, e);
}

void ctrl_put(struct ctrl *c)
{
	if (list_empty(&c->disks))
		ctrl_close(c);
}

static void see_one(struct ctrl *c, void (*see)(void *arg, const struct controller *c), void *arg)
{
	char uri[32];
	struct controller seen = {
		.uri = uri,
		.model = c->id.model,
		.serial = c->id.serial,
		.firmware = c->id.firmware,
	};
	struct list_node *n;

	snprintf(uri, sizeof(uri), "nvme:%s", c->pci.bdf);
	for (n = c->disks.head.next; n != &c->disks.head; n = n->next)
		seen.nr_disks++;
	pthread_mutex_lock(&c->health.lock);
	seen.nr_resets = c->health.nr_resets;
	seen.failed = c->health.failed;
	seen.health = c->health.log;
	pthread_mutex_unlock(&c->health.lock);
	see(arg, &seen);
}

void ctrl_see(void (*see)(void *arg, const struct controller *c), void *arg)
{
	struct ctrl *c;

	list_for_each (c, &controllers, link)
		see_one(c, see, arg);
}

int ctrl_identify_ns(struct ctrl *c, uint32_t nsid, struct identify_ns *out, struct error *e)
{
	int err;

	if (nsid > c->id.nr_namespaces)
		return error_set(e, ENODEV, "nvme:%s has no namespace %u; expected 1 to %u",
				 c->pci.bdf, nsid, c->id.nr_namespaces);
	pthread_mutex_lock(&c->lock);
	err = c->dead ? c->dead : ctrl_identify(c, NVME_IDENTIFY_NAMESPACE, nsid);
	if (err)
		error_set(e, -err, "nvme:%s does not identify namespace %u: %s", c->pci.bdf, nsid,
			  strerror(-err));
	else
		err = identify_ns_parse(c->pages[CTRL_DATA], nsid, out, e);
	pthread_mutex_unlock(&c->lock);
	return err;
}

static int stop_leftover(const char *bdf, struct error *e)
{
	struct ctrl c = { .dmem = NULL };
	int err = pci_take(&c.pci, bdf, e);

	/* Somebody else's that lives. */
	if (err == -EBUSY)
		return 0;
	if (err)
		return err;
	err = read_capabilities(&c, e);
	if (!err && ctrl_halt(&c))
		log_warning("nvme:%s: a predecessor was killed; its DMA was taken away", bdf);
	else if (!err)
		log_warning("nvme:%s: a predecessor was killed; stopped", bdf);
	pci_leave(&c.pci);
	return 0;
}

int ctrl_stop_leftovers(struct error *e)
{
	return pci_leftovers(stop_leftover, e);
}
