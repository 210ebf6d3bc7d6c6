/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile - a guest that does what no guest should, and what has to come of it.
 *
 * Each case is one line of a table: what the guest does, how its requests may be answered, and what
 * becomes of its disk. After each of them the disk is looked at, the daemon, and a neighbour: another
 * guest's disk of the same daemon, on which nothing may be seen of all this.
 *
 * A frontend library is all that is used, so it runs on the simulator and on real Xen, against any
 * backend. doc/hostile.md has the table.
 *
 * Thread: main; the threads that attacks need are theirs.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "front.h"
#include "neighbour.h"

#define NR(array) (sizeof(array) / sizeof((array)[0]))

/* Sets of answers to a request. */
enum {
	OKAY = 1,
	ERROR = 2, /* BLKIF_RSP_ERROR, or any other that is none of these */
	UNSUPPORTED = 4,
	NO_ANSWER = 8,
	WRONG_ANSWER = 16, /* of another id or operation */
};

/* What becomes of the disk that is attacked. */
enum fate {
	FATE_SERVED, /* it goes on as if nothing had been */
	FATE_CUT, /* it is disconnected: the backend goes to state 5; it can be connected anew */
	FATE_REFUSED, /* it is not connected: state 5; it can be, once what is asked for is right */
	FATE_ANY, /* either: what the guest did it did to itself; it can be connected anew */
	NR_FATES,
};

enum disk {
	DISK_WRITABLE,
	DISK_READ_ONLY,
	NR_DISKS,
};

/* Whose page a segment names. */
enum page {
	PAGE_GOOD,
	PAGE_NOT_GRANTED, /* an entry of the table that is empty */
	PAGE_BEYOND, /* no entry */
	PAGE_MAX, /* the reference is 2^32 - 1 */
	PAGE_HIGH_BIT, /* that of a good one, and 2^31 */
	PAGE_FOREIGN, /* granted, to another domain */
	PAGE_READABLE, /* granted, to be read alone */
	PAGE_REVOKED, /* was granted once */
	PAGE_RING, /* of the ring itself */
	PAGE_INDIRECT, /* of the request's own segments */
};

/* A request, and what is wrong with it. All zero: a reserved read of nothing at sector 0. */
struct ask {
	uint8_t op; /* BLKIF_OP_* */
	bool indirect;
	uint16_t nr; /* segments, whole pages */
	uint64_t sector;
	bool at_end; /* sector is counted back from the end of the disk */
	uint64_t nr_sectors; /* of a discard */
	uint8_t flag; /* of a discard */
	uint16_t handle;
	uint64_t id; /* 0: some */
	bool says; /* that there are so many segments: */
	uint16_t said;
	uint8_t inner; /* what an indirect one says it is; 0: op */
	enum page segments_in; /* of an indirect one */
	bool odd; /* segment odd_at is another: */
	uint16_t odd_at;
	uint8_t first, last;
	enum page page;
};

struct hostile;

struct hostile_case {
	const char *name, *does;
	unsigned answers; /* allowed; 0: nothing is asked */
	enum fate fate;
	void (*run)(struct hostile *h, const struct hostile_case *k);
	enum disk disk;
	bool closed; /* begins and ends with a disk that is not connected */
	struct ask ask;
	/* For run() to use as it likes. */
	const char *text;
	uint64_t number;
	const struct front_node *nodes; /* spoilt ones */
	uint32_t nr_nodes;
};

struct hostile_group {
	const char *name;
	const struct hostile_case *cases;
	size_t nr;
};

extern const struct hostile_group requests_group, indirect_group, grants_group, races_group,
	rings_group, nodes_group, states_group, floods_group;

#define DATA_PAGES     16u
#define INDIRECT_PAGES 8u

struct hostile_options {
	const char *targets[NR_DISKS];
	const char *neighbour;
	const char *only; /* a list of groups or cases, by commas; NULL: all */
	const char *skip; /* likewise, those that are not run; or NULL */
	const char *class;
	const char *log; /* the daemon's, or NULL */
	const char *report; /* a file for what came of each case, or NULL */
	pid_t pid; /* the daemon's, or 0 */
	enum front_abi abi;
	uint32_t timeout_ms; /* for each step of the backend's */
	uint32_t repeat_ms; /* how long each attack goes on; 0: once */
	uint32_t rounds; /* of those that are done many times */
	bool table; /* prints it, and does nothing */
	const char *die, *device; /* this process is the one that dies: where, and whose */
};

struct hostile {
	struct hostile_options options;
	struct store store;
	xengntshr_handle *gntshr;
	struct front fronts[NR_DISKS];
	struct front *front; /* the one that is connected, or to be */
	struct front_wishes wishes;
	struct front_pages pages; /* data, then those for segments */
	struct front_pages readable, foreign;
	uint32_t revoked; /* the reference that PAGE_REVOKED means; 0: a fresh one */
	uint8_t *before[NR_DISKS]; /* what is on each disk, in the places that are looked at */
	struct neighbour neighbour;
	uint64_t next_id;

	/* The running case. */
	const struct hostile_case *running;
	unsigned seen; /* answers */
	char why[200]; /* what is wrong; empty: nothing */
	uint64_t rng;
};

/* hostile_wrong - the running case has failed; the first reason counts. */
void hostile_wrong(struct hostile *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* hostile_random - some number; the same ones in each run. */
uint32_t hostile_random(struct hostile *h);

static inline struct front_queue *hostile_queue(struct hostile *h)
{
	return &h->front->queues[0];
}

/* ----- requests (ask.c) */

/* ask_gref - the reference that names such a page; @good: that of a good one */
uint32_t ask_gref(struct hostile *h, enum page page, uint32_t good);

/* ask_encode - lays it out. @operation: what the answer has to say. */
void ask_encode(struct hostile *h, const struct ask *a, uint8_t *entry, uint64_t *id,
		uint8_t *operation);

/* ask_answer - pushes, and waits for one answer. Return: which; see OKAY. */
unsigned ask_answer(struct hostile *h, uint64_t id, uint8_t operation);

/* ask_collect - pushes, and waits for @nr answers of whatever id. Return: the set of them. */
unsigned ask_collect(struct hostile *h, struct front_queue *q, uint32_t nr);

/* ask_run - of a case: what it says is asked. */
void ask_run(struct hostile *h, const struct hostile_case *k);

/* ask_serves - whether a frontend that behaves is served. */
bool ask_serves(struct hostile *h);

/*
 * ask_keep - reads the places of the disk that are looked at. ask_kept - whether they are as they
 * were. ask_restore - makes them so.
 */
bool ask_keep(struct hostile *h, enum disk disk);
bool ask_kept(struct hostile *h, enum disk disk);
bool ask_restore(struct hostile *h, enum disk disk);

/* ----- the connection (session.c) */

int session_open(struct hostile *h, struct error *e);
void session_close(struct hostile *h);

/*
 * session_made_by_others - whether a target is the directory of a frontend whose disk a toolstack made, and
 * will remove. session_device - that one, or one that we make.
 */
bool session_made_by_others(const char *target);
int session_device(struct store *s, const struct front_device_args *args, struct front_device *d,
		   struct error *e);

/* session_connect - as h->wishes say, with these nodes spoilt. Return: 0 or -errno. */
int session_connect(struct hostile *h, const struct front_node *nodes, uint32_t nr);

/* session_disconnect - closes in order, also what failed to connect or was cut off. */
void session_disconnect(struct hostile *h);

/* session_write - a node of the frontend's, whatever it says; NULL: none. */
void session_write(struct hostile *h, const char *node, const char *value);

/* session_cut_off - whether the backend goes to state 5 now. */
bool session_cut_off(struct hostile *h);

/* session_run - all cases. Return: how many failed. */
int session_run(struct hostile *h, const struct hostile_group *const *groups, size_t nr);

/* hostile_die - this process is a guest that dies there. */
int hostile_die(struct hostile *h, const char *where);

#endif
