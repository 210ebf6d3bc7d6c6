/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control - what a test asks of the machine, and what it counts: words with numbers.
 *
 * Thread: any, at any time.
 */
#ifndef XENSIM_CONTROL_H
#define XENSIM_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* All are 64 bits: control.c has their names. */
struct sim_counters {
	uint64_t multicalls; /* that were not refused */
	uint64_t hypercalls; /* through libxencall */
	uint64_t hypercall_ns; /* time in them, if `account` is set */
	uint64_t copies, maps, unmaps; /* operations in them */
	uint64_t gntdev_calls; /* ioctls */
	uint64_t gntdev_copies, gntdev_maps, gntdev_unmaps; /* pages in them */
	uint64_t shared_pages; /* by gntalloc, now */
	uint64_t mapped_pages; /* all kinds, now */
	uint64_t bad_operations; /* whose status was not GNTST_okay */
	uint64_t ports; /* bound, or waiting for who binds them, now */
	uint64_t events, events_lost; /* sent */
	uint64_t store_requests;
	uint64_t device_reads, device_writes; /* bytes, of software devices */
	uint64_t device_strays; /* accesses to what was not mapped for devices */
	uint64_t nvme_commands, nvme_sgls, nvme_deallocated_bytes, nvme_resets;
};

/* A fault happens to the operation on which a count runs out, or by chance. 0: never. */
struct sim_fault {
	uint64_t after; /* the how manyth from now */
	uint64_t permille;
};

struct sim_controls {
	struct sim_fault fail_copy, fail_map, fail_unmap, fail_gntdev_map;
	struct sim_fault fail_share; /* by gntalloc: ENOSPC */
	struct sim_fault interrupt_map; /* a mapping by gntdev: EINTR */
	struct sim_fault efault; /* the hypercall stops there: EFAULT */
	uint64_t no_multicall; /* 1: they are refused, with ENOSYS */
	struct sim_fault lose_event, delay_event;
	struct sim_fault store_again; /* the end of a transaction: EAGAIN */
	uint64_t fail_status; /* of failed operations, its sign dropped; 0: general error */
	uint64_t delay_event_us;
	/* Of all NVMe controllers: an I/O command that fails, or is never answered. */
	struct sim_fault nvme_fail, nvme_silent;
	uint64_t nvme_status; /* of one that fails; 0: internal error */
	uint64_t nvme_delay_us; /* until a command is carried out, on the average */
	uint64_t nvme_burst; /* 1: what a turn carries out is completed together, at its end */
	uint64_t nvme_hold; /* 1: doorbells are not looked at */
	uint64_t nvme_fatal; /* 1: CSTS.CFS; back at 0 with the next reset */
	uint64_t nvme_gone; /* 1: pulled out */
	uint64_t nvme_warnings, nvme_media_errors; /* what its SMART log says */
	uint64_t account; /* 1: see hypercall_ns */
	/* Busy waits. */
	uint64_t cost_hypercall_ns, cost_copy_ns, cost_map_ns, cost_unmap_ns, cost_event_ns;
};

#define SIM_COUNT(name, n) \
	__atomic_fetch_add(&sim()->counters.name, (uint64_t)(n), __ATOMIC_RELAXED)

/* The same, of what is changed under grants_lock alone. */
#define SIM_COUNT_GRANTS(name, n)                                                     \
	__atomic_store_n(&sim()->counters.name, sim()->counters.name + (uint64_t)(n), \
			 __ATOMIC_RELAXED)

/* sim_fault_due - that of a fault that is set. */
bool sim_fault_due(struct sim_fault *f);

/* sim_fault_is_set - true if it is to happen, now or later. */
static inline bool sim_fault_is_set(const struct sim_fault *f)
{
	return __atomic_load_n(&f->after, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&f->permille, __ATOMIC_RELAXED);
}

/* sim_fault - true if it happens now. */
static inline bool sim_fault(struct sim_fault *f)
{
	return sim_fault_is_set(f) && sim_fault_due(f);
}

/* sim_fault_status - GNTST_* of an operation that is made to fail. */
int16_t sim_fault_status(void);

/* sim_now_ns - the time. */
uint64_t sim_now_ns(void);

/* sim_cost - busy for so long. */
void sim_cost(uint64_t ns);

/**
 * sim_set - "fail_copy=3 cost_hypercall_ns=500", words of struct sim_controls
 *
 * fail_copy is fail_copy.after; fail_copy_permille the other. What is not named stays.
 *
 * Return: 0; -EINVAL: the words before the wrong one are set.
 */
int sim_set(const char *words);

/* sim_get - a counter or control by its name. Return: 0 or -ENOENT. */
int sim_get(const char *name, uint64_t *value);

/* sim_show - all of them, a line each. */
void sim_show(FILE *f);

#endif
