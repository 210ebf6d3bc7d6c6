/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dmem - memory of ours that Xen can be told about by frame number.
 *
 * The hypervisor copies between a guest's grant and a frame of ours. In a PV domain a page's frame
 * number there is its machine address, which Linux does not tell user space; so the pages come from
 * gntalloc, granted to our own domain, and mapping each grant for the device (GNTMAP_device_map)
 * makes Xen answer with the address. Where that cannot be had (no privcmd, no gntalloc, or a domain
 * whose addresses are translated) the memory is ordinary and has no frame numbers, and data has to
 * go by the gntdev driver; grant_batch sees to that.
 *
 * Pages are handed out one by one from a stack, so that the warmest is used first.
 *
 * Thread: create and destroy on the control thread; the rest on the reactor that owns it.
 */
#ifndef XENBLKD_DMEM_H
#define XENBLKD_DMEM_H

#include <stdbool.h>
#include <stdint.h>

#include <xengnttab.h>

#include "error.h"

#define DMEM_PAGE_BYTES 4096u

struct dmem {
	uint8_t *base;	  /* nr_pages consecutive pages of virtual memory */
	uint64_t *frames; /* frame number of each page, or NULL: they are not known */
	uint32_t *free;	  /* stack of page numbers */
	uint32_t nr_free;
	uint32_t nr_pages;
	xengntshr_handle *gntshr; /* owns the pages, or NULL: ordinary memory */
};

/**
 * dmem_create - allocates @nr_pages pages
 *
 * @domid: our own
 * @why:   set if the pages have no frame numbers: the reason
 *
 * Return: 0, or -errno if there is no memory at all. @d->frames tells which kind it is.
 */
int dmem_create(struct dmem *d, uint32_t nr_pages, uint32_t domid, struct error *why);

/* dmem_destroy - the reverse; every page has been put back. */
void dmem_destroy(struct dmem *d);

/* dmem_get - takes a page; there must be one: see nr_free. Return: its number. */
static inline uint32_t dmem_get(struct dmem *d)
{
	return d->free[--d->nr_free];
}

static inline void dmem_put(struct dmem *d, uint32_t page)
{
	d->free[d->nr_free++] = page;
}

static inline void *dmem_ptr(const struct dmem *d, uint32_t page)
{
	return d->base + (uint64_t)page * DMEM_PAGE_BYTES;
}

#endif
