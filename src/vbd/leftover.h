/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * leftover - what a daemon that was killed left mapped, and its successor lets go of.
 *
 * Maps for devices belong to the domain: they outlive the process, so that a controller that goes on
 * writes to nobody else's memory, and they keep a dead guest as a zombie. Where they are stands in
 * the records (record.h): Xen wrote handle and status there itself.
 *
 *   mapped = maps of the batch that were carried out, and maps of ios
 *            less the unmaps of the batch that were carried out
 *
 * That holds at each instant: a map enters an io before it leaves the batch, and leaves the io
 * before its unmap leaves the batch. A handle is unmapped once, as others use it again: the same
 * reactor's next map, or another one's, can have it while the unmap is still written down. So an unmap
 * says where the map stands that it undoes. Those of recovery do not: they go by handle, which is one
 * map's alone by then; and they are written into the same array, so that recovery can itself be killed.
 *
 * Thread: control, before anything is served and while the lock on the state directory is held.
 */
#ifndef XENBLKD_LEFTOVER_H
#define XENBLKD_LEFTOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/**
 * leftover_release - stops what devices a predecessor had running, unmaps what it had mapped, and
 * puts its queues' records aside
 *
 * What is in the way of nobody is left for leftover_discard(): the memory that it had pinned.
 *
 * @dirs: @nr directories with records, of which the first is the state directory: nothing stays there
 *
 * Return: 0; or -errno and *@e: nothing more may be mapped or unmapped then, and nothing was lost.
 */
int leftover_release(const char *const *dirs, uint32_t nr, struct error *e);

/* leftover_discard - lets go of the rest, or of what a process left that never served. */
int leftover_discard(const char *dir, struct error *e);

/* leftover_check - Return: 0; -EPROTONOSUPPORT and *@e if @dir has records of another version. */
int leftover_check(const char *dir, struct error *e);

#endif
