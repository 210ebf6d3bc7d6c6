/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hugepages - memory for DMA in a domain whose addresses Xen translates: PVH dom0, HVM domains.
 *
 * There the kernel's frame number of a page (pagemap) is what the IOMMU takes for the page's address
 * on the bus, as long as the kernel does not move the page. It would, to take memory with corrected
 * errors out of use or to make room in one piece; so they are pinned while the process lives.
 *
 * They lie in a file in a hugetlbfs of our own below the state directory, and belong to that file,
 * not to the process: should we die, they stay what they are, so that a controller that still writes
 * to them writes to nobody else's memory. Who comes next stops the controllers and then lets go of
 * the file (see hugepages_release()).
 *
 * The kernel makes them from ordinary memory when they are wanted ("surplus" ones, beside those that
 * somebody may have set aside), and they are ordinary memory again when the file is gone.
 *
 * Thread: control.
 */
#ifndef XENBLKD_HUGEPAGES_H
#define XENBLKD_HUGEPAGES_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define HUGEPAGES_BYTES (2ul << 20) /* of one */

/**
 * hugepages_create - allocates and maps them, zeroed
 *
 * There are none from a predecessor: see hugepages_release().
 *
 * @dir: the state directory
 * @nr:  how many
 *
 * Return: 0 and *@base; or -errno and *@why.
 */
int hugepages_create(const char *dir, uint32_t nr, void **base, struct error *why);

/* hugepages_destroy - the reverse; no device uses them any more. */
void hugepages_destroy(const char *dir, uint32_t nr, void *base);

/**
 * hugepages_release - lets go of those of a process that did not live to do so
 *
 * Devices must have been stopped before. May itself be interrupted and done again.
 *
 * Return: how many there were, or -errno.
 */
int hugepages_release(const char *dir);

/**
 * hugepages_pin - keeps the kernel from moving them
 *
 * Return: a descriptor for hugepages_unpin(); or -errno and *@why.
 */
int hugepages_pin(void *base, uint32_t nr, struct error *why);

/* hugepages_unpin - the reverse; the end of the process does it too. */
void hugepages_unpin(int fd);

/**
 * hugepages_frames - the address on the bus of each page of 4 KiB; pinned before
 *
 * @bus: filled with @nr_pages addresses
 *
 * Return: 0; or -errno and *@why.
 */
int hugepages_frames(const void *base, uint32_t nr_pages, uint64_t *bus, struct error *why);

/* The pure parts. */

/* hugepages_bus_of - the address of what an entry of pagemap describes; 0 if it tells none. */
uint64_t hugepages_bus_of(uint64_t entry);

/**
 * hugepages_limit - what nr_overcommit_hugepages has to be for @nr more
 *
 * @limit:   what it is; pages beyond it may exist, if it was higher before
 * @surplus: how many there are beyond those that were set aside
 * @unused:  how many of those set aside nobody uses, or is promised
 */
uint64_t hugepages_limit(uint64_t limit, uint64_t surplus, uint64_t unused, uint64_t nr);

#endif
