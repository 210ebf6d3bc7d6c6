/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods about disks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "control.h"
#include "medium.h"

/* @vdev: as the toolstack calls it ("xvda"), or the number of the device. */
static bool has_vdev(const struct vbd *v, const char *vdev)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", v->config.devid);
	return !strcmp(number, vdev) || (v->config.dev && !strcmp(v->config.dev, vdev));
}

static bool has_guest(const struct vbd *v, const char *guest, size_t len)
{
	char number[16];
	char *name;
	bool has;

	snprintf(number, sizeof(number), "%u", v->config.domid);
	if (strlen(number) == len && !strncmp(number, guest, len))
		return true;
	name = show_guest(v->host->store, v->config.domid);
	has = name && strlen(name) == len && !strncmp(name, guest, len);
	free(name);
	return has;
}

int control_find_disk(struct rpc_call *call, struct vbd **out)
{
	const char *name, *slash;
	struct vbd *v;
	int err = rpc_param_text(call, "disk", &name);

	if (err)
		return err;
	slash = strrchr(name, '/');
	if (!slash || slash == name || !slash[1])
		return error_set(&call->e, EINVAL,
				 "\"%.64s\" names no disk; expected DOMAIN/VDEV, such as 3/xvda or "
				 "web1/xvda",
				 name);
	list_for_each (v, &control_of(call)->args.backend->vbds, link) {
		if (has_vdev(v, slash + 1) && has_guest(v, name, (size_t)(slash - name))) {
			*out = v;
			return 0;
		}
	}
	return error_set(&call->e, ENOENT,
			 "there is no disk %.64s; \"xenblkctl list\" shows those there are", name);
}

int disk_list(struct rpc_call *call, struct json_object **result)
{
	struct json_object *list = json_object_new_array();
	struct json_object *value = NULL;
	enum show_depth depth = SHOW_BRIEF;
	struct vbd *v;

	if (call->params && json_object_object_get_ex(call->params, "histograms", &value) &&
	    json_object_get_boolean(value))
		depth = SHOW_ALL;
	list_for_each (v, &control_of(call)->args.backend->vbds, link)
		json_object_array_add(list, show_disk(v, depth));
	*result = json_object_new_object();
	json_put_u64(*result, "time_ns", clock_ns());
	json_object_object_add(*result, "disks", list);
	return 0;
}

int disk_get(struct rpc_call *call, struct json_object **result)
{
	struct vbd *v;
	int err = control_find_disk(call, &v);

	if (err)
		return err;
	*result = json_object_new_object();
	json_put_u64(*result, "time_ns", clock_ns());
	json_object_object_add(*result, "disk", show_disk(v, SHOW_ALL));
	return 0;
}

int bdev_list(struct rpc_call *call, struct json_object **result)
{
	struct json_object *list = json_object_new_array();
	struct vbd *v;

	list_for_each (v, &control_of(call)->args.backend->vbds, link) {
		if (v->bdev)
			json_object_array_add(list, show_bdev(v));
	}
	*result = json_object_new_object();
	json_object_object_add(*result, "bdevs", list);
	return 0;
}

int settings_param(struct rpc_call *call, struct json_object **out, struct settings *settings)
{
	int err;

	*out = NULL;
	if (!rpc_has(call, "settings"))
		return 0;
	json_object_object_get_ex(call->params, "settings", out);
	if (!json_object_is_type(*out, json_type_object))
		return error_set(&call->e, EINVAL, "the parameter \"settings\" is no object");
	json_object_object_foreach(*out, name, text)
	{
		if (!json_object_is_type(text, json_type_string))
			return error_set(&call->e, EINVAL, "the setting \"%.32s\" is no text",
					 name);
		err = settings_set(settings, name, json_object_get_string(text), &call->e);
		if (err)
			return err;
	}
	return 0;
}

int disk_resize(struct rpc_call *call, struct json_object **result)
{
	struct vbd *v;
	int err = control_find_disk(call, &v);

	if (!err)
		err = vbd_resize(v, &call->e);
	if (err)
		return err;
	*result = json_object_new_object();
	json_put_text(*result, "disk", v->name);
	json_put_u64(*result, "size_bytes", v->bdev->info.size_bytes);
	return 0;
}

/* Whether it opens is seen when what is in flight has ended. */
int disk_insert(struct rpc_call *call, struct json_object **result)
{
	const char *uri;
	struct vbd *v;
	int err = control_find_disk(call, &v);

	if (!err)
		err = rpc_param_text(call, "bdev", &uri);
	if (!err)
		err = medium_set(v, uri, &call->e);
	if (err)
		return err;
	*result = json_object_new_object();
	json_put_text(*result, "disk", v->name);
	return 0;
}

/* All of them or none, as far as their words go. */
int disk_set(struct rpc_call *call, struct json_object **result)
{
	struct json_object *given;
	struct settings wanted;
	struct vbd *v;
	int err = control_find_disk(call, &v);

	if (err)
		return err;
	wanted = v->settings;
	err = settings_param(call, &given, &wanted);
	if (err)
		return err;
	if (!given)
		return error_set(&call->e, EINVAL, "the parameter \"settings\" is missing");
	json_object_object_foreach(given, key, value)
	{
		err = vbd_set(v, key, json_object_get_string(value), &call->e);
		if (err)
			return err;
	}
	*result = show_disk(v, SHOW_BRIEF);
	return 0;
}
