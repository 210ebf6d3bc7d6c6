/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * front_pages - memory that the backend may use: pages from gntalloc, granted to its domain.
 *
 * The pages stay granted until they are destroyed, so the same ones serve many requests; that is
 * also what persistent grants ask of a frontend.
 *
 * Thread: those who share a handle take turns; what is in the memory is the caller's affair.
 */
#ifndef XENBLKD_FRONT_PAGES_H
#define XENBLKD_FRONT_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <xengnttab.h>

#include "front_ring.h"

struct front_pages {
	xengntshr_handle *gntshr;
	uint8_t *mem; /* nr pages, one behind the other */
	uint32_t *grefs; /* of each */
	uint32_t nr;
};

/**
 * front_pages_create - allocates and grants @nr pages, all zero
 *
 * The kernel bounds the pages of all programs together; the bound is raised if it is in the way.
 *
 * @domid: the backend's
 * @writable: whether the backend may write there
 *
 * Return: 0 or -errno.
 */
int front_pages_create(struct front_pages *p, xengntshr_handle *gntshr, uint32_t domid, uint32_t nr,
		       bool writable);

/*
 * front_pages_destroy - takes the grants back; Linux keeps a page that the backend still has mapped
 * until it has not.
 */
void front_pages_destroy(struct front_pages *p);

static inline void *front_page(const struct front_pages *p, uint32_t page)
{
	return p->mem + (size_t)page * FRONT_PAGE_BYTES;
}

#endif
