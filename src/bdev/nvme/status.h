/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status - what a completion says, in words and as an errno.
 *
 * Thread: any; pure.
 */
#ifndef XENBLKD_NVME_STATUS_H
#define XENBLKD_NVME_STATUS_H

#include <stdbool.h>
#include <stdint.h>

/* All three take the status field of a completion without the phase (4.6.1). */

/* nvme_status_words - Return: a few words, never NULL. */
const char *nvme_status_words(uint16_t status);

/* nvme_status_errno - Return: 0 for success, else -errno. */
int nvme_status_errno(uint16_t status);

/**
 * nvme_status_again - true if the same command may well succeed when it is sent once more
 *
 * @flush: it is a flush. One that failed while it ran may have lost what it was to save, and the
 *         next may succeed all the same: so only one that did not run is sent again.
 */
bool nvme_status_again(uint16_t status, bool flush);

#endif
