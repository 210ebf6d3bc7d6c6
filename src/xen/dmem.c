/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/version.h>
#include <xencall.h>

#include "grant.h"
#include "hugepages.h"
#include "point.h"

#define GNTALLOC_LIMIT "/sys/module/xen_gntalloc/parameters/limit"
#define DEFERRED_FREES "/sys/module/grant_table/parameters/free_per_iteration"

/* Pages that other programs may have from gntalloc, beside ours; which are twice as many while one stands by. */
#define GNTALLOC_OTHERS 1024ul
#define GNTALLOC_TIMES	2ul

/* Operations in a hypercall; a signal or another vCPU has to wait for no more than that. */
#define PIN_BATCH 512u

/*
 * The pins are the arguments of the hypercalls that pin and let go, into which Xen writes its
 * answers: one map for each page, then one unmap for each. A page is pinned if its map was carried
 * out and its unmap was not. Each is carried out once: handles are used again by others.
 */
static struct gnttab_map_grant_ref *pins_maps(void *pins)
{
	return pins;
}

static struct gnttab_unmap_grant_ref *pins_unmaps(void *pins, uint32_t nr_pages)
{
	return (struct gnttab_unmap_grant_ref *)(pins_maps(pins) + nr_pages);
}

size_t dmem_pins_bytes(uint32_t nr_pages)
{
	return (size_t)nr_pages *
	       (sizeof(struct gnttab_map_grant_ref) + sizeof(struct gnttab_unmap_grant_ref));
}

/* A number that the kernel can be told, is at least so large from now on, if we are let. */
static void raise_parameter(const char *path, unsigned long least)
{
	FILE *f = fopen(path, "r+");
	unsigned long now;

	if (!f)
		return;
	if (fscanf(f, "%lu", &now) == 1 && now < least) {
		rewind(f);
		fprintf(f, "%lu", least);
	}
	fclose(f);
}

/*
 * The kernel lets all programs together have 1024 pages unless it is told otherwise. And what a
 * process had that was killed, and its successor lets go of, it takes back by 10 pages a second:
 * a daemon that is killed again and again would find the grant table full.
 */
static void raise_limits(uint32_t nr_pages)
{
	raise_parameter(GNTALLOC_LIMIT, GNTALLOC_TIMES * nr_pages + GNTALLOC_OTHERS);
	raise_parameter(DEFERRED_FREES, nr_pages);
}

static bool is_pinned(void *pins, uint32_t nr_pages, uint32_t page)
{
	return pins_maps(pins)[page].status == GNTST_okay &&
	       pins_unmaps(pins, nr_pages)[page].status != GNTST_okay;
}

/* An unmap has to name the address that the map answered with, or Xen keeps the page. */
static int unpin_batch(xencall_handle *xcall, void *pins, uint32_t nr_pages, uint32_t first,
		       uint32_t nr)
{
	struct gnttab_unmap_grant_ref *unmaps = pins_unmaps(pins, nr_pages) + first;
	const struct gnttab_map_grant_ref *maps = pins_maps(pins) + first;
	int done = 0, err;

	for (uint32_t i = 0; i < nr; i++) {
		unmaps[i].host_addr = 0;
		unmaps[i].dev_bus_addr = maps[i].dev_bus_addr;
		unmaps[i].handle = maps[i].handle;
		unmaps[i].status = GRANT_STATUS_NEVER_RAN;
	}
	POINT();
	err = grant_hypercall(xcall, GNTTABOP_unmap_grant_ref, &GRANT_ARRAY(unmaps, nr), NULL);
	if (err)
		return err;
	POINT();
	for (uint32_t i = 0; i < nr; i++)
		done += unmaps[i].status == GNTST_okay;
	return done;
}

/* unpin - lets go of all that is pinned. Return: how many pages, or -errno. */
static int unpin(xencall_handle *xcall, void *pins, uint32_t nr_pages)
{
	uint32_t first = 0;
	int nr = 0;

	while (first < nr_pages) {
		uint32_t n = 0;
		int done;

		while (first + n < nr_pages && n < PIN_BATCH &&
		       is_pinned(pins, nr_pages, first + n))
			n++;
		if (!n) {
			first++;
			continue;
		}
		done = unpin_batch(xcall, pins, nr_pages, first, n);
		if (done < 0)
			return done;
		nr += done;
		first += n;
	}
	return nr;
}

static int pin_batch(xencall_handle *xcall, struct gnttab_map_grant_ref *maps, uint32_t nr,
		     uint64_t *bus, struct error *why)
{
	int err = grant_hypercall(xcall, GNTTABOP_map_grant_ref, &GRANT_ARRAY(maps, nr), NULL);

	if (err)
		return error_set(why, -err, "grant hypercalls are not allowed here: %s",
				 strerror(-err));
	for (uint32_t i = 0; i < nr; i++) {
		if (maps[i].status != GNTST_okay)
			return error_set(
				why, EOPNOTSUPP,
				"Xen gives no machine addresses to this domain (status %d)",
				maps[i].status);
		bus[i] = maps[i].dev_bus_addr;
	}
	return 0;
}

static void pins_prepare(void *pins, uint32_t nr_pages, uint32_t domid, const uint32_t *refs)
{
	struct gnttab_map_grant_ref *maps = pins_maps(pins);

	for (uint32_t i = 0; i < nr_pages; i++) {
		maps[i].flags = GNTMAP_device_map;
		maps[i].ref = refs[i];
		maps[i].dom = (domid_t)domid;
	}
}

static int pin(void *pins, uint32_t nr_pages, uint64_t *bus, struct error *why)
{
	xencall_handle *xcall = xencall_open(NULL, 0);
	int err = 0;

	if (!xcall)
		return error_set(why, errno, "no privcmd device: %s", strerror(errno));
	for (uint32_t i = 0; i < nr_pages && !err; i += PIN_BATCH) {
		uint32_t nr = nr_pages - i < PIN_BATCH ? nr_pages - i : PIN_BATCH;

		err = pin_batch(xcall, pins_maps(pins) + i, nr, bus + i, why);
		POINT();
	}
	if (err)
		unpin(xcall, pins, nr_pages);
	xencall_close(xcall);
	return err;
}

int dmem_recover(void *pins, uint32_t nr_pages)
{
	xencall_handle *xcall = xencall_open(NULL, 0);
	int nr;

	if (!xcall)
		return -errno;
	nr = unpin(xcall, pins, nr_pages);
	xencall_close(xcall);
	return nr;
}

static void *window_reserve(void)
{
	void *window = mmap(NULL, 1ull << DMEM_WINDOW_BITS, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return window == MAP_FAILED ? NULL : window;
}

/* Pages with bus addresses. Return: 0 and base, bus, window, gntshr; or -errno and why not. */
static int create_granted(struct dmem *d, uint32_t domid, struct error *why)
{
	uint32_t *refs = calloc(d->nr_pages, sizeof(*refs));
	uint64_t *bus = calloc(d->nr_pages, sizeof(*bus));
	xengntshr_handle *gntshr = NULL;
	void *base = NULL, *window = window_reserve();
	int err = -ENOMEM;

	if (!refs || !bus || !window) {
		error_set(why, ENOMEM, "no memory or addresses for it");
		goto fail;
	}
	gntshr = xengntshr_open(NULL, 0);
	if (!gntshr) {
		err = error_set(why, errno,
				"no gntalloc device: %s; expected the module xen-gntalloc "
				"(modprobe xen-gntalloc)",
				strerror(errno));
		goto fail;
	}
	raise_limits(d->nr_pages);
	base = xengntshr_share_pages(gntshr, domid, (int)d->nr_pages, refs, 1);
	if (!base) {
		d->full = errno == ENOSPC;
		err = error_set(why, errno, "gntalloc has no %u pages (" GNTALLOC_LIMIT "): %s",
				d->nr_pages, strerror(errno));
		goto fail;
	}
	POINT();
	pins_prepare(d->pins, d->nr_pages, domid, refs);
	POINT();
	err = pin(d->pins, d->nr_pages, bus, why);
	if (err)
		goto fail;
	free(refs);
	d->base = base;
	d->bus = bus;
	d->window = window;
	d->gntshr = gntshr;
	return 0;
fail:
	if (base)
		xengntshr_unshare(gntshr, base, d->nr_pages);
	if (gntshr)
		xengntshr_close(gntshr);
	if (window)
		munmap(window, 1ull << DMEM_WINDOW_BITS);
	free(bus);
	free(refs);
	return err;
}

static uint32_t nr_hugepages(const struct dmem *d)
{
	return (uint32_t)(((size_t)d->nr_pages * DMEM_PAGE_BYTES + HUGEPAGES_BYTES - 1) /
			  HUGEPAGES_BYTES);
}

/* Pages whose frame numbers are bus addresses. Return: 0 and base, bus; or -errno and why not. */
static int create_hugepages(struct dmem *d, struct error *why)
{
	uint64_t *bus = calloc(d->nr_pages, sizeof(*bus));
	void *base;
	int pin_fd, err;

	if (!bus)
		return error_set(why, ENOMEM, "no memory for it");
	err = hugepages_create(d->state_dir, nr_hugepages(d), &base, why);
	if (err)
		goto free;
	pin_fd = hugepages_pin(base, nr_hugepages(d), why);
	if (pin_fd < 0) {
		err = pin_fd;
		goto destroy;
	}
	err = hugepages_frames(base, d->nr_pages, bus, why);
	if (err)
		goto unpin;
	d->base = base;
	d->bus = bus;
	d->pin_fd = pin_fd;
	return 0;
unpin:
	hugepages_unpin(pin_fd);
destroy:
	hugepages_destroy(d->state_dir, nr_hugepages(d), base);
free:
	free(bus);
	return err;
}

/*
 * is_translated - asks Xen whether this domain's frame numbers are what devices and the hypervisor
 * know its pages by
 *
 * Return: 1, 0, or -errno and *@why.
 */
static int is_translated(struct error *why)
{
	xencall_handle *xcall = xencall_open(NULL, 0);
	struct xen_feature_info *info;
	int ret;

	if (!xcall)
		return error_set(why, errno, "no privcmd device: %s", strerror(errno));
	info = xencall_alloc_buffer(xcall, sizeof(*info));
	if (!info) {
		ret = error_set(why, ENOMEM, "no memory for hypercalls");
		goto close;
	}
	info->submap_idx = XENFEAT_auto_translated_physmap / 32;
	if (xencall2(xcall, __HYPERVISOR_xen_version, XENVER_get_features, (uintptr_t)info) < 0)
		ret = error_set(why, errno, "hypercalls are not allowed here: %s", strerror(errno));
	else
		ret = info->submap >> XENFEAT_auto_translated_physmap % 32 & 1;
	xencall_free_buffer(xcall, info);
close:
	xencall_close(xcall);
	return ret;
}

static int create_ordinary(struct dmem *d)
{
	void *base = mmap(NULL, (size_t)d->nr_pages * DMEM_PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	/* Guests' data is not for a core; the other kinds of memory are never in one. */
	madvise(base, (size_t)d->nr_pages * DMEM_PAGE_BYTES, MADV_DONTDUMP);
	d->base = base;
	return 0;
}

void dmem_pins_init(void *pins, uint32_t nr_pages)
{
	for (uint32_t i = 0; i < nr_pages; i++) {
		pins_maps(pins)[i].status = GRANT_STATUS_NEVER_RAN;
		pins_unmaps(pins, nr_pages)[i].status = GRANT_STATUS_NEVER_RAN;
	}
}

static int create_any(struct dmem *d, const struct dmem_args *args)
{
	uint32_t domid = args->domid;
	int translated = args->ordinary ? error_set(&d->why, EPERM, "%s", args->ordinary)
					: is_translated(&d->why);

	if (translated > 0 && !create_hugepages(d, &d->why)) {
		d->kind = DMEM_HUGEPAGES;
		return 0;
	}
	if (!translated && !create_granted(d, domid, &d->why)) {
		d->kind = DMEM_GRANTED;
		return 0;
	}
	d->kind = DMEM_ORDINARY;
	return create_ordinary(d);
}

int dmem_create(struct dmem *d, const struct dmem_args *args)
{
	struct dmem made = {
		.nr_pages = args->nr_pages,
		.nr_free = args->nr_pages,
		.pins = args->pins,
		.state_dir = args->state_dir,
	};
	int err;

	made.free = calloc(made.nr_pages, sizeof(*made.free));
	if (!made.free)
		return -ENOMEM;
	for (uint32_t i = 0; i < made.nr_pages; i++)
		made.free[i] = made.nr_pages - 1 - i;
	err = create_any(&made, args);
	if (err) {
		free(made.free);
		return err;
	}
	*d = made;
	pthread_mutex_init(&d->lock, NULL);
	return 0;
}

static void unpin_all(struct dmem *d)
{
	xencall_handle *xcall = xencall_open(NULL, 0);

	if (!xcall)
		return;
	unpin(xcall, d->pins, d->nr_pages);
	xencall_close(xcall);
}

void dmem_destroy(struct dmem *d)
{
	switch (d->kind) {
	case DMEM_GRANTED:
		unpin_all(d);
		xengntshr_unshare(d->gntshr, d->base, d->nr_pages);
		xengntshr_close(d->gntshr);
		munmap(d->window, 1ull << DMEM_WINDOW_BITS);
		break;
	case DMEM_HUGEPAGES:
		hugepages_unpin(d->pin_fd);
		hugepages_destroy(d->state_dir, nr_hugepages(d), d->base);
		break;
	case DMEM_ORDINARY:
		munmap(d->base, (size_t)d->nr_pages * DMEM_PAGE_BYTES);
		break;
	}
	pthread_mutex_destroy(&d->lock);
	free(d->bus);
	free(d->free);
}

int dmem_alloc(struct dmem *d, uint32_t nr_pages, void **pages)
{
	bool enough;

	pthread_mutex_lock(&d->lock);
	enough = d->nr_free >= nr_pages;
	for (uint32_t i = 0; enough && i < nr_pages; i++)
		pages[i] = d->base + (size_t)d->free[--d->nr_free] * DMEM_PAGE_BYTES;
	pthread_mutex_unlock(&d->lock);
	if (!enough)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr_pages; i++)
		memset(pages[i], 0, DMEM_PAGE_BYTES);
	return 0;
}

void dmem_free(struct dmem *d, uint32_t nr_pages, void **pages)
{
	pthread_mutex_lock(&d->lock);
	for (uint32_t i = 0; i < nr_pages; i++)
		d->free[d->nr_free++] =
			(uint32_t)(((uint8_t *)pages[i] - d->base) / DMEM_PAGE_BYTES);
	pthread_mutex_unlock(&d->lock);
}

struct placed {
	uint64_t bus;
	uint32_t from, to; /* page numbers, from base on */
};

static int by_bus(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	return x->bus < y->bus ? -1 : x->bus > y->bus;
}

static int move_page(uint8_t *from, uint8_t *to)
{
	return mremap(from, DMEM_PAGE_BYTES, DMEM_PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
			       MAP_FAILED
		       ? -errno
		       : 0;
}

/* Over a place where nobody is; if not all can be moved there, they return. */
static int move_pages(uint8_t *base, uint64_t *bus, const struct placed *moves, uint32_t nr_moves)
{
	size_t bytes = (size_t)nr_moves * DMEM_PAGE_BYTES;
	uint8_t *aside = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t nr = 0;
	int err = 0;

	if (aside == MAP_FAILED)
		return -errno;
	while (nr < nr_moves && !err) {
		err = move_page(base + (size_t)moves[nr].from * DMEM_PAGE_BYTES,
				aside + (size_t)nr * DMEM_PAGE_BYTES);
		nr += !err;
	}
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t to = err ? moves[i].from : moves[i].to;

		/* Where a page was before there is room for one. */
		if (move_page(aside + (size_t)i * DMEM_PAGE_BYTES,
			      base + (size_t)to * DMEM_PAGE_BYTES))
			abort();
		bus[to] = moves[i].bus;
	}
	munmap(aside, bytes);
	return err;
}

/* choose_front - moves to the front what is in pieces, from @sorted. Return: how many. */
static uint32_t choose_front(const struct placed *sorted, uint32_t nr_pages, uint32_t nr_front,
			     uint32_t nr_piece, struct placed *moves)
{
	uint32_t nr = 0;

	for (uint32_t i = 0, n; i < nr_pages && nr + nr_piece <= nr_front; i += n) {
		for (n = 1; i + n < nr_pages && nr + n < nr_front; n++) {
			if (sorted[i + n].bus != sorted[i].bus + (uint64_t)n * DMEM_PAGE_BYTES)
				break;
		}
		for (uint32_t k = 0; n >= nr_piece && k < n; k++, nr++)
			moves[nr] = (struct placed){ sorted[i + k].bus, sorted[i + k].from, nr };
	}
	return nr;
}

/* make_room - who was at the front goes to where those came from. Return: how many moves there are then. */
static uint32_t make_room(const uint64_t *bus, struct placed *moves, uint32_t nr_front)
{
	uint32_t nr = nr_front, vacant = 0;

	for (uint32_t page = 0; page < nr_front; page++) {
		bool chosen = false;

		for (uint32_t i = 0; i < nr_front && !chosen; i++)
			chosen = moves[i].from == page;
		if (chosen)
			continue;
		/* As many came from behind the front as have to leave it. */
		while (moves[vacant].from < nr_front)
			vacant++;
		moves[nr++] = (struct placed){ bus[page], page, moves[vacant++].from };
	}
	return nr;
}

int dmem_line_up(struct dmem *d, void *base, uint32_t nr_pages, uint32_t nr_front,
		 uint32_t nr_piece)
{
	uint64_t *bus = d->bus + ((uint8_t *)base - d->base) / DMEM_PAGE_BYTES;
	struct placed *sorted, *moves;
	int err = -ENOMEM;

	/* Hugepages are in one piece, and cannot be taken apart. */
	if (d->kind != DMEM_GRANTED)
		return 0;
	sorted = calloc(nr_pages, sizeof(*sorted));
	moves = calloc(2 * (size_t)nr_front, sizeof(*moves));
	if (sorted && moves) {
		for (uint32_t i = 0; i < nr_pages; i++)
			sorted[i] = (struct placed){ bus[i], i, i };
		qsort(sorted, nr_pages, sizeof(*sorted), by_bus);
		nr_front = choose_front(sorted, nr_pages, nr_front, nr_piece, moves);
		err = nr_front ? move_pages(base, bus, moves, make_room(bus, moves, nr_front)) : 0;
	}
	free(moves);
	free(sorted);
	return err;
}

int dmem_pool_create(struct dmem_pool *p, struct dmem *d, uint32_t nr_pages)
{
	struct dmem_pool made = { .dmem = d, .nr_free = nr_pages, .nr_pages = nr_pages };
	int err;

	made.pages = calloc(nr_pages, sizeof(*made.pages));
	if (!made.pages)
		return -ENOMEM;
	err = dmem_alloc(d, nr_pages, made.pages);
	if (err) {
		free(made.pages);
		return err;
	}
	*p = made;
	return 0;
}

void dmem_pool_destroy(struct dmem_pool *p)
{
	dmem_free(p->dmem, p->nr_pages, p->pages);
	free(p->pages);
}
