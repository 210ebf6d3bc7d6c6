/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * health - what a controller says of its own health: its SMART log.
 *
 * The keeper asks for it when a controller is taken, and about once a minute, by one admin command: the
 * queues of the datapath have no part in it. A controller that does not know it is asked no more.
 */
#ifndef XENBLKD_NVME_HEALTH_H
#define XENBLKD_NVME_HEALTH_H

#include <pthread.h>
#include <stdint.h>

#include "controller.h"

struct ctrl;

#define HEALTH_LOG_PAGE	 0x02u
#define HEALTH_LOG_BYTES 512u

/* What is shown of a controller; its own lock is held for a moment only. */
struct health {
	pthread_mutex_t lock;
	struct controller_health log;
	uint32_t nr_resets;
	bool failed;
	bool untold; /* it does not know this log */
};

/* health_parse - of HEALTH_LOG_BYTES bytes. Thread: any; pure. */
void health_parse(const uint8_t *raw, struct controller_health *out);

/* health_look - asks for the log. Thread: the keeper's; @c->lock is held. */
void health_look(struct ctrl *c);

/* health_count_reset, health_fail - what else is shown. Thread: any. */
void health_count_reset(struct health *h);
void health_fail(struct health *h);

#endif
