/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state - the machine that libxensim plays: domains, their grant tables and event channels, and
 * memory, shared by all processes that name the same directory in XENSIM_DIR.
 *
 * The directory holds "state", the structures below; "memory", where the bus address of a byte is its
 * offset in the file; a FIFO for each open event channel device; and a socket of the store for each
 * domain. It belongs on tmpfs. The first process that comes makes it; nothing removes it.
 *
 * What the hypervisor keeps for a domain survives its processes: device maps, and what was granted
 * and is in use. What a kernel keeps for a process does not: see sim_reap().
 *
 * Thread: any; everything below `grants_lock` and `events_lock` in turn is under that lock, taken in
 * this order.
 */
#ifndef XENSIM_STATE_H
#define XENSIM_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.h"

#define SIM_PAGE_BYTES	   4096u
#define SIM_DOMAINS	   128u
#define SIM_GRANTS	   32768u /* of a domain: 64 frames of 512 entries */
#define SIM_GRANT_RESERVED 8u /* the first ones, as in Linux */
#define SIM_MAPS	   65536u /* of a domain */
#define SIM_PORTS	   4096u /* of a domain */
#define SIM_PROCESSES	   512u
#define SIM_QUEUES	   2048u /* open event channel devices */

/* Memory, 4 GiB. No page has a bus address below that of the first. */
#define SIM_FRAMES	(1u << 20)
#define SIM_FRAME_FIRST 256u

enum sim_grant_flags {
	SIM_GRANTED = 1,
	SIM_GRANT_READONLY = 2,
	/* Access was ended while somebody had it mapped: it goes with the last map. */
	SIM_GRANT_ENDED = 4,
};

struct sim_grant {
	uint8_t flags;
	uint8_t unused;
	uint16_t grantee;
	uint16_t process; /* that shares it; 0: none */
	uint32_t frame;
	uint32_t nr_maps, nr_writable;
	uint32_t next; /* of the free ones */
};

enum sim_map_flags {
	SIM_MAPPED = 1,
	SIM_MAP_READONLY = 2,
	SIM_MAP_DEVICE = 4,
	/* Not mapped: who did it or undid it was killed before it was told. See sim_grant_repair(). */
	SIM_MAP_INTERRUPTED = 8,
};

struct sim_map {
	uint8_t flags;
	uint8_t unused;
	uint16_t granter;
	uint16_t process; /* whose mapping it is; 0: the domain's */
	uint32_t ref;
	uint32_t next;
};

enum sim_port_state {
	SIM_PORT_FREE,
	SIM_PORT_UNBOUND,
	SIM_PORT_INTERDOMAIN
};

struct sim_port {
	uint8_t state;
	bool pending, masked;
	uint16_t remote_domid;
	uint32_t remote_port;
	uint32_t queue; /* of the device that it was bound on */
};

/* An open event channel device: a FIFO of port numbers. */
struct sim_queue {
	bool open;
	uint16_t domid;
	uint16_t process;
	uint32_t generation; /* which use of this place */
};

struct sim_frame {
	bool used;
	uint16_t owner; /* a domain */
	uint32_t nr_device; /* device maps */
	uint32_t next;
};

struct sim_process {
	bool alive;
	uint16_t domid;
	int32_t pid;
};

struct sim_domain {
	bool alive;
	uint32_t grants_used, grants_free; /* never used ones begin at grants_used */
	uint32_t maps_used, maps_free;
	struct sim_grant grants[SIM_GRANTS];
	struct sim_map maps[SIM_MAPS];
	struct sim_port ports[SIM_PORTS];
};

struct sim_state {
	uint64_t magic; /* written last */
	struct sim_counters counters;
	struct sim_controls controls;

	pthread_mutex_t grants_lock;
	struct {
		bool active;
		uint16_t domid;
		uint32_t handle;
	} doing; /* the map or unmap that is under way */
	uint32_t frames_used, frames_free;
	struct sim_process processes[SIM_PROCESSES]; /* [0] is nobody */
	struct sim_frame frames[SIM_FRAMES];

	pthread_mutex_t events_lock;
	struct sim_queue queues[SIM_QUEUES];

	struct sim_domain domains[SIM_DOMAINS]; /* grants and maps; ports under events_lock */
};

/**
 * sim_open - the machine of XENSIM_DIR, and this process a part of it
 *
 * May be called many times.
 *
 * Return: 0 or -errno.
 */
int sim_open(void);

/* sim - the machine, after sim_open(). */
extern struct sim_state *sim_machine;

static inline struct sim_state *sim(void)
{
	return sim_machine;
}

/* sim_path - the name of a file in XENSIM_DIR. Return: 0 or -ENAMETOOLONG. */
int sim_path(char *path, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* sim_domid - XENSIM_DOMID as sim_open() has found it to be, or 0; each handle keeps what it was then. */
uint16_t sim_domid(void);

/* sim_process - our own place in the table. */
uint16_t sim_process(void);

void sim_lock(pthread_mutex_t *lock);
void sim_unlock(pthread_mutex_t *lock);

/* sim_page - the hypervisor's view of a frame. */
void *sim_page(uint32_t frame);

/* sim_memory_fd - to map frames from: the offset is the bus address. */
int sim_memory_fd(void);

/* sim_frame_get, sim_frame_put - under grants_lock. Return: a zeroed frame, or 0: there is none. */
uint32_t sim_frame_get(uint16_t owner);
void sim_frame_put(uint32_t frame);

/* sim_reap - does for processes that have died what their kernel would have done. */
void sim_reap(void);

/* sim_domain_create - there is such a domain from now on; may be there already. */
void sim_domain_create(uint16_t domid);

/**
 * sim_domain_destroy - as the hypervisor does it
 *
 * Its processes are killed, its event channels closed, its grants ended: what others have mapped
 * stays theirs until they unmap it. The store is told by whoever asked for this.
 */
void sim_domain_destroy(uint16_t domid);

#endif
