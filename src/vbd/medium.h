/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * medium - what a disk's bytes lie on: opened, closed, and of a CD-ROM changed under its guest.
 *
 * Where a disk can be ejected, its toolstack changes the medium by writing another target to "params",
 * connected or not; an empty one leaves the tray empty. What is in flight ends, the queues let go of the
 * old bdev and go on with the new one, and the guest is told the size as of a resize: 0 of an empty tray,
 * in which all requests but flushes fail. A target that does not open leaves the tray empty, too, and the
 * guest connected.
 *
 * Only what is read-only can be ejected: of a medium that the guest writes to, what it has not flushed
 * would be lost.
 *
 * Thread: control.
 */
#ifndef XENBLKD_MEDIUM_H
#define XENBLKD_MEDIUM_H

#include "vbd.h"

/* medium_is_removable - true if it can be changed. */
bool medium_is_removable(const struct vbd *v);

/**
 * medium_open - opens what the toolstack wants
 *
 * A guest that an earlier daemon served finds the tray empty, if it does not open and is removable.
 *
 * Return: EVENT_OPENED, EVENT_OPEN_FAILED or EVENT_OPEN_BUSY.
 */
enum negotiate_event medium_open(struct vbd *v);

/* medium_close - the reverse; also if nothing is open. */
void medium_close(struct vbd *v);

/* medium_refresh - looks whether the toolstack wants another, and changes it; ends in medium_parted(). */
void medium_refresh(struct vbd *v);

/* medium_parted - a queue of the disk has let go of the old one. */
void medium_parted(struct vbd *v);

/**
 * medium_set - the operator wants another: as medium_refresh(), also if it is the one that did not open
 *
 * @uri: empty: none
 *
 * Return: 0; or -errno and *@e: it cannot be ejected, or its nodes not be written.
 */
int medium_set(struct vbd *v, const char *uri, struct error *e);

#endif
