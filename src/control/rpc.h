/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpc - JSON-RPC 2.0 on a Unix socket: connections, lines, and who answers.
 *
 * A request is one line, a response is one line; a line may be a batch. What a line may be is bounded,
 * and so is how many clients there are: one that sends more is told so and cut off. A client that does
 * not read what it asked for is not read from any more. Nothing blocks.
 *
 * Which methods there are is the caller's: a table. xenblkctl(8) describes them.
 *
 * Thread: control.
 */
#ifndef XENBLKD_RPC_H
#define XENBLKD_RPC_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "list.h"
#include "reactor.h"

#define RPC_MAX_LINE_BYTES 65536u
#define RPC_MAX_CLIENTS	   32u
#define RPC_MAX_BATCH	   32u

/* What a method is asked, and who asks. */
struct rpc_call {
	void *arg; /* as in rpc_args */
	struct rpc_client *client; /* for what ends with the connection */
	struct json_object *params; /* an object, or NULL: none were given */
	struct error e; /* to fill in with -errno */
};

struct rpc_method {
	const char *name;
	const char *params; /* names, for people: "disk, [count]"; others are refused; NULL: none */
	/**
	 * fn - carries it out
	 *
	 * Return: 0 and *@result, the caller's to put; or -errno and call->e. -EINVAL: parameters.
	 */
	int (*fn)(struct rpc_call *call, struct json_object **result);
};

struct rpc_args {
	struct reactor *control;
	const char *path; /* of the socket, which is made anew; 0600 */
	const struct rpc_method *methods; /* the last one has no name */
	void *arg; /* the methods' */
	/* A client has gone. */
	void (*gone)(void *arg, struct rpc_client *client);
};

struct rpc {
	struct rpc_args args;
	char path[108];
	struct reactor_fd epoll_fd; /* of the listener and the clients, for either direction */
	int listen_fd;
	struct list clients;
	uint32_t nr_clients;
};

/* rpc_start - listens. Return: 0, or -errno and *@e. */
int rpc_start(struct rpc *r, const struct rpc_args *args, struct error *e);

/* rpc_stop - cuts off the clients and removes the socket. */
void rpc_stop(struct rpc *r);

/* What a parameter is, by its name. Return: 0; or -EINVAL and call->e. */
int rpc_param_text(struct rpc_call *call, const char *name, const char **out);
int rpc_param_u64(struct rpc_call *call, const char *name, uint64_t min, uint64_t max,
		  uint64_t *out);

/* rpc_has - whether a parameter was given. */
bool rpc_has(const struct rpc_call *call, const char *name);

#endif
