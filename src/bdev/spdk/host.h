/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host - SPDK's libraries, started and polled by our threads.
 *
 * SPDK's threads are not threads but what is polled by one: the control thread polls that on which SPDK
 * configures itself and answers its RPC ("app"), and each reactor one of its own, for I/O. There is no
 * second event loop: they are pollers of our reactors. Before a reactor sleeps it sets a timer to
 * what SPDK's timed pollers want next; and what SPDK wants to be polled always, although no request of
 * ours is with it, is looked at the more rarely the longer it had nothing to do.
 *
 * In a build without SPDK all of these are there, and say so (absent.c).
 *
 * Thread: control.
 */
#ifndef XENBLKD_SPDK_HOST_H
#define XENBLKD_SPDK_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "dmem.h"
#include "error.h"
#include "reactor.h"

struct spdk_host_args {
	const char *config; /* SPDK's JSON, or NULL */
	const char *rpc_path; /* of the socket to be made, or NULL */
	struct dmem *dmem; /* outlives it; nothing was allocated of it */
	uint32_t nr_pages; /* of it, for SPDK */
	uint32_t nr_reactors;
	struct reactor *control;
	/* From the control thread's loop: a bdev has appeared, or has another size. */
	void (*changed)(void *arg);
	void *arg;
};

/* spdk_host_built - true if this build has SPDK; spdk_host_version - of it, "" if not. */
bool spdk_host_built(void);
const char *spdk_host_version(void);

/**
 * spdk_host_start - starts SPDK, configures it, and opens its socket
 *
 * Return: 0, or -errno and *@e, with nothing left. -EOPNOTSUPP in a build without SPDK.
 */
int spdk_host_start(const struct spdk_host_args *args, struct error *e);

/* spdk_host_join - from now on @r polls SPDK's work, too; it runs. Return: 0, or -errno and *@e. */
int spdk_host_join(struct reactor *r, uint32_t number, struct error *e);

/* spdk_host_stop - the reverse of all; no disk is open, and the reactors still run. */
void spdk_host_stop(void);

#endif
