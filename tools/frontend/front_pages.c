/* SPDX-License-Identifier: BSD-2-Clause */
#include "front_pages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GNTALLOC_LIMIT "/sys/module/xen_gntalloc/parameters/limit"

static void raise_limit(uint32_t nr)
{
	FILE *f = fopen(GNTALLOC_LIMIT, "r+");
	unsigned long limit;

	if (!f)
		return;
	if (fscanf(f, "%lu", &limit) == 1) {
		rewind(f);
		fprintf(f, "%lu", limit + nr);
	}
	fclose(f);
}

int front_pages_create(struct front_pages *p, xengntshr_handle *gntshr, uint32_t domid, uint32_t nr,
		       bool writable)
{
	struct front_pages fresh = { .gntshr = gntshr, .nr = nr };
	int err;

	fresh.grefs = calloc(nr, sizeof(*fresh.grefs));
	if (!fresh.grefs)
		return -ENOMEM;
	fresh.mem = xengntshr_share_pages(gntshr, domid, (int)nr, fresh.grefs, writable);
	if (!fresh.mem && errno == ENOSPC) {
		raise_limit(nr);
		fresh.mem = xengntshr_share_pages(gntshr, domid, (int)nr, fresh.grefs, writable);
	}
	if (!fresh.mem) {
		err = errno ? -errno : -ENOMEM;
		free(fresh.grefs);
		return err;
	}
	memset(fresh.mem, 0, (size_t)nr * FRONT_PAGE_BYTES);
	*p = fresh;
	return 0;
}

void front_pages_destroy(struct front_pages *p)
{
	xengntshr_unshare(p->gntshr, p->mem, p->nr);
	free(p->grefs);
	*p = (struct front_pages){ 0 };
}
