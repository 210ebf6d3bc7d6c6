/* SPDX-License-Identifier: BSD-2-Clause */
#include "hostile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <xen/io/xenbus.h>

#define STATE(s) (1u << XenbusState##s)

/* Another domain than the backend's; it need not be there. */
#define FOREIGN_DOMID 77u

void hostile_wrong(struct hostile *h, const char *fmt, ...)
{
	va_list ap;

	if (h->why[0])
		return;
	va_start(ap, fmt);
	vsnprintf(h->why, sizeof(h->why), fmt, ap);
	va_end(ap);
}

uint32_t hostile_random(struct hostile *h)
{
	h->rng = h->rng * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(h->rng >> 33);
}

bool session_made_by_others(const char *target)
{
	return !strncmp(target, "/local/domain/", 14);
}

int session_device(struct store *s, const struct front_device_args *args, struct front_device *d,
		   struct error *e)
{
	return session_made_by_others(args->target) ? front_device_find(s, args->target, d, e)
						    : front_device_create(s, args, d, e);
}

static int make_disk(struct hostile *h, const char *target, bool read_only,
		     struct front_device_args *args, struct error *e,
		     int (*made)(struct hostile *h, const struct front_device_args *args,
				 struct error *e))
{
	struct front_node node = { "physical-device", NULL };
	char number[32];
	struct stat st;

	*args = (struct front_device_args){
		.frontend_domid = h->store.domid,
		.class = h->options.class,
		.devid = -1,
		.target = target,
		.read_only = read_only,
	};
	/* What xen-blkback is told by its hotplug script. */
	if (!stat(target, &st) && S_ISBLK(st.st_mode)) {
		snprintf(number, sizeof(number), "%x:%x", major(st.st_rdev), minor(st.st_rdev));
		node.value = number;
		args->nodes = &node;
		args->nr_nodes = 1;
	}
	return made(h, args, e);
}

static int make_neighbour(struct hostile *h, const struct front_device_args *args, struct error *e)
{
	return neighbour_start(&h->neighbour, args, &h->wishes, e);
}

static int make_victim(struct hostile *h, const struct front_device_args *args, struct error *e)
{
	struct front_device device;
	int err = session_device(&h->store, args, &device, e);

	if (err)
		return err;
	return front_open(&h->fronts[args->read_only ? DISK_READ_ONLY : DISK_WRITABLE], &h->store,
			  &device);
}

static int get_pages(struct hostile *h)
{
	int err = front_pages_create(&h->pages, h->gntshr, 0, DATA_PAGES + INDIRECT_PAGES, true);

	if (!err)
		err = front_pages_create(&h->readable, h->gntshr, 0, 1, false);
	if (!err)
		err = front_pages_create(&h->foreign, h->gntshr, FOREIGN_DOMID, 1, true);
	return err;
}

int session_connect(struct hostile *h, const struct front_node *nodes, uint32_t nr)
{
	struct front_wishes wishes = h->wishes;
	struct error e;

	wishes.spoilt = nodes;
	wishes.nr_spoilt = nr;
	return front_connect(h->front, &wishes, &e);
}

void session_disconnect(struct hostile *h)
{
	struct error e;

	front_close(h->front, &e);
}

void session_write(struct hostile *h, const char *node, const char *value)
{
	const char *dir = h->front->device.frontend;

	if (value)
		store_write(h->front->store, XBT_NULL, dir, node, value);
	else
		store_remove(h->front->store, XBT_NULL, dir, node);
}

bool session_cut_off(struct hostile *h)
{
	return front_device_wait(h->front->store, h->front->device.backend,
				 STATE(Closing) | STATE(Closed), h->options.timeout_ms) > 0;
}

/* What is on the disks before anything happens to them. */
static int keep_all(struct hostile *h, struct error *e)
{
	for (enum disk d = 0; d < NR_DISKS; d++) {
		int err;

		h->before[d] = calloc(FRONT_MAX_DIRECT + 1, FRONT_PAGE_BYTES);
		h->front = &h->fronts[d];
		err = front_connect(h->front, &h->wishes, e);
		if (err)
			return err;
		if (!ask_keep(h, d))
			return error_set(e, EIO, "the disk cannot be read");
		session_disconnect(h);
	}
	return 0;
}

int session_open(struct hostile *h, struct error *e)
{
	struct front_device_args args;
	int err;

	h->gntshr = xengntshr_open(NULL, 0);
	if (!h->gntshr)
		return error_set(e, errno, "cannot grant: %s", strerror(errno));
	err = get_pages(h);
	if (err)
		return error_set(e, -err, "cannot grant pages: %s", strerror(-err));
	for (enum disk d = 0; d < NR_DISKS && !err; d++)
		err = make_disk(h, h->options.targets[d], d == DISK_READ_ONLY, &args, e,
				make_victim);
	if (!err)
		err = keep_all(h, e);
	if (!err)
		err = make_disk(h, h->options.neighbour, false, &args, e, make_neighbour);
	return err;
}

void session_close(struct hostile *h)
{
	struct error e;

	for (enum disk d = 0; d < NR_DISKS; d++) {
		front_fini(&h->fronts[d]);
		if (!session_made_by_others(h->options.targets[d]))
			front_device_remove(&h->store, &h->fronts[d].device, h->options.timeout_ms,
					    &e);
		free(h->before[d]);
	}
	front_pages_destroy(&h->pages);
	front_pages_destroy(&h->readable);
	front_pages_destroy(&h->foreign);
	xengntshr_close(h->gntshr);
}
