/* SPDX-License-Identifier: BSD-2-Clause */
/* Tracing disks: for a client, until its connection ends. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "control.h"

/* Of an answer. */
#define MAX_RECORDS 1024u

static const char *const op_names[] = {
	[REQUEST_READ] = "read",       [REQUEST_WRITE] = "write",     [REQUEST_FLUSH] = "flush",
	[REQUEST_BARRIER] = "barrier", [REQUEST_DISCARD] = "discard",
};

#define NR_OPS (sizeof(op_names) / sizeof(op_names[0]))

static struct control_trace *find_trace(struct control *c, const struct rpc_client *client)
{
	for (uint32_t i = 0; i < CONTROL_MAX_TRACES; i++) {
		if (c->traces[i].client == client)
			return &c->traces[i];
	}
	return NULL;
}

static struct control_trace *find_traced(struct control *c, const char *disk)
{
	for (uint32_t i = 0; i < CONTROL_MAX_TRACES; i++) {
		if (c->traces[i].client && !strcmp(c->traces[i].disk, disk))
			return &c->traces[i];
	}
	return NULL;
}

static void end_trace(struct control *c, struct control_trace *t)
{
	struct vbd *v;

	t->client = NULL;
	list_for_each (v, &c->args.backend->vbds, link) {
		for (uint32_t i = 0; i < v->nr_queues && !strcmp(v->name, t->disk); i++)
			queue_trace(v->queues[i].queue, NULL);
	}
}

void trace_client_gone(void *arg, struct rpc_client *client)
{
	struct control *c = arg;
	struct control_trace *t = find_trace(c, client);

	if (t)
		end_trace(c, t);
}

static int read_op(struct rpc_call *call, struct trace_filter *f)
{
	const char *name;
	int err = rpc_param_text(call, "op", &name);

	if (err)
		return err;
	for (uint32_t i = 0; i < NR_OPS; i++) {
		if (!strcmp(op_names[i], name)) {
			f->ops = 1u << i;
			return 0;
		}
	}
	return error_set(&call->e, EINVAL,
			 "op is \"%.32s\", expected read, write, flush, barrier or discard", name);
}

static int read_filter(struct rpc_call *call, struct trace_filter *out)
{
	struct trace_filter f = { .ops = UINT32_MAX };
	struct json_object *value;
	uint64_t us = 0;
	int err = rpc_has(call, "op") ? read_op(call, &f) : 0;

	if (!err && rpc_has(call, "min_us"))
		err = rpc_param_u64(call, "min_us", 0, 1000000000, &us);
	if (err)
		return err;
	f.min_ns = us * NS_PER_US;
	if (rpc_has(call, "errors") && json_object_object_get_ex(call->params, "errors", &value))
		f.errors_only = json_object_get_boolean(value);
	*out = f;
	return 0;
}

static int start_trace(const struct vbd *v, const struct trace_filter *f, struct error *e)
{
	for (uint32_t i = 0; i < v->nr_queues; i++) {
		if (!queue_trace(v->queues[i].queue, f))
			continue;
		while (i--)
			queue_trace(v->queues[i].queue, NULL);
		return error_set(e, ENOMEM, "no memory to trace %s", v->name);
	}
	return 0;
}

int disk_trace(struct rpc_call *call, struct json_object **result)
{
	struct control *c = control_of(call);
	struct control_trace *t;
	struct trace_filter f;
	struct vbd *v;
	int err = control_find_disk(call, &v);

	if (!err)
		err = read_filter(call, &f);
	if (err)
		return err;
	if (!v->nr_queues)
		return error_set(&call->e, ENOTCONN,
				 "%s is not connected; expected a disk that its guest uses",
				 v->name);
	trace_client_gone(c, call->client);
	t = find_traced(c, v->name);
	/* Whoever asks last has it: the other one may be gone, and that is not seen yet. */
	if (t)
		end_trace(c, t);
	t = find_trace(c, NULL);
	if (!t)
		return error_set(&call->e, EBUSY, "%d disks are traced already; expected fewer",
				 CONTROL_MAX_TRACES);
	err = start_trace(v, &f, &call->e);
	if (err)
		return err;
	t->client = call->client;
	snprintf(t->disk, sizeof(t->disk), "%s", v->name);
	*result = json_object_new_object();
	json_put_text(*result, "disk", v->name);
	json_put_u64(*result, "time_ns", clock_ns());
	return 0;
}

static struct json_object *show_record(uint32_t queue, const struct trace_record *r)
{
	struct json_object *out = json_object_new_object();

	json_put_u64(out, "queue", queue);
	json_put_text(out, "op", op_names[r->op]);
	json_put_u64(out, "offset_bytes", r->offset_bytes);
	json_put_u64(out, "bytes", r->len_bytes);
	json_put_u64(out, "segments", r->nr_segments);
	json_put_bool(out, "indirect", r->indirect);
	json_put_u64(out, "taken_ns", r->taken_ns);
	json_put_u64(out, "submitted_ns", r->submitted_ns);
	json_put_u64(out, "done_ns", r->done_ns);
	json_put_text(out, "error", r->status ? strerror(-r->status) : NULL);
	return out;
}

int disk_trace_read(struct rpc_call *call, struct json_object **result)
{
	struct control *c = control_of(call);
	const struct control_trace *t = find_trace(c, call->client);
	struct trace_record *records;
	struct json_object *list;
	uint64_t lost = 0;
	struct vbd *v;
	int err = control_find_disk(call, &v);

	if (err)
		return err;
	if (!t || strcmp(t->disk, v->name) || !v->nr_queues || !v->queues[0].queue->trace)
		return error_set(
			&call->e, ENOTCONN,
			"%s is traced no more: its guest has let go of it, or somebody else "
			"traces it; trace it again",
			v->name);
	records = malloc(MAX_RECORDS * sizeof(*records));
	if (!records)
		return error_set(&call->e, ENOMEM, "no memory for an answer");
	list = json_object_new_array();
	for (uint32_t i = 0; i < v->nr_queues; i++) {
		uint32_t nr = trace_read(v->queues[i].queue->trace, records,
					 MAX_RECORDS / v->nr_queues, &lost);

		for (uint32_t r = 0; r < nr; r++)
			json_object_array_add(list, show_record(i, &records[r]));
	}
	free(records);
	*result = json_object_new_object();
	json_put_u64(*result, "lost", lost);
	json_object_object_add(*result, "requests", list);
	return 0;
}
