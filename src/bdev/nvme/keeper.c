/* SPDX-License-Identifier: BSD-2-Clause */
#include "keeper.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "ctrl.h"
#include "qpair.h"

/* Of a command's time-out: what a controller has to abort it before it is reset. */
#define ABORT_GRACE    10u

#define ABORT_ADMIN_MS 2000u

/* More resets than this in so long are of no use. */
#define MAX_RESETS	4u
#define RESET_WINDOW_MS 600000u

/* How often it is looked whether the controller has something to tell. */
#define EVENTS_MS 5000

/* And how often of these it is asked for its health. */
#define HEALTH_LOOKS 12u

struct keeper {
	struct ctrl *ctrl;
	pthread_t thread;
	int event_fd;
	atomic_bool stop;
	uint32_t nr_resets; /* since */
	uint64_t window_ms;
	uint32_t nr_looks;
	struct log_limit abort_limit; /* a whole queue may be overdue */
};

static void lock_all(struct ctrl *c)
{
	struct qpair *qp;

	list_for_each (qp, &c->qpairs, link)
		pthread_mutex_lock(&qp->lock);
}

static void unlock_all(struct ctrl *c)
{
	struct qpair *qp;

	list_for_each (qp, &c->qpairs, link)
		pthread_mutex_unlock(&qp->lock);
}

/* With all locks held: from now on everything fails, and the controller does nothing. */
static void declare_dead(struct ctrl *c, int err, const char *why)
{
	ctrl_halt(c);
	c->dead = err;
	health_fail(&c->health);
	log_error("nvme:%s %s: its disks fail from now on", c->pci.bdf, why);
}

static bool reset_allowed(struct keeper *k)
{
	uint64_t now_ms = coarse_ms();

	if (now_ms - k->window_ms > RESET_WINDOW_MS) {
		k->window_ms = now_ms;
		k->nr_resets = 0;
	}
	return k->nr_resets++ < MAX_RESETS;
}

static int restart(struct ctrl *c, struct error *e)
{
	struct qpair *qp;
	int err = ctrl_halt(c);

	if (err)
		return error_set(e, -err, "does not stop");
	qpair_free_stuck(c);
	err = ctrl_enable(c, e);
	list_for_each (qp, &c->qpairs, link) {
		if (!err)
			err = qpair_create_queues(qp);
		if (err)
			break;
		qp->resend = true;
		qp->lied = false;
	}
	return err;
}

static void reset(struct keeper *k, const char *why)
{
	struct ctrl *c = k->ctrl;
	struct error e = { "does not take its queues back" };
	int err;

	if (!reset_allowed(k)) {
		declare_dead(c, -EIO, "has been reset too often");
		return;
	}
	log_warning("nvme:%s %s: it is reset", c->pci.bdf, why);
	health_count_reset(&c->health);
	err = restart(c, &e);
	if (err)
		declare_dead(c, err == -ENODEV ? err : -EIO, e.text);
	else
		log_info("nvme:%s is back; what was in flight is sent again", c->pci.bdf);
}

/* Why it has to be reset; NULL if it has not. With all locks held. */
static const char *trouble(struct ctrl *c)
{
	uint32_t csts = pci_read32(&c->pci, NVME_CSTS);
	uint64_t now_ms = coarse_ms();
	struct qpair *qp;

	if (csts & NVME_CSTS_CFS)
		return "reports a fatal status";
	if (!(csts & NVME_CSTS_RDY))
		return "is not ready any more";
	if (c->lost)
		return "does not answer an admin command";
	list_for_each (qp, &c->qpairs, link) {
		if (qp->lied)
			return "answers what it was not asked";
		if (qpair_overdue(qp, now_ms, true))
			return "does not end a command";
	}
	return NULL;
}

/* One command that is overdue and was not aborted yet. Return: true if there is one. */
static bool find_overdue(struct ctrl *c, uint16_t *qid, uint16_t *cid)
{
	uint64_t now_ms = coarse_ms();
	struct qpair *qp;
	struct slot *slot;

	list_for_each (qp, &c->qpairs, link) {
		slot = qpair_overdue(qp, now_ms, false);
		if (!slot)
			continue;
		slot->aborted = true;
		slot->due_ms = now_ms + c->timeout_ms / ABORT_GRACE;
		*qid = qp->qid;
		*cid = slot->sqe.cid;
		return true;
	}
	return false;
}

/* Without the locks of the queue pairs: completions go on. */
static void abort_overdue(struct keeper *k)
{
	struct ctrl *c = k->ctrl;
	uint16_t qid, cid;
	bool found;
	int err = 0;

	for (;;) {
		lock_all(c);
		found = find_overdue(c, &qid, &cid);
		unlock_all(c);
		if (!found)
			return;
		if (log_allowed(&k->abort_limit, clock_ns()))
			log_warning("nvme:%s: command 0x%04x of queue %u has not ended in %u s: it "
				    "is aborted",
				    c->pci.bdf, cid, qid, c->timeout_ms / 1000);
		err = ctrl_abort(c, qid, cid, ABORT_ADMIN_MS);
		if (err != -ETIMEDOUT && err != -ENODEV)
			continue;
		lock_all(c);
		reset(k, "does not answer");
		unlock_all(c);
		return;
	}
}

static void look(struct keeper *k)
{
	struct ctrl *c = k->ctrl;
	const char *why;

	pthread_mutex_lock(&c->lock);
	if (c->dead)
		goto out;
	lock_all(c);
	if (pci_is_gone(&c->pci)) {
		declare_dead(c, -ENODEV, "is not there any more");
		unlock_all(c);
		goto out;
	}
	why = trouble(c);
	if (why)
		reset(k, why);
	unlock_all(c);
	if (!why)
		abort_overdue(k);
out:
	pthread_mutex_unlock(&c->lock);
}

static void look_events(struct keeper *k)
{
	struct ctrl *c = k->ctrl;

	pthread_mutex_lock(&c->lock);
	if (!c->dead && (ctrl_look_events(c) || !(k->nr_looks++ % HEALTH_LOOKS)))
		health_look(c);
	pthread_mutex_unlock(&c->lock);
}

static void *keeper_main(void *arg)
{
	struct keeper *k = arg;
	struct pollfd called = { .fd = k->event_fd, .events = POLLIN };
	uint64_t count;

	look_events(k);
	while (!atomic_load(&k->stop)) {
		int n = poll(&called, 1, EVENTS_MS);

		if (!n)
			look_events(k);
		if (n <= 0 || read(k->event_fd, &count, sizeof(count)) < 0)
			continue;
		if (!atomic_load(&k->stop))
			look(k);
	}
	return NULL;
}

int keeper_start(struct ctrl *c, struct keeper **out)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return -ENOMEM;
	k->ctrl = c;
	k->event_fd = eventfd(0, EFD_CLOEXEC);
	if (k->event_fd < 0) {
		err = -errno;
		goto free;
	}
	err = -pthread_create(&k->thread, NULL, keeper_main, k);
	if (err)
		goto close;
	pthread_setname_np(k->thread, "nvme-keeper");
	*out = k;
	return 0;
close:
	close(k->event_fd);
free:
	free(k);
	return err;
}

void keeper_call(struct keeper *k)
{
	uint64_t one = 1;

	if (write(k->event_fd, &one, sizeof(one)) < 0)
		log_error("cannot wake the keeper of nvme:%s: %s", k->ctrl->pci.bdf,
			  strerror(errno));
}

void keeper_stop(struct keeper *k)
{
	atomic_store(&k->stop, true);
	keeper_call(k);
	pthread_join(k->thread, NULL);
	close(k->event_fd);
	free(k);
}
