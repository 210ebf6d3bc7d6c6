/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vbd - one virtual disk: what the toolstack asked for, its bdev, its queues, and where it stands.
 *
 * The shell around negotiate(): it derives events from what stands in xenstore and from what its
 * queues say, and carries out the actions. Everything it does about one disk it does on the control
 * thread; the datapath is the queue's.
 *
 * Thread: control.
 */
#ifndef XENBLKD_VBD_H
#define XENBLKD_VBD_H

#include <stdbool.h>
#include <stdint.h>
#include <xengnttab.h>

#include "abi.h"
#include "bdev.h"
#include "datapath.h"
#include "error.h"
#include "list.h"
#include "log.h"
#include "negotiate.h"
#include "queue.h"
#include "reactor.h"
#include "store.h"
#include "transfer.h"
#include "transport.h"

/* What all disks of a daemon share; outlives them. */
struct vbd_host {
	struct store *store;
	struct reactor *control;
	struct datapath *datapath;
	struct dmem *dmem;
	struct transfer transfer; /* for disks that do not say */
	xengnttab_handle *gnttab; /* maps rings */
	const char *state_dir;
	const char *class; /* "vbd" */
	uint32_t max_queues; /* of a disk: offered to guests; at most TRANSPORT_MAX_QUEUES */
	/* The disk has been freed and its nodes may have been made anew. */
	void (*gone)(struct vbd_host *host);
	/* Asks for vbd_retry() a little later. */
	void (*retry_later)(struct vbd_host *host);
};

/* What the toolstack wrote. */
struct vbd_config {
	uint32_t domid; /* the guest */
	uint32_t devid; /* its virtual-device */
	char *frontend; /* path of the frontend's directory */
	char *uri; /* "params", without the transfer */
	struct transfer transfer;
	bool has_transfer;
	char *dev; /* "xvda" */
	bool read_only, cdrom, removable;
	bool no_discard; /* whatever its device can */
};

struct vbd_queue {
	struct queue *queue;
	void *ring; /* its pages, mapped while there is a queue */
};

struct vbd {
	struct list_node link; /* the backend's */
	struct vbd_host *host;
	struct vbd_config config;
	char path[STORE_PATH_MAX]; /* the backend's directory of this disk */
	char error_path[STORE_PATH_MAX]; /* where xenbus errors of it go */
	char name[64]; /* for people: "3/xvda" */

	enum negotiate_state state;
	uint32_t xenbus_state; /* as last written by us; 0: not yet */
	bool removed; /* the toolstack has taken its nodes away */
	bool dirty; /* something changed in xenstore */
	bool wants_retry; /* the guest is connected, and the bdev did not open */
	struct error error; /* what is wrong with it; empty: nothing */
	int err; /* its -errno */

	struct bdev *bdev; /* or NULL */
	struct vbd_queue queues[TRANSPORT_MAX_QUEUES];
	uint32_t nr_queues; /* 0 while not connected */
	uint32_t nr_undrained; /* of them */
	uint32_t nr_inherited; /* requests that a predecessor had in flight */
	uint32_t nr_ring_pages; /* of each */
	bool flush_failed; /* see queue_answer() */
	struct log_limit news_limit, error_limit; /* for lines that the guest can cause */
};

/**
 * vbd_create - takes on a disk whose nodes the toolstack has made, and opens its bdev
 *
 * A bdev that does not open is no failure here: the disk exists and says why it is of no use.
 *
 * @config: becomes the vbd's if this succeeds
 *
 * Return: the vbd, or NULL without memory.
 */
struct vbd *vbd_create(struct vbd_host *host, const char *path, const struct vbd_config *config);

/* vbd_record_name - what the names of its queues' records begin with. */
void vbd_record_name(const struct vbd *v, char *name, size_t size);

/**
 * vbd_refresh - looks at what frontend and toolstack say now, and acts on it
 *
 * @v: may be freed
 */
void vbd_refresh(struct vbd *v);

/**
 * vbd_retry - opens the bdev of a guest that was served before, if it did not open
 *
 * The device may have been in use because what a daemon had in flight that was killed was not
 * finished, or may come to exist later.
 */
void vbd_retry(struct vbd *v);

/**
 * vbd_stop - the daemon ends: finishes what is in flight and lets go
 *
 * The guest stays connected, in its own view, and a daemon that starts later serves it on.
 *
 * @v: may be freed
 */
void vbd_stop(struct vbd *v);

#endif
