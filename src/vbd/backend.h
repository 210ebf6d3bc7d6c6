/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backend - watches a class of backends in xenstore, and makes and ends its disks.
 *
 * One watch covers the directory of the class, and each disk watches its frontend's state. Events
 * are only hints that something changed: they are collected first, each disk that they concern is
 * looked at once, however many there were, and what stands in xenstore then is what counts. So a
 * guest that writes without end costs its own turn and no more.
 *
 * Thread: control.
 */
#ifndef XENBLKD_BACKEND_H
#define XENBLKD_BACKEND_H

#include <stdbool.h>

#include "ahead.h"
#include "idle.h"
#include "list.h"
#include "reactor.h"
#include "store.h"
#include "vbd.h"

struct backend {
	struct vbd_host host;
	struct list vbds;
	char path[STORE_PATH_MAX]; /* "/local/domain/0/backend/vbd" */
	struct reactor_fd store_fd;
	struct reactor_fd retry_fd; /* a timer */
	bool retry_armed;
	uint32_t retry_ms; /* it grows */
	uint64_t retried_at_ns;
	struct reactor_fd
		idle_fd; /* likewise, while there are disks that ask how idle the CPUs are */
	struct idle idle;
	bool keeps_idle;
	struct poller poller;
	struct ahead *ahead; /* until all disks have been looked at once; or NULL */
	bool rescan; /* there may be disks that we do not know */
	bool swept; /* what a predecessor left of disks that are no more */
	bool stopping;
	void (*stopped)(struct backend *b);
};

struct backend_args {
	struct store *store;
	struct reactor *control;
	struct datapath *datapath;
	struct dmem *dmem;
	struct transfer transfer; /* for disks that do not say */
	const char *state_dir;
	const char *class;
	uint32_t max_queues; /* of a disk; at most TRANSPORT_MAX_QUEUES */
	struct ahead *ahead; /* what was read beforehand; or NULL */
	/* After backend_stop(), when the last disk is gone. */
	void (*stopped)(struct backend *b);
};

/* backend_start - takes on the disks that are there, and those to come. Return: 0, or -errno, *@e. */
int backend_start(struct backend *b, const struct backend_args *args, struct error *e);

/* backend_resize - all disks: those that have another size by now tell their guests. */
void backend_resize(struct backend *b);

/* backend_retry - opens what did not open, now that there are other devices than before. */
void backend_retry(struct backend *b);

/* backend_set_transfer - for disks that do not say, also those that are in use. */
void backend_set_transfer(struct backend *b, const struct transfer *transfer);

/* backend_stop - lets go of all disks; stopped() follows, from the loop. */
void backend_stop(struct backend *b);

/* backend_fini - after stopped(). */
void backend_fini(struct backend *b);

#endif
