/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dmem - memory that devices and the hypervisor can be told about: pages with bus addresses.
 *
 * There is one region for the process, made at start. Pages of it are handed out to whoever talks to
 * devices; reactors keep a pool of them for data. Where they come from depends on the domain, and
 * Xen is asked which kind it is:
 *
 *   PV          A page's frame number is not its machine address, and Linux tells user space
 *               neither. So the pages come from gntalloc, granted to our own domain, and mapping
 *               each grant for the device (GNTMAP_device_map) makes Xen answer with the bus address
 *               and pin the page. A guest's page is treated in just the same way, by its own grant.
 *   translated  (PVH dom0, HVM driver domain) Xen refuses such maps. The pages are hugepages, whose
 *               frame numbers the kernel tells and the IOMMU translates (hugepages.h). A guest's
 *               page has no bus address of its own: its data is copied.
 *
 * Both outlive the process: should we die, the pages stay pinned, or in their file, so that a
 * controller that still writes to them writes to nobody else's memory. Who comes next lets them go
 * (see dmem_recover()).
 *
 * The bus window is a range of addresses without memory: a pointer into it stands for the bus
 * address (pointer - start of the window). It can be handed on in an iovec to whatever asks
 * dmem_bus() for addresses, and is never touched by the CPU. There is one in PV domains.
 *
 * Where none of this can be had (no privcmd, no gntalloc, no hugepages) the memory is ordinary and
 * nothing in it has a bus address: see dmem_has_bus().
 *
 * Thread: create, destroy and recover on the control thread; dmem_alloc() and dmem_free() any;
 * dmem_bus() any; a pool belongs to one thread.
 */
#ifndef XENBLKD_DMEM_H
#define XENBLKD_DMEM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xengnttab.h>

#include "error.h"

#define DMEM_PAGE_BYTES 4096u
#define DMEM_NO_BUS	UINT64_MAX

/* Bus addresses below 16 TiB; under ThreadSanitizer, which leaves less to reserve, 64 GiB. */
#ifdef XENBLKD_WINDOW_BITS /* under valgrind there is less yet */
#define DMEM_WINDOW_BITS XENBLKD_WINDOW_BITS
#elif defined(__SANITIZE_THREAD__)
#define DMEM_WINDOW_BITS 36
#else
#define DMEM_WINDOW_BITS 44
#endif

enum dmem_kind {
	DMEM_ORDINARY,
	DMEM_GRANTED,
	DMEM_HUGEPAGES,
};

struct dmem {
	enum dmem_kind kind;
	uint8_t *base; /* nr_pages consecutive pages of virtual memory */
	uint32_t nr_pages;
	uint64_t *bus; /* bus address of each page, or NULL: there are none */
	uint8_t *window; /* 2^DMEM_WINDOW_BITS addresses, or NULL */
	struct error why; /* why there are no bus addresses */
	bool full; /* because Linux has no grants left: it may have, later */

	pthread_mutex_t lock; /* for the stack */
	uint32_t *free; /* stack of page numbers */
	uint32_t nr_free;

	xengntshr_handle *gntshr; /* owns the pages that are granted */
	void *pins; /* the caller's memory */
	const char *state_dir; /* where hugepages are */
	int pin_fd; /* keeps them where they are */
};

/* dmem_pins_bytes - memory that dmem_create() wants for what is to survive the process. */
size_t dmem_pins_bytes(uint32_t nr_pages);

/* dmem_pins_init - nothing is pinned yet. */
void dmem_pins_init(void *pins, uint32_t nr_pages);

struct dmem_args {
	uint32_t nr_pages;
	uint32_t domid; /* our own */

	/* dmem_pins_bytes() bytes, initialised, locked in memory, that outlive the process. */
	void *pins;

	const char *state_dir;

	const char *ordinary; /* why it is to be ordinary memory, whatever could be had; or NULL */
};

/**
 * dmem_create - allocates the region; @args' pointers stay the caller's and outlive it
 *
 * Return: 0; @d->why if the pages have no bus addresses. -errno if there is no memory at all.
 */
int dmem_create(struct dmem *d, const struct dmem_args *args);

/* dmem_destroy - the reverse; every page is free, and no device uses them any more. */
void dmem_destroy(struct dmem *d);

/**
 * dmem_recover - lets go of what a process had pinned that did not live to do so
 *
 * Devices must have been stopped before. May itself be interrupted and done again. Hugepages are
 * let go of by hugepages_release().
 *
 * @pins: what dmem_create() was given then, for so many pages
 *
 * Return: the number of pages let go of, or -errno.
 */
int dmem_recover(void *pins, uint32_t nr_pages);

/* dmem_has_bus - true if devices can be told of the pages. */
static inline bool dmem_has_bus(const struct dmem *d)
{
	return d->bus != NULL;
}

/* dmem_has_window - true if devices can be told of guests' pages. */
static inline bool dmem_has_window(const struct dmem *d)
{
	return d->window != NULL;
}

/**
 * dmem_bus - the bus address of one byte
 *
 * Return: the address, of a byte of our memory or of a pointer into the bus window; DMEM_NO_BUS for
 * anything else.
 */
static inline uint64_t dmem_bus(const struct dmem *d, const void *ptr)
{
	uint64_t at = (uint64_t)((uintptr_t)ptr - (uintptr_t)d->base);

	if (!d->bus)
		return DMEM_NO_BUS;
	if (at < (uint64_t)d->nr_pages * DMEM_PAGE_BYTES)
		return d->bus[at / DMEM_PAGE_BYTES] + at % DMEM_PAGE_BYTES;
	if (!d->window)
		return DMEM_NO_BUS;
	at = (uint64_t)((uintptr_t)ptr - (uintptr_t)d->window);
	return at >> DMEM_WINDOW_BITS ? DMEM_NO_BUS : at;
}

/**
 * dmem_window - the pointer that stands for a bus address
 *
 * Return: the pointer, never to be touched; NULL if the address is beyond the window, or there is
 * none.
 */
static inline void *dmem_window(const struct dmem *d, uint64_t bus)
{
	return !d->window || bus >> DMEM_WINDOW_BITS ? NULL : d->window + bus;
}

/* dmem_in_window - true of a pointer that stands for a bus address. */
static inline bool dmem_in_window(const struct dmem *d, const void *ptr)
{
	return d->window &&
	       !((uint64_t)((uintptr_t)ptr - (uintptr_t)d->window) >> DMEM_WINDOW_BITS);
}

/**
 * dmem_alloc - takes @nr_pages pages, zeroed, each anywhere in the region
 *
 * @pages: filled with their addresses
 *
 * Return: 0, or -ENOMEM: none is taken.
 */
int dmem_alloc(struct dmem *d, uint32_t nr_pages, void **pages);
void dmem_free(struct dmem *d, uint32_t nr_pages, void **pages);

/**
 * dmem_line_up - puts pages that are neighbours on the bus one behind the other
 *
 * For rings and the like, which devices want in one piece. What pages contain goes with them; nobody has
 * been told of an address of theirs.
 *
 * @base:     the first of @nr_pages pages of the region in a row
 * @nr_front: so many of them, from @base on, are then such neighbours, in pieces of @nr_piece or more, if
 *            there are enough
 *
 * Return: 0, or -errno: all are there, some in other places than before.
 */
int dmem_line_up(struct dmem *d, void *base, uint32_t nr_pages, uint32_t nr_front,
		 uint32_t nr_piece);

/* A stack of pages for one thread, the warmest on top. */
struct dmem_pool {
	struct dmem *dmem;
	void **pages;
	uint32_t nr_free;
	uint32_t nr_pages;
};

/* dmem_pool_create - moves @nr_pages pages into a pool. Return: 0 or -ENOMEM. */
int dmem_pool_create(struct dmem_pool *p, struct dmem *d, uint32_t nr_pages);

/* dmem_pool_destroy - the reverse; every page has been put back. */
void dmem_pool_destroy(struct dmem_pool *p);

/* dmem_get - takes a page; there must be one: see nr_free. */
static inline void *dmem_get(struct dmem_pool *p)
{
	return p->pages[--p->nr_free];
}

static inline void dmem_put(struct dmem_pool *p, void *page)
{
	p->pages[p->nr_free++] = page;
}

#endif
