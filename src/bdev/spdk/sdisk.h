/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sdisk - a bdev of SPDK's as one of ours: "spdk:NAME".
 *
 * sdisk.c opens and describes it, on the control thread; sdisk_io.c takes its requests. SPDK tells the
 * control thread that it is to go (hot remove): then each reactor lets go of its channels when nothing
 * is in flight on them, requests fail, and when all have let go, SPDK gets it back.
 */
#ifndef XENBLKD_SPDK_SDISK_H
#define XENBLKD_SPDK_SDISK_H

#include <stdatomic.h>

#include "bdev.h"
#include "list.h"

struct spdk_bdev;
struct spdk_bdev_desc;
struct spdk_io_channel;

struct sdisk {
	struct bdev bdev;
	struct spdk_bdev_desc *desc; /* NULL: SPDK has it back */
	struct spdk_bdev *spdk; /* while there is a desc */
	char *name;
	atomic_bool gone; /* SPDK wants it back */
	atomic_uint nr_channels; /* of SPDK's, that reactors hold */
	uint32_t
		nr_untold; /* reactors that have not answered that they know; the control thread's */
	atomic_uint nr_messages; /* on their way to anybody, that name it */
	uint64_t unmap_max_bytes;
};

/* sdisk_channel_put - a reactor has put one. Thread: the reactor's. */
void sdisk_channel_put(struct sdisk *d);

/* The part of spdk_ops that moves data; each as in struct bdev_ops. */
int sdisk_channel_create(struct bdev *bdev, uint32_t depth, struct bdev_channel **out);
void sdisk_channel_destroy(struct bdev_channel *bch);
int sdisk_submit(struct bdev_channel *bch, struct bdev_io *io);
uint32_t sdisk_poll(struct bdev_channel *bch);

/* sdisk_let_go - the calling reactor's channels of it, as soon as they are idle. */
void sdisk_let_go(struct sdisk *d);

/* host.c: for these two alone. */

/* host_is_running - SPDK was started. */
bool host_is_running(void);

/* host_note_change - args.changed() is called before long. Thread: control. */
void host_note_change(void);

/* host_for_each_reactor - @fn(@arg) on each of them, later. */
void host_for_each_reactor(void (*fn)(void *arg), void *arg);
uint32_t host_nr_reactors(void);

struct spdk_thread *host_app_thread(void);

#endif
