/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attach - what a virtual device is called, and what it is to xenstore.
 *
 * Thread: any; pure.
 */
#ifndef XENBLKD_ATTACH_H
#define XENBLKD_ATTACH_H

#include <stdint.h>

/**
 * attach_devid - the number of a virtual device (xen-vbd-interface(7))
 *
 * @vdev: "xvda" to "xvdzz", or the number itself
 *
 * Return: 0, or -EINVAL.
 */
int attach_devid(const char *vdev, uint32_t *out);

#endif
