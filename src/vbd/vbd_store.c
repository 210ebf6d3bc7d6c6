/* SPDX-License-Identifier: BSD-2-Clause */
#include "vbd_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/blkif.h>
#include <xen/io/xenbus.h>

#include "clock.h"

#define SCRIPT "block-xenblkd"

static bool node_is(struct store *s, const char *path, const char *node, const char *want)
{
	char *value = store_read(s, XBT_NULL, "%s/%s", path, node);
	bool is = value && !strcmp(value, want);

	free(value);
	return is;
}

/* A disk without a script is ours too: toolstacks other than xl run none. */
static bool script_is_ours(struct store *s, const char *path)
{
	char *script = store_read(s, XBT_NULL, "%s/script", path);
	const char *base;
	bool ours;

	if (!script)
		return true;
	base = strrchr(script, '/');
	ours = !strcmp(base ? base + 1 : script, SCRIPT);
	free(script);
	return ours;
}

static void each_of_domain(struct store *s, const char *dir,
			   void (*fn)(void *arg, const char *path), void *arg)
{
	char path[STORE_PATH_MAX];
	unsigned int nr;
	char **devices = store_directory(s, dir, &nr);

	for (unsigned int i = 0; devices && i < nr; i++) {
		if (snprintf(path, sizeof(path), "%s/%s", dir, devices[i]) < (int)sizeof(path))
			fn(arg, path);
	}
	free(devices);
}

int vbd_each(struct store *s, const char *class_path, void (*fn)(void *arg, const char *path),
	     void *arg)
{
	char dir[STORE_PATH_MAX];
	unsigned int nr;
	char **domains = store_directory(s, class_path, &nr);

	if (!domains)
		return -errno;
	for (unsigned int i = 0; i < nr; i++) {
		if (snprintf(dir, sizeof(dir), "%s/%s", class_path, domains[i]) < (int)sizeof(dir))
			each_of_domain(s, dir, fn, arg);
	}
	free(domains);
	return 0;
}

int vbd_config_read(struct store *s, const char *path, struct vbd_config *out)
{
	struct vbd_config c = { 0 };
	const char *last = strrchr(path, '/');
	int err = store_read_u32(s, XBT_NULL, &c.domid, "%s/frontend-id", path);

	if (err)
		return err;
	if (!script_is_ours(s, path))
		return -EXDEV;
	c.devid = (uint32_t)strtoul(last + 1, NULL, 10);
	c.frontend = store_read(s, XBT_NULL, "%s/frontend", path);
	c.params = store_read(s, XBT_NULL, "%s/params", path);
	c.dev = store_read(s, XBT_NULL, "%s/dev", path);
	c.machine = store_read(s, XBT_NULL, "/local/domain/%u/vm", c.domid);
	c.read_only = !node_is(s, path, "mode", "w");
	c.cdrom = node_is(s, path, "device-type", "cdrom");
	c.no_discard = node_is(s, path, "discard-enable", "0");
	c.removable = node_is(s, path, "removable", "1");
	c.attached = node_is(s, path, ATTACH_MARK, "1");
	if (!c.params)
		c.params = strdup("");
	c.uri = c.params ? strdup(c.params) : NULL;
	if (!c.frontend || !c.uri) {
		vbd_config_free(&c);
		return -ENOENT;
	}
	*out = c;
	return 0;
}

void vbd_config_free(struct vbd_config *c)
{
	free(c->frontend);
	free(c->uri);
	free(c->params);
	free(c->dev);
	free(c->machine);
}

/* Removed and made again faster than we looked: a new disk begins at state 1, which we never write. */
static bool made_anew(const struct vbd *v, uint32_t state)
{
	return state == XenbusStateInitialising && v->xenbus_state;
}

void vbd_view_read(struct vbd *v, struct vbd_view *out)
{
	struct store *s = v->host->store;
	uint32_t state = 0, online = 1, domid = 0;
	char *frontend;

	*out = (struct vbd_view){ .frontend = EVENT_FRONTEND_OTHER };
	if (store_read_u32(s, XBT_NULL, &domid, "%s/frontend-id", v->path) == -ENOENT ||
	    store_read_u32(s, XBT_NULL, &state, "%s/state", v->path) == -ENOENT) {
		out->removed = true;
		return;
	}
	out->removed = made_anew(v, state);
	store_read_u32(s, XBT_NULL, &online, "%s/online", v->path);
	out->offline = !online;

	frontend = store_read(s, XBT_NULL, "%s/state", v->config.frontend);
	if (frontend || errno == ENOENT)
		out->frontend = negotiate_frontend_event(frontend);
	free(frontend);
	if (out->frontend != EVENT_FRONTEND_GONE)
		return;
	frontend = store_read(s, XBT_NULL, "/local/domain/%u", v->config.domid);
	out->guest_gone = !frontend && errno == ENOENT;
	free(frontend);
}

static int abandon_fn(struct store *s, xs_transaction_t t, void *arg)
{
	struct vbd *v = arg;
	uint32_t domid;
	int err = store_read_u32(s, t, &domid, "%s/frontend-id", v->path);

	if (!err)
		err = store_write(s, t, v->path, "online", "0");
	if (!err)
		err = store_write(s, t, v->path, "state", "5");
	return err;
}

int vbd_abandon(struct vbd *v)
{
	return store_transact(v->host->store, abandon_fn, v);
}

static int remove_all(struct store *s, xs_transaction_t t, const char *path)
{
	return xs_rm(s->xs, t, path) || errno == ENOENT ? 0 : -errno;
}

/* The disk's backend directory, and that of its domain if it was the last. */
static int remove_nodes_fn(struct store *s, xs_transaction_t t, void *arg)
{
	struct vbd *v = arg;
	char path[STORE_PATH_MAX];
	unsigned int nr = 0;
	char **left;
	int err = remove_all(s, t, v->path);

	snprintf(path, sizeof(path), "/libxl/%u/device/vbd/%u", v->config.domid, v->config.devid);
	if (!err)
		err = remove_all(s, t, path);
	if (!err)
		err = remove_all(s, t, v->config.frontend);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s", v->path);
	*strrchr(path, '/') = '\0';
	left = xs_directory(s->xs, t, path, &nr);
	if (left && !nr)
		err = remove_all(s, t, path);
	free(left);
	return err;
}

void vbd_remove_nodes(struct vbd *v)
{
	int err = store_transact(v->host->store, remove_nodes_fn, v);

	if (err)
		log_warning("%s: cannot remove its nodes from xenstore: %s", v->name,
			    strerror(-err));
}

/* One that cannot be, whoever wrote it, is as if it were not there. */
static void setting_read(struct vbd *v, struct settings *out, const char *dir, const char *node,
			 const char *key)
{
	char *value = store_read(v->host->store, XBT_NULL, "%s/%s", dir, node);
	struct error e = { "" };

	if (value && settings_set(out, key, value, &e) && log_allowed(&v->error_limit, clock_ns()))
		log_warning("%s: %s/%s in xenstore: %s", v->name, dir, node, e.text);
	free(value);
}

void vbd_settings_read(struct vbd *v, struct settings *out)
{
	struct store *s = v->host->store;
	char path[STORE_PATH_MAX];
	const char *theirs, *key;
	unsigned int nr = 0;
	char **keys;

	settings_init(out);
	for (uint32_t i = 0; (theirs = settings_toolstack_key(i, &key)); i++)
		setting_read(v, out, v->path, theirs, key);
	if (snprintf(path, sizeof(path), "%s/" VBD_SETTINGS, v->path) >= (int)sizeof(path))
		return;
	keys = store_directory(s, path, &nr);
	for (unsigned int i = 0; keys && i < nr; i++)
		setting_read(v, out, path, keys[i], keys[i]);
	free(keys);
}

/* Writes one of our nodes; 0 or -errno. */
static int put(struct vbd *v, xs_transaction_t t, const char *node, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return store_write(v->host->store, t, v->path, node, text);
}

/*
 * To be asked first in each transaction: writing would bring the directory back, or tell the
 * toolstack about another disk what is true of this one.
 */
static int still_there(struct vbd *v, xs_transaction_t t)
{
	struct store *s = v->host->store;
	uint32_t domid, state = 0;
	int err = store_read_u32(s, t, &domid, "%s/frontend-id", v->path);

	store_read_u32(s, t, &state, "%s/state", v->path);
	return !err && made_anew(v, state) ? -ENOENT : err;
}

/* The product of sectors and sector-size has to be a multiple of it. */
static uint32_t physical_sector_size(const struct bdev_info *info)
{
	uint32_t size = info->physical_block_bytes;

	return size && info->size_bytes % size == 0 ? size : SECTOR_BYTES;
}

bool vbd_discards(const struct vbd *v)
{
	return v->bdev->info.discard_bytes && !v->config.no_discard;
}

static int publish_fn(struct store *s, xs_transaction_t t, void *arg)
{
	struct vbd *v = arg;
	const struct bdev_info *info = &v->bdev->info;
	const struct {
		const char *node;
		uint64_t value;
	} nodes[] = {
		{ "feature-flush-cache", info->flush },
		{ "feature-barrier", info->flush },
		{ "feature-discard", vbd_discards(v) },
		{ "discard-granularity", info->discard_bytes },
		{ "discard-alignment", info->discard_offset_bytes },
		{ "discard-secure", vbd_discards(v) && info->discard_secure },
		{ "feature-persistent", vbd_transfer(v)->persistent },
		{ "feature-max-indirect-segments", TABLE_SEGMENTS },
		{ "max-ring-page-order", TRANSPORT_MAX_RING_ORDER },
		{ "max-ring-pages", TRANSPORT_MAX_RING_PAGES },
		{ "multi-queue-max-queues", vbd_max_queues(v) },
		{ "sectors", info->size_bytes / SECTOR_BYTES },
		{ "sector-size", SECTOR_BYTES },
		{ "physical-sector-size", physical_sector_size(info) },
		{ "info", (v->config.read_only ? VDISK_READONLY : 0u) |
				  (v->config.cdrom ? VDISK_CDROM : 0u) |
				  (v->config.removable ? VDISK_REMOVABLE : 0u) },
	};
	int err = still_there(v, t);

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]) && !err; i++)
		err = put(v, t, nodes[i].node, nodes[i].value);
	if (!err)
		err = store_remove(s, t, v->path, "xenblkd-error");
	return err;
}

uint32_t vbd_offered_queues(const struct vbd *v)
{
	uint32_t nr = 0;

	store_read_u32(v->host->store, XBT_NULL, &nr, "%s/multi-queue-max-queues", v->path);
	return nr < TRANSPORT_MAX_QUEUES ? nr : TRANSPORT_MAX_QUEUES;
}

void vbd_publish(struct vbd *v)
{
	int err = store_transact(v->host->store, publish_fn, v);

	if (err && err != -ENOENT)
		log_error("%s: cannot write the disk's properties to xenstore: %s", v->name,
			  strerror(-err));
	v->size_bytes = v->bdev->info.size_bytes;
}

static int publish_size_fn(struct store *s, xs_transaction_t t, void *arg)
{
	struct vbd *v = arg;
	const struct bdev_info *info = &v->bdev->info;
	uint32_t state = 0;
	int err = still_there(v, t);

	if (!err)
		err = put(v, t, "sectors", info->size_bytes / SECTOR_BYTES);
	if (!err)
		err = put(v, t, "physical-sector-size", physical_sector_size(info));
	if (!err && !v->err)
		err = store_remove(s, t, v->path, "xenblkd-error");
	store_read_u32(s, t, &state, "%s/state", v->path);
	/* Written anew as it is, it has the frontend look at the size. */
	if (!err && state == XenbusStateConnected)
		err = put(v, t, "state", state);
	return err;
}

int vbd_publish_size(struct vbd *v)
{
	int err = store_transact(v->host->store, publish_size_fn, v);

	if (!err)
		v->size_bytes = v->bdev->info.size_bytes;
	return err;
}

struct params {
	struct vbd *v;
	const char *uri;
};

static int params_fn(struct store *s, xs_transaction_t t, void *arg)
{
	struct params *p = arg;
	int err = still_there(p->v, t);

	return err ? err : store_write(s, t, p->v->path, "params", p->uri);
}

int vbd_params_write(struct vbd *v, const char *uri)
{
	struct params p = { v, uri };

	return store_transact(v->host->store, params_fn, &p);
}

struct setting {
	struct vbd *v;
	const char *key, *value;
};

static int setting_fn(struct store *s, xs_transaction_t t, void *arg)
{
	struct setting *set = arg;
	char dir[STORE_PATH_MAX];
	int err = still_there(set->v, t);

	if (err)
		return err;
	if (snprintf(dir, sizeof(dir), "%s/" VBD_SETTINGS, set->v->path) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	return *set->value ? store_write(s, t, dir, set->key, set->value)
			   : store_remove(s, t, dir, set->key);
}

int vbd_setting_write(struct vbd *v, const char *key, const char *value)
{
	struct setting set = { v, key, value };

	return store_transact(v->host->store, setting_fn, &set);
}

struct report {
	struct vbd *v;
	char text[sizeof(struct error) + 16]; /* as xenbus has it: number, space, words */
};

static int report_fn(struct store *s, xs_transaction_t t, void *arg)
{
	struct report *r = arg;
	int err = still_there(r->v, t);

	if (!err)
		err = store_write(s, t, r->v->path, "xenblkd-error", r->v->error.text);
	if (!err)
		err = store_write(s, t, r->v->error_path, "error", r->text);
	return err;
}

void vbd_report(struct vbd *v)
{
	struct report r = { .v = v };
	int err;

	snprintf(r.text, sizeof(r.text), "%d %s", -v->err, v->error.text);
	err = store_transact(v->host->store, report_fn, &r);
	if (err && err != -ENOENT)
		log_warning("%s: cannot write the error to xenstore: %s", v->name, strerror(-err));
}

/* Removes the error node, and the directories above it as far as nothing else is in them. */
static int unreport_fn(struct store *s, xs_transaction_t t, void *arg)
{
	struct vbd *v = arg;
	char path[STORE_PATH_MAX];
	unsigned int nr;
	char **entries;

	strcpy(path, v->error_path);
	while (strlen(path) > strlen(s->root)) {
		if (!xs_rm(s->xs, t, path) && errno != ENOENT)
			return -errno;
		*strrchr(path, '/') = '\0';
		entries = xs_directory(s->xs, t, path, &nr);
		if (!entries && errno != ENOENT)
			return -errno;
		free(entries);
		if (entries && nr)
			return 0;
	}
	return 0;
}

void vbd_unreport(struct vbd *v)
{
	int err;

	/* At first there may be one of a predecessor's that was killed. */
	if (!v->error.text[0] && v->xenbus_state)
		return;
	err = store_transact(v->host->store, unreport_fn, v);
	if (err)
		log_warning("%s: cannot remove the error from xenstore: %s", v->name,
			    strerror(-err));
	v->error.text[0] = '\0';
}

struct state_change {
	struct vbd *v;
	uint32_t state;
};

static int write_state_fn(struct store *s, xs_transaction_t t, void *arg)
{
	struct state_change *c = arg;
	uint32_t online = 1, now = 0;
	int err = still_there(c->v, t);

	if (err)
		return err;
	/* Once the toolstack has asked for the disk back, its 5 can only become 6. */
	store_read_u32(s, t, &online, "%s/online", c->v->path);
	store_read_u32(s, t, &now, "%s/state", c->v->path);
	if (!online && now == XenbusStateClosing && c->state != XenbusStateClosed)
		return 0;
	/* Writing wakes our own watch, and an offline disk would be closed again for that. */
	if (now == c->state)
		return 0;
	return put(c->v, t, "state", c->state);
}

int vbd_write_state(struct vbd *v, uint32_t state)
{
	struct state_change c = { v, state };
	int err = store_transact(v->host->store, write_state_fn, &c);

	if (!err)
		v->xenbus_state = state;
	else if (err != -ENOENT)
		log_error("%s: cannot write state %u to xenstore: %s", v->name, state,
			  strerror(-err));
	return err;
}
