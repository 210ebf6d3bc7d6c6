/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xen/grant_table.h>
#include <xencall.h>

#define GNTALLOC_LIMIT "/sys/module/xen_gntalloc/parameters/limit"

/* Grants mapped and unmapped again by one pair of hypercalls. */
#define LEARN_BATCH 256u

struct learn_args {
	struct gnttab_map_grant_ref map[LEARN_BATCH];
	struct gnttab_unmap_grant_ref unmap[LEARN_BATCH];
};

/* The kernel lets all programs together have 1024 pages unless it is told otherwise. */
static void gntalloc_raise_limit(uint32_t nr_pages)
{
	FILE *f = fopen(GNTALLOC_LIMIT, "r+");
	unsigned long limit;

	if (!f)
		return;
	if (fscanf(f, "%lu", &limit) == 1 && limit < nr_pages + 1024ul) {
		rewind(f);
		fprintf(f, "%lu", nr_pages + 1024ul);
	}
	fclose(f);
}

/*
 * Unmaps at once what it has mapped: a page of gntalloc's stays in its frame for as long as we have
 * it, and a map that outlived a crash of ours would keep it from being freed.
 */
static int learn_batch(xencall_handle *xcall, struct learn_args *args, uint32_t domid,
		       const uint32_t *refs, uint64_t *frames, uint32_t nr, struct error *why)
{
	uint32_t mapped = 0;
	int16_t status = GNTST_okay;

	memset(args, 0, sizeof(*args));
	for (uint32_t i = 0; i < nr; i++) {
		args->map[i].flags = GNTMAP_device_map;
		args->map[i].ref = refs[i];
		args->map[i].dom = (domid_t)domid;
		args->map[i].status = GNTST_general_error;
	}
	if (xencall3(xcall, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref,
		     (uintptr_t)args->map, nr) < 0)
		return error_set(why, errno, "grant hypercalls are not allowed here: %s",
				 strerror(errno));

	for (uint32_t i = 0; i < nr; i++) {
		const struct gnttab_map_grant_ref *map = &args->map[i];

		if (map->status != GNTST_okay) {
			status = map->status;
			continue;
		}
		frames[i] = map->dev_bus_addr / DMEM_PAGE_BYTES;
		args->unmap[mapped].dev_bus_addr = map->dev_bus_addr;
		args->unmap[mapped++].handle = map->handle;
	}
	if (mapped && xencall3(xcall, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref,
			       (uintptr_t)args->unmap, mapped) < 0)
		return error_set(why, errno, "cannot unmap our own grants: %s", strerror(errno));
	if (status != GNTST_okay)
		return error_set(why, EOPNOTSUPP,
				 "Xen gives no machine addresses to this domain (status %d)",
				 status);
	return 0;
}

static int learn_frames(uint32_t domid, const uint32_t *refs, uint64_t *frames, uint32_t nr_pages,
			struct error *why)
{
	xencall_handle *xcall = xencall_open(NULL, 0);
	struct learn_args *args;
	int err = 0;

	if (!xcall)
		return error_set(why, errno, "no privcmd device: %s", strerror(errno));
	args = xencall_alloc_buffer(xcall, sizeof(*args));
	if (!args) {
		err = error_set(why, ENOMEM, "no memory for hypercalls");
		goto close;
	}
	for (uint32_t i = 0; i < nr_pages && !err; i += LEARN_BATCH) {
		uint32_t nr = nr_pages - i < LEARN_BATCH ? nr_pages - i : LEARN_BATCH;

		err = learn_batch(xcall, args, domid, refs + i, frames + i, nr, why);
	}
	xencall_free_buffer(xcall, args);
close:
	xencall_close(xcall);
	return err;
}

/* Granted pages with frame numbers. Return: 0 and base, frames, gntshr; or -errno and why not. */
static int create_granted(struct dmem *d, uint32_t domid, struct error *why)
{
	uint32_t *refs = calloc(d->nr_pages, sizeof(*refs));
	uint64_t *frames = calloc(d->nr_pages, sizeof(*frames));
	xengntshr_handle *gntshr = NULL;
	void *base = NULL;
	int err = -ENOMEM;

	if (!refs || !frames)
		goto fail;
	gntshr = xengntshr_open(NULL, 0);
	if (!gntshr) {
		err = error_set(why, errno, "no gntalloc device: %s", strerror(errno));
		goto fail;
	}
	gntalloc_raise_limit(d->nr_pages);
	base = xengntshr_share_pages(gntshr, domid, (int)d->nr_pages, refs, 1);
	if (!base) {
		err = error_set(why, errno, "gntalloc has no %u pages (" GNTALLOC_LIMIT "): %s",
				d->nr_pages, strerror(errno));
		goto fail;
	}
	err = learn_frames(domid, refs, frames, d->nr_pages, why);
	if (err)
		goto fail;
	free(refs);
	d->base = base;
	d->frames = frames;
	d->gntshr = gntshr;
	return 0;
fail:
	if (base)
		xengntshr_unshare(gntshr, base, d->nr_pages);
	if (gntshr)
		xengntshr_close(gntshr);
	free(frames);
	free(refs);
	return err;
}

static int create_ordinary(struct dmem *d)
{
	void *base = mmap(NULL, (size_t)d->nr_pages * DMEM_PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	d->base = base;
	d->frames = NULL;
	d->gntshr = NULL;
	return 0;
}

int dmem_create(struct dmem *d, uint32_t nr_pages, uint32_t domid, struct error *why)
{
	struct dmem made = { .nr_pages = nr_pages, .nr_free = nr_pages };
	int err;

	made.free = calloc(nr_pages, sizeof(*made.free));
	if (!made.free)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr_pages; i++)
		made.free[i] = nr_pages - 1 - i;

	if (create_granted(&made, domid, why)) {
		err = create_ordinary(&made);
		if (err) {
			free(made.free);
			return err;
		}
	}
	*d = made;
	return 0;
}

void dmem_destroy(struct dmem *d)
{
	if (d->gntshr) {
		xengntshr_unshare(d->gntshr, d->base, d->nr_pages);
		xengntshr_close(d->gntshr);
	} else {
		munmap(d->base, (size_t)d->nr_pages * DMEM_PAGE_BYTES);
	}
	free(d->frames);
	free(d->free);
}
