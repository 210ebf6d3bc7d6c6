/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ahead - who stands by reads what it will want to know of each disk, before it is its turn.
 *
 * It reads all that backend and vbd will read when they take a disk on, by the same functions, and has
 * xenstore's answers in a cache. What changes is forgotten, for all of it is watched, and is read again a
 * little later. At the turn one request makes certain that all changes until then are known; then a disk
 * costs no requests but its watch until its guest is served.
 *
 * Guests cause events as fast as they write. The first one of a disk has all of it forgotten, others cost
 * nothing more, and it is read again once in LOOK_S.
 *
 * Thread: control.
 */
#ifndef XENBLKD_AHEAD_H
#define XENBLKD_AHEAD_H

#include <stdbool.h>

#include "error.h"
#include "list.h"
#include "reactor.h"
#include "store.h"
#include "vbd.h"

/* What the tokens of its watches begin with. */
#define AHEAD_TOKEN "ahead"

struct ahead {
	struct vbd_host host; /* as far as reading wants it */
	struct store_cache cache;
	struct reactor *control;
	char path[STORE_PATH_MAX]; /* "/local/domain/0/backend/vbd" */
	struct list disks;
	struct reactor_fd store_fd;
	struct reactor_fd look_fd; /* a timer */
	bool runs, waits;
	bool first; /* an event comes of the watch itself */
};

/**
 * ahead_begin - reads, and watches
 *
 * Without it a turn takes longer, and nothing else.
 *
 * @class: "vbd"
 *
 * Return: 0; or -errno and *@e, and there is nothing to end.
 */
int ahead_begin(struct ahead *a, struct store *store, struct reactor *control, const char *class,
		struct error *e);

/* ahead_turn - from here on the store answers by it; events come to ahead_event(). */
void ahead_turn(struct ahead *a);

/* ahead_event - of a watch whose token begins with AHEAD_TOKEN */
void ahead_event(struct ahead *a, const char *path, const char *token);

/* ahead_end - answers no more; may be called again. */
void ahead_end(struct ahead *a);

#endif
