/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inuse - claims the kernel's block devices of an NVMe controller, so that nobody uses them while
 * they are taken away.
 *
 * Thread: control.
 */
#ifndef XENBLKD_NVME_INUSE_H
#define XENBLKD_NVME_INUSE_H

#include <stdint.h>

#include "error.h"

#define INUSE_MAX_NAMESPACES 64

struct inuse {
	int fds[INUSE_MAX_NAMESPACES];
	uint32_t nr;
};

/**
 * inuse_claim - opens all block devices of the controller exclusively
 *
 * Return: 0; or -EBUSY or another -errno, and *@e that says who uses which: nothing is claimed then.
 */
int inuse_claim(struct inuse *u, const char *bdf, struct error *e);

/* inuse_release - the reverse; the devices may be gone by now. */
void inuse_release(struct inuse *u);

#endif
