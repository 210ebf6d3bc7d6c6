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
#include "settings.h"
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
	struct list *vbds; /* all of them but the one that is being made */
	uint32_t max_queues; /* of a disk: offered to guests; at most TRANSPORT_MAX_QUEUES */
	uint32_t idle_percent; /* of the CPUs' time; kept up while there are disks that ask */
	/* The disk has been freed and its nodes may have been made anew. */
	void (*gone)(struct vbd_host *host);
	/* Asks for vbd_retry() a little later. */
	void (*retry_later)(struct vbd_host *host);
	/* A disk asks for idle_percent. */
	void (*keep_idle)(struct vbd_host *host);
};

/* What the toolstack wrote. */
struct vbd_config {
	uint32_t domid; /* the guest */
	uint32_t devid; /* its virtual-device */
	char *frontend; /* path of the frontend's directory */
	char *machine; /* which one its domain is: "/vm/UUID"; NULL: not said */
	char *uri; /* "params", without the transfer */
	char *params; /* as it stands there */
	struct transfer transfer;
	bool has_transfer;
	char *dev; /* "xvda" */
	bool read_only, cdrom, removable;
	bool attached; /* we made its nodes: see vbd_remove_nodes() */
	bool no_discard; /* whatever its device can */
};

struct vbd_queue {
	struct queue *queue;
	void *ring; /* its pages, mapped while there is a queue */
	uint64_t cost; /* see balance.c */
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
	bool wants_retry; /* the bdev did not open, and is waited for or the guest is connected */
	uint64_t busy_since_ns; /* it was seen in somebody's hands first; 0: it is not */
	struct error error; /* what is wrong with it; empty: nothing */
	int err; /* its -errno; 0 again as soon as its bdev opens */

	uint64_t size_bytes; /* as last published */
	struct bdev *bdev; /* or NULL; a twin may have the same (twin.h) */
	struct vbd_queue queues[TRANSPORT_MAX_QUEUES];
	uint32_t nr_queues; /* 0 while not connected */
	uint32_t offered_queues; /* by an earlier daemon, to a guest connected since; or 0 */
	uint32_t nr_undrained; /* of them */
	uint32_t nr_parting; /* likewise: they let go of the bdev, and another follows (medium.h) */
	uint32_t nr_inherited; /* requests that a predecessor had in flight */
	uint32_t nr_ring_pages; /* of each */
	bool flush_failed; /* see queue_answer() */
	bool publishes_late; /* once the guest is served on: see vbd_settle() */
	bool stopping; /* the daemon ends, and its guest stays connected */
	bool forgot; /* there is nothing of a predecessor's any more */
	struct settings settings;
	struct throttle throttle; /* by them; the queues' */
	struct queue_stats past; /* of queues that are no more */
	struct log_limit news_limit, error_limit; /* for lines that the guest can cause */
	bool tries_again; /* to open the medium, though the toolstack wants no other */
	bool hushed; /* its bdev is opened and closed too often to be spoken of */
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

/* vbd_stats - all that it has counted, connected or not, since it was made. */
void vbd_stats(const struct vbd *v, struct queue_stats *out);

/**
 * vbd_set - changes a setting, here and in xenstore
 *
 * Return: 0, or -errno and *@e, and nothing has changed.
 */
int vbd_set(struct vbd *v, const char *key, const char *value, struct error *e);

/* vbd_transfer_words - how its data crosses the boundary; its bdev is open. */
void vbd_transfer_words(const struct vbd *v, char *text, size_t size);
/* vbd_transfer - what it says, or else its host. */
const struct transfer *vbd_transfer(const struct vbd *v);
/* vbd_warn_not_direct - if that was asked for, of a device that could, and is not to be had. */
void vbd_warn_not_direct(struct vbd *v);
/* vbd_set_transfer - brings its queues to that; to and from persistent with the next connection. */
void vbd_set_transfer(struct vbd *v);

/* vbd_set_poll - likewise how long they poll; as host->idle_percent is now. */
void vbd_set_poll(struct vbd *v);

/* vbd_max_queues - how many it may have. */
uint32_t vbd_max_queues(const struct vbd *v);

/* vbd_record_name - what the names of its queues' records begin with. */
void vbd_record_name(const struct vbd *v, char *name, size_t size);

/**
 * vbd_refresh - looks at what frontend and toolstack say now, and acts on it
 *
 * @v: may be freed
 */
void vbd_refresh(struct vbd *v);

/**
 * vbd_settle - publishes what a guest did not have to wait for that is served on
 *
 * Return: whether there was anything.
 */
bool vbd_settle(struct vbd *v);

/**
 * vbd_retry - opens the bdev of a guest that was served before, if it did not open
 *
 * The device may have been in use because what a daemon had in flight that was killed was not
 * finished, or may come to exist later.
 */
void vbd_retry(struct vbd *v);

/**
 * vbd_resize - looks whether the disk has another size by now, and tells the guest
 *
 * Return: 0, also if it has not; or -errno and *@e: it is not open, or its device does not tell.
 */
int vbd_resize(struct vbd *v, struct error *e);

/**
 * vbd_stop - the daemon ends: finishes what is in flight and lets go
 *
 * The guest stays connected, in its own view, and a daemon that starts later serves it on.
 *
 * @v: may be freed
 */
void vbd_stop(struct vbd *v);

/* For medium.c and vbd.c. */

/* vbd_apply_settings - what stands there is so from now on. */
void vbd_apply_settings(struct vbd *v, const struct settings *s);


/* vbd_may_log - for a line about something that the guest can bring about as often as it likes. */
bool vbd_may_log(struct vbd *v, struct log_limit *limit);

/* vbd_set_error - what is wrong with the disk; ACTION_REPORT writes it to xenstore. */
void vbd_set_error(struct vbd *v, enum log_level level, int err, const struct error *e);

/* vbd_report_any - vbd_report(), or else vbd_unreport(). */
void vbd_report_any(struct vbd *v);

/* vbd_fail - cuts it off, connected as it is, for v->error. */
void vbd_fail(struct vbd *v, int err);

/* What its queues are made with. */
uint32_t vbd_direct_from_bytes(const struct vbd *v);
bool vbd_goes_persistent(const struct vbd *v, const struct transport *t);
uint64_t vbd_poll_ns(const struct vbd *v);
void vbd_queue_limits(const struct vbd *v, struct request_limits *out);

#endif
