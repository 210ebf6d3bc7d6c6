/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * aside - queues' records that a daemon left, put aside until their rings are taken up again (inherit.h).
 *
 * A file beside the live ones, of the same name with a suffix: leftover_release() puts it there, of a process that
 * was killed, and a daemon that ends and leaves its guests connected does so itself.
 *
 * Thread: control.
 */
#ifndef XENBLKD_ASIDE_H
#define XENBLKD_ASIDE_H

#include <stdbool.h>

struct record;

/* What the names of records end in that were put aside for inherit.h. */
#define ASIDE_SUFFIX ".left"

/* aside_has - true if something was left of the disk's first ring, at least. */
bool aside_has(const char *state_dir, const char *disk);

/* aside_put - of a queue, for inherit.h; ends the mapping. */
void aside_put(struct record *r);

/* aside_forget - the disk's rings are others by now, or gone. */
void aside_forget(const char *state_dir, const char *disk);

/**
 * aside_sweep - removes what is left of disks that are no more
 *
 * @known: true if there is a disk of that name, the part before "-queue-0"
 */
void aside_sweep(const char *state_dir, bool (*known)(void *arg, const char *disk), void *arg);

#endif
