/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * front_device - a virtual disk's nodes in xenstore, as a toolstack makes and removes them.
 *
 * A disk is two directories that name each other: the backend's, below .../backend/CLASS/ of the
 * domain that serves it, and the frontend's. Where the latter stands is for the toolstack to say.
 * Ours is .../blkload/ by default and not .../device/, where the kernel of the same domain would
 * take the disk for its own.
 *
 * Sources: <xen/io/blkif.h>, xenstore-paths.
 *
 * Thread: that of the store.
 */
#ifndef XENBLKD_FRONT_DEVICE_H
#define XENBLKD_FRONT_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "store.h"

struct front_device {
	uint32_t frontend_domid, backend_domid;
	uint32_t devid; /* 51712 is xvda */
	char frontend[STORE_PATH_MAX];
	char backend[STORE_PATH_MAX];
};

struct front_node {
	const char *name, *value;
};

/* What a toolstack says of a disk. */
struct front_device_args {
	uint32_t frontend_domid, backend_domid;
	const char *class; /* "vbd"; "vbd3" for tapdisk */
	int64_t devid; /* -1: the first that is free */
	const char *target; /* the node "params" */
	bool read_only;
	const struct front_node *nodes; /* more of the backend's nodes */
	uint32_t nr_nodes;
};

/**
 * front_device_create - writes the nodes of a new disk, both sides at state 1
 *
 * Return: 0 and *@out; -EEXIST if there is a disk of that number; -errno. *@e says what is wrong.
 */
int front_device_create(struct store *s, const struct front_device_args *args,
			struct front_device *out, struct error *e);

/**
 * front_device_find - a disk that somebody else made
 *
 * @path: its frontend's directory, absolute
 */
int front_device_find(struct store *s, const char *path, struct front_device *out, struct error *e);

/**
 * front_device_remove - takes the disk back from its backend and removes the nodes
 *
 * As libxl: asks first (online 0, state 5 unless it has closed) and gives it @timeout_ms to come to state 6, which it does when the
 * frontend has closed; then removes what there is in any case.
 *
 * Return: 0; -ETIMEDOUT if the backend did not let go in time (the nodes are gone all the same);
 * -errno.
 */
int front_device_remove(struct store *s, const struct front_device *d, uint32_t timeout_ms,
			struct error *e);

/**
 * front_device_wait - waits for a side's state
 *
 * @dir: its directory
 * @wanted: a set of states, 1 << XenbusState*
 *
 * Return: the state; -ETIMEDOUT; -ENOENT if the node is gone; -errno.
 */
int front_device_wait(struct store *s, const char *dir, uint32_t wanted, uint32_t timeout_ms);

/* front_device_state - XenbusState* of a side, 0 where there is none or it is no number. */
uint32_t front_device_state(struct store *s, const char *dir);

#endif
