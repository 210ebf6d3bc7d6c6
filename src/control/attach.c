/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks of guests that no toolstack gives any: the nodes that a toolstack would write.
 *
 * Where xl made the guest, its own records get them too: it shows such a disk in block-list, and takes
 * it away with the guest. Elsewhere the disk has a mark, by which the daemon removes the nodes itself
 * when it is detached, or its guest is gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "control.h"
#include "vbd_store.h"

#define SCRIPT_PATH "/etc/xen/scripts/block-xenblkd"

struct attach {
	struct backend *b;
	uint32_t domid, devid;
	const char *vdev, *uri;
	bool read_only;
	struct json_object *settings; /* or NULL */
	char front[STORE_PATH_MAX], back[STORE_PATH_MAX], libxl[STORE_PATH_MAX];
	struct error *e;
};

int attach_devid(const char *vdev, uint32_t *out)
{
	const char *letters = vdev + 3;
	uint32_t n = 0;
	char *end;

	if (*vdev >= '0' && *vdev <= '9') {
		unsigned long number = strtoul(vdev, &end, 10);

		if (*end || number >= 1ul << 29)
			return -EINVAL;
		*out = (uint32_t)number;
		return 0;
	}
	if (strncmp(vdev, "xvd", 3) || !*letters || strlen(letters) > 2)
		return -EINVAL;
	for (; *letters; letters++) {
		if (*letters < 'a' || *letters > 'z')
			return -EINVAL;
		n = n * 26 + (uint32_t)(*letters - 'a') + 1;
	}
	n--;
	/* xen-vbd-interface(7): major 202 with 16 minors each, and from the 17th on the extended form. */
	*out = n < 16 ? 202u << 8 | n << 4 : 1u << 28 | n << 8;
	return 0;
}

/* The domain of that number or name. Return: 0, or -errno and call->e. */
static int find_domain(struct rpc_call *call, struct store *s, uint32_t *out)
{
	const char *wanted;
	unsigned int nr = 0;
	char **domains;
	int err = rpc_param_text(call, "domain", &wanted);

	if (err)
		return err;
	domains = xs_directory(s->xs, XBT_NULL, "/local/domain", &nr);
	err = -ENOENT;
	for (unsigned int i = 0; domains && i < nr && err; i++) {
		char *name = show_guest(s, (uint32_t)strtoul(domains[i], NULL, 10));

		if (!strcmp(domains[i], wanted) || (name && !strcmp(name, wanted))) {
			*out = (uint32_t)strtoul(domains[i], NULL, 10);
			err = 0;
		}
		free(name);
	}
	free(domains);
	return err ? error_set(&call->e, ENOENT,
			       "there is no domain \"%.64s\"; \"xl list\" shows those there are",
			       wanted)
		   : 0;
}

struct node {
	const char *name, *value;
};

/* The directory @dir, of @owner and readable by @reader, with these in it. */
static int write_nodes(struct store *s, xs_transaction_t t, const char *dir, uint32_t owner,
		       uint32_t reader, const struct node *nodes)
{
	struct xs_permissions perms[] = { { owner, XS_PERM_NONE }, { reader, XS_PERM_READ } };
	int err = 0;

	if (!xs_mkdir(s->xs, t, dir) || !xs_set_permissions(s->xs, t, dir, perms, 2))
		return -errno;
	/* What is made below it has the same. */
	for (; nodes->name && !err; nodes++)
		err = store_write(s, t, dir, nodes->name, nodes->value);
	return err;
}

static bool exists(struct store *s, xs_transaction_t t, const char *path)
{
	char *value = store_read(s, t, "%s", path);

	free(value);
	return value || errno != ENOENT;
}

/* They stand where it looks for them when it takes the disk on. */
static int write_settings(const struct attach *a, xs_transaction_t t)
{
	char dir[STORE_PATH_MAX + 16];
	int err = 0;

	if (!a->settings)
		return 0;
	snprintf(dir, sizeof(dir), "%s/" VBD_SETTINGS, a->back);
	json_object_object_foreach(a->settings, key, value)
	{
		if (!err)
			err = store_write(a->b->host.store, t, dir, key,
					  json_object_get_string(value));
	}
	return err;
}

static int attach_fn(struct store *s, xs_transaction_t t, void *arg)
{
	struct attach *a = arg;
	char domid[16], devid[16], own[16], above[STORE_PATH_MAX];
	const struct node back[] = { { "frontend", a->front },
				     { "frontend-id", domid },
				     { "params", a->uri },
				     { "mode", a->read_only ? "r" : "w" },
				     { "dev", a->vdev },
				     { "type", "phy" },
				     { "script", SCRIPT_PATH },
				     { "device-type", "disk" },
				     { "bootable", "1" },
				     { "removable", "0" },
				     { "online", "1" },
				     { "hotplug-status", "connected" },
				     { ATTACH_MARK, "1" },
				     { "state", "1" },
				     { NULL } };
	const struct node front[] = {
		{ "backend", a->back },	   { "backend-id", own }, { "virtual-device", devid },
		{ "device-type", "disk" }, { "state", "1" },	  { NULL }
	};
	const struct node libxl[] = {
		{ "frontend", a->front },  { "backend", a->back },
		{ "params", a->uri },	   { "mode", a->read_only ? "r" : "w" },
		{ "dev", a->vdev },	   { "type", "phy" },
		{ "script", SCRIPT_PATH }, { "device-type", "disk" },
		{ "frontend-id", domid },  { NULL }
	};
	int err;

	snprintf(domid, sizeof(domid), "%u", a->domid);
	snprintf(devid, sizeof(devid), "%u", a->devid);
	snprintf(own, sizeof(own), "%u", s->domid);
	snprintf(above, sizeof(above), "/local/domain/%u", a->domid);
	if (!exists(s, t, above))
		return error_set(a->e, ENOENT, "domain %u is gone", a->domid);
	if (exists(s, t, a->front) || exists(s, t, a->back))
		return error_set(a->e, EEXIST,
				 "domain %u has a device %s (%u) already; choose another VDEV",
				 a->domid, a->vdev, a->devid);
	err = write_nodes(s, t, a->back, s->domid, a->domid, back);
	if (!err)
		err = write_nodes(s, t, a->front, a->domid, s->domid, front);
	if (!err)
		err = write_settings(a, t);
	snprintf(above, sizeof(above), "/libxl/%u", a->domid);
	if (!err && exists(s, t, above))
		err = write_nodes(s, t, a->libxl, s->domid, s->domid, libxl);
	return err;
}

static void name_paths(struct attach *a)
{
	snprintf(a->front, sizeof(a->front), "/local/domain/%u/device/vbd/%u", a->domid, a->devid);
	snprintf(a->back, sizeof(a->back), "%.160s/%u/%u", a->b->path, a->domid, a->devid);
	snprintf(a->libxl, sizeof(a->libxl), "/libxl/%u/device/vbd/%u", a->domid, a->devid);
}

int disk_attach(struct rpc_call *call, struct json_object **result)
{
	struct attach a = { .b = control_of(call)->args.backend, .e = &call->e };
	struct store *s = a.b->host.store;
	struct json_object *value;
	struct settings settings;
	char name[64];
	int err = find_domain(call, s, &a.domid);

	if (!err)
		err = rpc_param_text(call, "vdev", &a.vdev);
	if (!err)
		err = rpc_param_text(call, "bdev", &a.uri);
	if (err)
		return err;
	if (attach_devid(a.vdev, &a.devid))
		return error_set(
			&call->e, EINVAL,
			"\"%.32s\" is no virtual device, expected xvda to xvdzz, or a number",
			a.vdev);
	if (json_object_object_get_ex(call->params, "read_only", &value))
		a.read_only = json_object_get_boolean(value);
	settings_init(&settings);
	err = settings_param(call, &a.settings, &settings);
	if (err)
		return err;
	name_paths(&a);
	err = store_transact(s, attach_fn, &a);
	if (err)
		return call->e.text[0] ? err
				       : error_set(&call->e, -err,
						   "cannot write the disk's nodes to xenstore: %s",
						   strerror(-err));
	snprintf(name, sizeof(name), "%u/%.32s", a.domid, a.vdev);
	*result = json_object_new_object();
	json_put_text(*result, "disk", name);
	return 0;
}

int disk_detach(struct rpc_call *call, struct json_object **result)
{
	struct vbd *v;
	int err = control_find_disk(call, &v);

	if (err)
		return err;
	if (!v->config.attached)
		return error_set(&call->e, EPERM,
				 "%s was made by a toolstack, which has to take it back: "
				 "xl block-detach %u %u",
				 v->name, v->config.domid, v->config.devid);
	err = vbd_abandon(v);
	if (err)
		return error_set(&call->e, -err, "cannot write to xenstore: %s", strerror(-err));
	*result = json_object_new_object();
	json_put_text(*result, "disk", v->name);
	return 0;
}
