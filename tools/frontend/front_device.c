/* SPDX-License-Identifier: BSD-2-Clause */
#include "front_device.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/xenbus.h>

#include "clock.h"

#define FIRST_DEVID 51712u /* xvda; then xvdb, ... */
#define DEVID_STEP  16u
#define NR_DEVIDS   16u

#define WATCH_TOKEN "front"

struct creation {
	const struct front_device_args *args;
	struct front_device *dev;
};

/* A directory of @owner's that @reader may read; what is written into it inherits that. */
static int make_dir(struct store *s, xs_transaction_t t, const char *path, uint32_t owner,
		    uint32_t reader)
{
	struct xs_permissions perms[2] = {
		{ .id = owner, .perms = XS_PERM_NONE },
		{ .id = reader, .perms = XS_PERM_READ },
	};

	if (!xs_mkdir(s->xs, t, path) || !xs_set_permissions(s->xs, t, path, perms, 2))
		return -errno;
	return 0;
}

static int write_nodes(struct store *s, xs_transaction_t t, const char *dir,
		       const struct front_node *nodes, size_t nr)
{
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++)
		err = store_write(s, t, dir, nodes[i].name, nodes[i].value);
	return err;
}

static int create_fn(struct store *s, xs_transaction_t t, void *arg)
{
	const struct creation *c = arg;
	const struct front_device_args *a = c->args;
	const struct front_device *d = c->dev;
	char fe[12], be[12], devid[12];
	const struct front_node backend[] = {
		{ "frontend", d->frontend },
		{ "frontend-id", fe },
		{ "online", "1" },
		{ "removable", "0" },
		{ "bootable", "1" },
		{ "state", "1" },
		{ "dev", "xvda" },
		{ "type", "phy" },
		{ "mode", a->read_only ? "r" : "w" },
		{ "device-type", "disk" },
		{ "params", a->target },
	};
	const struct front_node frontend[] = {
		{ "backend", d->backend },   { "backend-id", be },	{ "state", "1" },
		{ "virtual-device", devid }, { "device-type", "disk" },
	};
	char *there;
	int err;

	there = store_read(s, t, "%s/frontend-id", d->backend);
	if (there) {
		free(there);
		return -EEXIST;
	}
	snprintf(fe, sizeof(fe), "%u", d->frontend_domid);
	snprintf(be, sizeof(be), "%u", d->backend_domid);
	snprintf(devid, sizeof(devid), "%u", d->devid);
	err = make_dir(s, t, d->frontend, d->frontend_domid, d->backend_domid);
	if (!err)
		err = make_dir(s, t, d->backend, d->backend_domid, d->frontend_domid);
	if (!err)
		err = write_nodes(s, t, d->frontend, frontend,
				  sizeof(frontend) / sizeof(frontend[0]));
	if (!err)
		err = write_nodes(s, t, d->backend, backend, sizeof(backend) / sizeof(backend[0]));
	if (!err)
		err = write_nodes(s, t, d->backend, a->nodes, a->nr_nodes);
	return err;
}

static int create_numbered(struct store *s, const struct front_device_args *args, uint32_t devid,
			   struct front_device *d)
{
	struct creation c = { .args = args, .dev = d };

	*d = (struct front_device){
		.frontend_domid = args->frontend_domid,
		.backend_domid = args->backend_domid,
		.devid = devid,
	};
	snprintf(d->frontend, sizeof(d->frontend), "/local/domain/%u/blkload/%.32s/%u",
		 args->frontend_domid, args->class, devid);
	snprintf(d->backend, sizeof(d->backend), "/local/domain/%u/backend/%.32s/%u/%u",
		 args->backend_domid, args->class, args->frontend_domid, devid);
	return store_transact(s, create_fn, &c);
}

int front_device_create(struct store *s, const struct front_device_args *args,
			struct front_device *out, struct error *e)
{
	uint32_t first = args->devid < 0 ? FIRST_DEVID : (uint32_t)args->devid;
	uint32_t nr = args->devid < 0 ? NR_DEVIDS : 1;
	struct front_device d;
	int err = -EEXIST;

	for (uint32_t i = 0; i < nr && err == -EEXIST; i++)
		err = create_numbered(s, args, first + i * DEVID_STEP, &d);
	if (err == -EEXIST)
		return error_set(e, EEXIST, "there is a disk %u already: %s", d.devid, d.backend);
	if (err)
		return error_set(e, -err, "cannot write the disk's nodes: %s", strerror(-err));
	*out = d;
	return 0;
}

int front_device_find(struct store *s, const char *path, struct front_device *out, struct error *e)
{
	struct front_device d = { .frontend_domid = s->domid };
	const char *last = strrchr(path, '/');
	char *backend;

	if (!last || strlen(path) >= sizeof(d.frontend))
		return error_set(e, EINVAL, "\"%.64s\" is no path in xenstore", path);
	strcpy(d.frontend, path);
	d.devid = (uint32_t)strtoul(last + 1, NULL, 10);
	backend = store_read(s, XBT_NULL, "%s/backend", path);
	if (!backend || strlen(backend) >= sizeof(d.backend) ||
	    store_read_u32(s, XBT_NULL, &d.backend_domid, "%s/backend-id", path)) {
		free(backend);
		return error_set(e, ENOENT, "there is no disk at %s: it has no backend", path);
	}
	strcpy(d.backend, backend);
	free(backend);
	*out = d;
	return 0;
}

uint32_t front_device_state(struct store *s, const char *dir)
{
	uint32_t state;

	return store_read_u32(s, XBT_NULL, &state, "%s/state", dir) ? 0 : state;
}

/* The state of a side, or -errno; with something to wait for, waits until a watch fires. */
static int wait_for_state(struct store *s, const char *dir, uint32_t wanted, uint64_t end_ns)
{
	struct pollfd pfd = { .fd = xs_fileno(s->xs), .events = POLLIN };
	uint64_t now;
	uint32_t state;
	char **event;
	int err;

	for (;;) {
		while ((event = xs_check_watch(s->xs)))
			free(event);
		err = store_read_u32(s, XBT_NULL, &state, "%s/state", dir);
		if (err)
			return err;
		if (state < 32 && wanted & 1u << state)
			return (int)state;
		now = clock_ns();
		if (now >= end_ns)
			return -ETIMEDOUT;
		if (poll(&pfd, 1, (int)((end_ns - now) / 1000000 + 1)) < 0 && errno != EINTR)
			return -errno;
	}
}

int front_device_wait(struct store *s, const char *dir, uint32_t wanted, uint32_t timeout_ms)
{
	uint64_t end_ns = clock_ns() + timeout_ms * 1000000ull;
	char path[STORE_PATH_MAX + 8];
	int state;

	snprintf(path, sizeof(path), "%s/state", dir);
	if (!xs_watch(s->xs, path, WATCH_TOKEN))
		return -errno;
	state = wait_for_state(s, dir, wanted, end_ns);
	xs_unwatch(s->xs, path, WATCH_TOKEN);
	return state;
}

static int ask_back_fn(struct store *s, xs_transaction_t t, void *arg)
{
	const struct front_device *d = arg;
	uint32_t state = 0;
	int err = store_read_u32(s, t, &state, "%s/state", d->backend);

	if (!err)
		err = store_write(s, t, d->backend, "online", "0");
	/* One that has closed needs no more telling, and Linux' would not write 6 again. */
	if (!err && state != XenbusStateClosed)
		err = store_write(s, t, d->backend, "state", "5");
	return err;
}

/* Removes @path, and what is empty above it down to @depth names; no name there is well. */
static int remove_dir(struct store *s, xs_transaction_t t, const char *path, unsigned int depth)
{
	char dir[STORE_PATH_MAX];
	unsigned int nr = 0, names = 0;
	char **entries;

	strcpy(dir, path);
	for (const char *c = dir; *c; c++)
		names += *c == '/';
	while (names > depth && !nr) {
		if (!xs_rm(s->xs, t, dir) && errno != ENOENT)
			return -errno;
		*strrchr(dir, '/') = '\0';
		names--;
		entries = xs_directory(s->xs, t, dir, &nr);
		if (!entries && errno != ENOENT)
			return -errno;
		free(entries);
	}
	return 0;
}

static int remove_fn(struct store *s, xs_transaction_t t, void *arg)
{
	const struct front_device *d = arg;
	/* As libxl: /local/domain/N/backend/CLASS stays, and /local/domain/N does. */
	int err = remove_dir(s, t, d->backend, 5);

	return err ? err : remove_dir(s, t, d->frontend, 3);
}

int front_device_remove(struct store *s, const struct front_device *d, uint32_t timeout_ms,
			struct error *e)
{
	struct front_device copy = *d;
	int err = store_transact(s, ask_back_fn, &copy), state = 0;

	if (!err)
		state = front_device_wait(s, d->backend, 1u << XenbusStateClosed, timeout_ms);
	err = store_transact(s, remove_fn, &copy);
	if (err)
		return error_set(e, -err, "cannot remove the disk's nodes: %s", strerror(-err));
	if (state == -ETIMEDOUT)
		return error_set(e, ETIMEDOUT,
				 "the backend did not let go of the disk within %u ms", timeout_ms);
	return 0;
}
