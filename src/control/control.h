/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control - what an operator can see and do while the daemon runs: the methods behind the socket.
 *
 * One table in methods.c names them, xenblkctl(8) describes them. Those about one disk are in disks.c,
 * how a disk is shown is in show.c. Everything here reads counters that others write, or asks a
 * reactor by a message: the datapath never waits for it.
 *
 * Thread: control.
 */
#ifndef XENBLKD_CONTROL_H
#define XENBLKD_CONTROL_H

#include "backend.h"
#include "datapath.h"
#include "error.h"
#include "http.h"
#include "instance.h"
#include "reactor.h"
#include "rpc.h"

/* Of the methods and what they return: the first number grows when a client has to change. */
#define CONTROL_API_VERSION "1.3"

struct control_args {
	struct backend *backend;
	struct reactor *control;
	const char *state_dir;
	const struct datapath *datapath;
	uint16_t metrics_port; /* on the loopback too; 0: none */
	const struct instance *instance;
	/* To one that stands by; text: what it says of itself. Return: 0, or -errno and *e. */
	int (*hand_over)(void *arg, char *text, uint32_t size, struct error *e);
	void *arg;
};

/* Disks that are traced at a time. */
#define CONTROL_MAX_TRACES 4

struct control_trace {
	const struct rpc_client *client; /* for whom; NULL: nobody */
	char disk[64];
};

struct control {
	struct control_args args;
	uint64_t started_ns;
	struct rpc rpc;
	struct http metrics, metrics_tcp;
	bool has_metrics, has_port; /* and are served */
	char metrics_path[108];
	struct control_trace traces[CONTROL_MAX_TRACES];
};

/* control_start - answers from now on, if need be without metrics. Return: 0, or -errno and *@e. */
int control_start(struct control *c, const struct control_args *args, struct error *e);
void control_stop(struct control *c);

/* control_sweep - removes the sockets of one that did not live to stop. */
void control_sweep(const char *state_dir);

/* For the methods. */

/* control_of - whose method is called. */
static inline struct control *control_of(const struct rpc_call *call)
{
	return call->arg;
}

/* control_find_disk - the disk that the parameter "disk" names: DOMAIN/VDEV. */
int control_find_disk(struct rpc_call *call, struct vbd **out);

/**
 * settings_param - the parameter "settings", if it was given
 *
 * @settings: changed by it
 * @out:      the parameter itself, or NULL
 *
 * Return: 0; or -EINVAL and call->e.
 */
int settings_param(struct rpc_call *call, struct json_object **out, struct settings *settings);

/* trace_client_gone - nothing is traced for it any more; see rpc_args. */
void trace_client_gone(void *arg, struct rpc_client *client);

/* The methods of disks.c, attach.c and trace.c. */
int disk_list(struct rpc_call *call, struct json_object **result);
int disk_get(struct rpc_call *call, struct json_object **result);
int disk_set(struct rpc_call *call, struct json_object **result);
int disk_resize(struct rpc_call *call, struct json_object **result);
int disk_insert(struct rpc_call *call, struct json_object **result);
int disk_attach(struct rpc_call *call, struct json_object **result);
int disk_detach(struct rpc_call *call, struct json_object **result);
int disk_trace(struct rpc_call *call, struct json_object **result);
int disk_trace_read(struct rpc_call *call, struct json_object **result);
int bdev_list(struct rpc_call *call, struct json_object **result);

/* How things are shown (show.c). */

/* json_put_u64, json_put_text, json_put_bool - add a member. NULL as text is null. */
void json_put_u64(struct json_object *to, const char *name, uint64_t value);
void json_put_text(struct json_object *to, const char *name, const char *value);
void json_put_bool(struct json_object *to, const char *name, bool value);

enum show_depth {
	SHOW_BRIEF, /* what a line of a list wants */
	SHOW_ALL, /* and histograms, queue by queue */
};

struct json_object *show_disk(const struct vbd *v, enum show_depth depth);
struct json_object *show_bdev(const struct vbd *v); /* it is open */
struct json_object *show_controller(const struct controller *c);
struct json_object *show_reactor(const struct datapath_reactor *r);

/* show_guest - the name of a domain, to be freed; or NULL. */
char *show_guest(struct store *s, uint32_t domid);

#endif
