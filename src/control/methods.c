/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "control.h"
#include "log.h"
#include "metrics.h"
#include "unix_socket.h"

static int daemon_info(struct rpc_call *call, struct json_object **result)
{
	const struct control *c = control_of(call);
	const struct backend *b = c->args.backend;
	char standby[96];
	bool has = !instance_standby(c->args.instance, standby, sizeof(standby), NULL);

	*result = json_object_new_object();
	json_put_text(*result, "version", XENBLKD_VERSION);
	json_put_text(*result, "api", CONTROL_API_VERSION);
	json_put_text(*result, "class", b->host.class);
	json_put_text(*result, "state_dir", c->args.state_dir);
	json_put_u64(*result, "uptime_ns", clock_ns() - c->started_ns);
	json_put_u64(*result, "max_queues", b->host.max_queues);
	json_put_bool(*result, "stopping", b->stopping);
	json_put_u64(*result, "pid", (uint64_t)getpid());
	json_put_text(*result, "standby", has ? standby : NULL);
	return 0;
}

static int daemon_hand_over(struct rpc_call *call, struct json_object **result)
{
	const struct control *c = control_of(call);
	char heir[96];
	int err = c->args.hand_over(c->args.arg, heir, sizeof(heir), &call->e);

	if (err)
		return err;
	*result = json_object_new_object();
	json_put_text(*result, "to", heir);
	return 0;
}

static int reactor_list(struct rpc_call *call, struct json_object **result)
{
	const struct control *c = control_of(call);
	struct json_object *list = json_object_new_array();

	for (uint32_t i = 0; i < c->args.datapath->nr; i++)
		json_object_array_add(list, show_reactor(&c->args.datapath->reactors[i]));
	*result = json_object_new_object();
	json_put_u64(*result, "time_ns", clock_ns());
	json_object_object_add(*result, "reactors", list);
	return 0;
}

static void add_controller(void *arg, const struct controller *c)
{
	json_object_array_add(arg, show_controller(c));
}

static int controller_list(struct rpc_call *call, struct json_object **result)
{
	struct json_object *list = json_object_new_array();

	(void)call;
	controllers_see(add_controller, list);
	*result = json_object_new_object();
	json_object_object_add(*result, "controllers", list);
	return 0;
}

/* Of all of them: a disk's queues are on any. */
static int reactor_set(struct rpc_call *call, struct json_object **result)
{
	const struct control *c = control_of(call);
	uint64_t poll_us;
	int err = rpc_param_u64(call, "poll_us", 0, 1000000, &poll_us);

	if (err)
		return err;
	for (uint32_t i = 0; i < c->args.datapath->nr; i++)
		reactor_set_poll_ns(&c->args.datapath->reactors[i].reactor, poll_us * NS_PER_US);
	return reactor_list(call, result);
}

static int log_level(struct rpc_call *call, struct json_object **result)
{
	enum log_level level;
	const char *name;
	int err = rpc_param_text(call, "level", &name);

	if (err)
		return err;
	if (log_level_parse(name, &level))
		return error_set(&call->e, EINVAL,
				 "the level is \"%.32s\", expected error, warning, info or debug",
				 name);
	log_set_level(level);
	*result = json_object_new_object();
	json_put_text(*result, "level", name);
	return 0;
}

static int rpc_methods(struct rpc_call *call, struct json_object **result);

static const struct rpc_method methods[] = {
	{ "rpc.methods", NULL, rpc_methods },
	{ "daemon.info", NULL, daemon_info },
	{ "daemon.hand_over", NULL, daemon_hand_over },
	{ "reactor.list", NULL, reactor_list },
	{ "log.level", "level", log_level },
	{ "disk.list", "[histograms]", disk_list },
	{ "disk.get", "disk", disk_get },
	{ "disk.set", "disk, settings", disk_set },
	{ "reactor.set", "poll_us", reactor_set },
	{ "bdev.list", NULL, bdev_list },
	{ "disk.resize", "disk", disk_resize },
	{ "disk.insert", "disk, bdev", disk_insert },
	{ "disk.attach", "domain, vdev, bdev, [read_only], [settings]", disk_attach },
	{ "disk.detach", "disk", disk_detach },
	{ "disk.trace", "disk, [op], [min_us], [errors]", disk_trace },
	{ "disk.trace_read", "disk", disk_trace_read },
	{ "controller.list", NULL, controller_list },
	{ NULL },
};

static int rpc_methods(struct rpc_call *call, struct json_object **result)
{
	struct json_object *list = json_object_new_array();

	(void)call;
	for (const struct rpc_method *m = methods; m->name; m++) {
		struct json_object *one = json_object_new_object();

		json_put_text(one, "name", m->name);
		json_put_text(one, "params", m->params ? m->params : "");
		json_object_array_add(list, one);
	}
	*result = json_object_new_object();
	json_put_text(*result, "api", CONTROL_API_VERSION);
	json_object_object_add(*result, "methods", list);
	return 0;
}

static char *metrics_page(void *arg, size_t *bytes)
{
	const struct control *c = arg;

	return metrics_text(&c->args, bytes);
}

#define RPC_SOCKET     "rpc.sock"
#define METRICS_SOCKET "metrics.sock"

void control_sweep(const char *state_dir)
{
	static const char *const names[] = { RPC_SOCKET, METRICS_SOCKET };
	char path[108];

	for (uint32_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", state_dir, names[i]);
		unlink(path);
	}
}

/* Whoever asks for metrics alone misses it if this fails. */
static void start_metrics(struct control *c)
{
	struct error e = { "" };
	int fd;

	snprintf(c->metrics_path, sizeof(c->metrics_path), "%s/" METRICS_SOCKET, c->args.state_dir);
	fd = unix_listen(c->metrics_path);
	if (fd < 0)
		error_set(&e, -fd, "cannot listen at %s: %s", c->metrics_path, strerror(-fd));
	c->has_metrics =
		fd >= 0 && !http_start(&c->metrics, c->args.control, fd, metrics_page, c, &e);
	if (!c->has_metrics)
		log_error("%s: there are no metrics", e.text);
}

static void start_metrics_port(struct control *c)
{
	struct error e = { "" };
	int fd = loopback_listen(c->args.metrics_port);

	if (fd < 0)
		error_set(&e, -fd, "cannot listen at port %u of 127.0.0.1: %s",
			  c->args.metrics_port, strerror(-fd));
	c->has_port =
		fd >= 0 && !http_start(&c->metrics_tcp, c->args.control, fd, metrics_page, c, &e);
	if (!c->has_port)
		log_error("%s; there are no metrics there: choose another metrics-port", e.text);
}

int control_start(struct control *c, const struct control_args *args, struct error *e)
{
	char path[108];
	struct rpc_args rpc = {
		.control = args->control,
		.path = path,
		.methods = methods,
		.arg = c,
		.gone = trace_client_gone,
	};
	int err;

	*c = (struct control){ .args = *args, .started_ns = clock_ns() };
	snprintf(path, sizeof(path), "%s/" RPC_SOCKET, args->state_dir);
	err = rpc_start(&c->rpc, &rpc, e);
	if (err)
		return err;
	start_metrics(c);
	if (args->metrics_port)
		start_metrics_port(c);
	return 0;
}

void control_stop(struct control *c)
{
	rpc_stop(&c->rpc);
	if (c->has_port)
		http_stop(&c->metrics_tcp);
	if (c->has_metrics)
		http_stop(&c->metrics);
	unlink(c->metrics_path);
}
