/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * twin - the same disk of the same virtual machine in two domains: a migration to this very host.
 *
 * For a time both domains are there. The new one's disk is made while the old one, suspended, still
 * has it open, for either may turn out to be the one that goes on. So the two share the bdev. The old
 * one's queues are drained before the new one's are connected: what was in flight when the machine
 * was suspended the new domain sends again, and the first time must not come late. The old one is
 * released then, and serves no more.
 *
 * Which machine a domain is the toolstack says (the node "vm"), and of two domains the one with the
 * later number is the new one.
 *
 * Thread: control.
 */
#ifndef XENBLKD_TWIN_H
#define XENBLKD_TWIN_H

#include <stdbool.h>

#include "vbd.h"

/* twin_bdev - Return: the open bdev of a twin of @v; NULL: it has none, or none is open. */
struct bdev *twin_bdev(const struct vbd *v);

/* twin_shares - true if somebody else has the bdev of @v, too. */
bool twin_shares(const struct vbd *v);

/* twin_newer - true if a newer twin is connected: @v is the one to be released. */
bool twin_newer(const struct vbd *v);

/* twin_older - Return: an older twin that has not been released; NULL: @v may be connected. */
struct vbd *twin_older(const struct vbd *v);

/* twin_look_again - the queues of @v are drained: a twin may have waited for that. */
void twin_look_again(const struct vbd *v);

#endif
