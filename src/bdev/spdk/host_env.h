/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host_env - what SPDK asks of the machine that it runs on (spdk/env.h), on dmem and sysfs.
 *
 * SPDK's own env is DPDK: hugepages and VFIO, of which a PV dom0 has neither. This one takes its
 * memory from dmem, so that each page has a bus address, and answers spdk_vtophys() by dmem_bus(): for
 * that memory, and for pointers into the bus window that stand for guests' pages. SPDK's libraries
 * are as they come.
 *
 *   env_memory.c  memory for devices, addresses
 *   env_ring.c    rings, which wake who sleeps; pools of objects
 *   env_thread.c  cores, time
 *   env_pci.c     NVMe controllers by sysfs, taken and given back as those that we drive ourselves
 *
 * SPDK's functions have no argument that could say which env is meant, so there is one.
 *
 * Thread: control, but for what SPDK calls.
 */
#ifndef XENBLKD_SPDK_HOST_ENV_H
#define XENBLKD_SPDK_HOST_ENV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dmem.h"
#include "error.h"

/* Who polls a thread of SPDK's: told of messages for it if they come while it sleeps. */
struct env_waker {
	struct spdk_ring *ring; /* the messages */
	atomic_bool asleep;
	int fd; /* an eventfd */
};

/**
 * env_start - memory for SPDK
 *
 * @dmem:     not used by others before, so that the pages follow one another
 * @nr_pages: of it
 *
 * Return: 0, or -errno and *@e.
 */
int env_start(struct dmem *dmem, uint32_t nr_pages, struct error *e);

/* env_end - the reverse; nothing of SPDK runs any more. */
void env_end(void);

/* env_set_core - what the calling thread is numbered as. */
void env_set_core(uint32_t core, uint32_t nr_cores);

/* env_next_ring_wakes - the next ring that this thread makes is @w's; NULL: nobody's. */
void env_next_ring_wakes(struct env_waker *w);

/* env_may_sleep - true if there is no message; from then until env_is_awake() each writes to w->fd. */
bool env_may_sleep(struct env_waker *w);
void env_is_awake(struct env_waker *w);

/* env_ticks_to_ns - of spdk_get_ticks(): how far @tick is ahead of now; 0 if it is not. */
uint64_t env_ns_until(uint64_t tick);

/* env_pci_end - part of env_end(): controllers that SPDK has not given back. */
void env_pci_end(void);

/* env_time_start - part of env_start(): how fast the ticks go. */
void env_time_start(void);

#endif
