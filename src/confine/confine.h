/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * confine - the daemon gives up what it does not need any more.
 *
 * It begins with all that root has: to open Xen's devices, to make memory for DMA, to let go of what a
 * killed predecessor left. What is left after that is what a guest gets that breaks in, so it is as
 * little as the daemon's work takes: no capability but those two that opening disks and NVMe drives
 * need, or another user and none at all; no new privileges by exec; and no system calls but those that
 * it makes (filter.c), which do not include exec, nor sockets of any network.
 *
 * It happens in two steps: privileges before there are threads, since each has its own; the user and
 * the filter when all devices are open, for all threads at once.
 *
 * What cannot be taken away: a hypercall is an ioctl with a pointer, into which no filter sees, and
 * libxen can restrict its handles to one domain at most (xentoolcore_restrict_all), where we serve
 * many. Without memory for DMA there are no hypercalls, and the filter has none.
 *
 * Thread: control, at start.
 */
#ifndef XENBLKD_CONFINE_H
#define XENBLKD_CONFINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

enum confine_mode {
	CONFINE_NO,
	CONFINE_YES, /* a system call beyond the filter fails: EPERM, and the log names it */
	CONFINE_KILL, /* it ends the daemon: for tests, so that none goes unseen */
};

struct confine {
	enum confine_mode mode;
	bool dma; /* there is memory for DMA, so hypercalls, and perhaps NVMe drives */
	bool spdk; /* SPDK runs, and may be asked to open what takes more: disks by Linux's aio, networks */
	const char *user; /* to become, or NULL */
	uid_t uid; /* the user's */
	gid_t gid;
	void *filter; /* struct sock_filter, made by confine_privileges(), until confine_lock() */
	uint16_t filter_len;
};

/* confine_mode_parse - "yes", "kill" or "no". Return: 0; or -EINVAL and *@e, to stand behind a name. */
int confine_mode_parse(const char *text, enum confine_mode *out, struct error *e);

/* confine_find_user - who c->user is. Return: 0; or -errno and *@e, to stand behind a name. */
int confine_find_user(struct confine *c, struct error *e);

/* confine_give_dir - @dir and the files in it to the user, who will go on with them. Return: as above. */
int confine_give_dir(const struct confine *c, const char *dir, struct error *e);

/**
 * confine_privileges - lifts limits that the daemon would need privileges to pass, and drops those
 *
 * It makes the filter, too, which takes a while: guests of one that stands by need not wait for it.
 *
 * Capabilities are a thread's: to be called while there is one. With a user they stay until
 * confine_lock().
 *
 * Return: 0, or -errno and *@e.
 */
int confine_privileges(struct confine *c, struct error *e);

/**
 * confine_lock - becomes the user, if there is one, and installs the filter, for all threads
 *
 * Return: 0, or -errno and *@e: to go on would be to run with more than was asked for.
 */
int confine_lock(struct confine *c, struct error *e);

/* filter_make - the system calls of the daemon, and no more; filter_load() - from here on. Parts of those. */
int filter_make(struct confine *c, struct error *e);
int filter_load(struct confine *c, struct error *e);

/* refuse_install - what becomes of other system calls (SIGSYS); part of filter_load(). Return: 0 or -errno. */
int refuse_install(enum confine_mode mode);

#endif
