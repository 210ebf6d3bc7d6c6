/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "unix_socket.h"

/* JSON-RPC 2.0, section 5.1; below -32000 are our own. */
enum rpc_code {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_NO_METHOD = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_FAILED = -32000,
};

#define MAX_DEPTH	 16
#define EVENTS_IN_A_TURN 16

struct rpc_client {
	struct list_node link;
	int fd;
	char *out; /* not yet sent; or NULL */
	size_t out_bytes, out_sent;
	bool closing; /* once out is sent */
	bool gone; /* to be freed */
	uint32_t line_bytes;
	char line[RPC_MAX_LINE_BYTES];
};

static void client_watch(struct rpc *r, struct rpc_client *c, int op)
{
	struct epoll_event ev = { .events = c->out ? EPOLLOUT : EPOLLIN, .data.ptr = c };

	epoll_ctl(r->epoll_fd.fd, op, c->fd, &ev);
}

static void client_destroy(struct rpc *r, struct rpc_client *c)
{
	if (r->args.gone)
		r->args.gone(r->args.arg, c);
	list_del(&c->link);
	r->nr_clients--;
	close(c->fd);
	free(c->out);
	free(c);
}

/* Sends what there is, as far as it goes. */
static void client_send(struct rpc *r, struct rpc_client *c)
{
	while (c->out_sent < c->out_bytes) {
		ssize_t n =
			send(c->fd, c->out + c->out_sent, c->out_bytes - c->out_sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			client_watch(r, c, EPOLL_CTL_MOD);
			return;
		}
		if (n < 0) {
			c->gone = true;
			return;
		}
		c->out_sent += (size_t)n;
	}
	free(c->out);
	c->out = NULL;
	if (c->closing)
		c->gone = true;
	else
		client_watch(r, c, EPOLL_CTL_MOD);
}

/* Takes @response. */
static void client_answer(struct rpc *r, struct rpc_client *c, struct json_object *response)
{
	const char *text = json_object_to_json_string_ext(
		response, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	size_t n = text ? strlen(text) : 0;

	c->out = n ? malloc(n + 1) : NULL;
	if (c->out) {
		memcpy(c->out, text, n);
		c->out[n] = '\n';
		c->out_bytes = n + 1;
		c->out_sent = 0;
	} else {
		c->gone = true;
	}
	json_object_put(response);
	if (c->out)
		client_send(r, c);
}

/* Takes neither. */
static struct json_object *response_new(struct json_object *id)
{
	struct json_object *response = json_object_new_object();

	json_object_object_add(response, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(response, "id", json_object_get(id));
	return response;
}

static struct json_object *error_new(struct json_object *id, enum rpc_code code, int err,
				     const char *message)
{
	struct json_object *response = response_new(id), *error = json_object_new_object();

	json_object_object_add(error, "code", json_object_new_int(code));
	json_object_object_add(error, "message", json_object_new_string(message));
	if (err) {
		struct json_object *data = json_object_new_object();
		const char *name = strerrorname_np(-err);

		json_object_object_add(data, "errno", json_object_new_string(name ? name : "EIO"));
		json_object_object_add(error, "data", data);
	}
	json_object_object_add(response, "error", error);
	return response;
}

static const struct rpc_method *find_method(const struct rpc *r, const char *name)
{
	const struct rpc_method *m;

	for (m = r->args.methods; m->name; m++) {
		if (!strcmp(m->name, name))
			return m;
	}
	return NULL;
}

/* Whether @name is a word of "disk, [count]". */
static bool is_word_of(const char *words, const char *name)
{
	size_t n = strlen(name);

	while (words && *words && n) {
		words += strspn(words, "[], ");
		if (!strncmp(words, name, n) && strchr("], ", words[n]))
			return true;
		words += strcspn(words, "[], ");
	}
	return false;
}

/* A parameter that nobody knows would be one that somebody believes in. */
static int check_params(const struct rpc_method *m, struct rpc_call *call)
{
	if (call->params && !json_object_is_type(call->params, json_type_object))
		return error_set(&call->e, EINVAL, "the parameters are no object with names");
	if (!call->params)
		return 0;
	json_object_object_foreach(call->params, name, value)
	{
		(void)value;
		if (!is_word_of(m->params, name))
			return error_set(&call->e, EINVAL,
					 "%s has no parameter \"%.64s\"; it has: %s", m->name, name,
					 m->params ? m->params : "none");
	}
	return 0;
}

/* Return: the response, or NULL if none is wanted. */
static struct json_object *answer_one(struct rpc *r, struct rpc_client *c,
				      struct json_object *request)
{
	struct json_object *id = NULL, *name, *version, *result = NULL, *response;
	struct rpc_call call = { .arg = r->args.arg, .client = c };
	const struct rpc_method *m;
	bool notice;
	int err;

	if (!json_object_is_type(request, json_type_object) ||
	    !json_object_object_get_ex(request, "jsonrpc", &version) ||
	    !json_object_is_type(version, json_type_string) ||
	    strcmp(json_object_get_string(version), "2.0") ||
	    !json_object_object_get_ex(request, "method", &name) ||
	    !json_object_is_type(name, json_type_string))
		return error_new(NULL, RPC_INVALID_REQUEST, 0,
				 "this is no request of JSON-RPC 2.0");
	notice = !json_object_object_get_ex(request, "id", &id);
	if (json_object_is_type(id, json_type_object) || json_object_is_type(id, json_type_array))
		return error_new(NULL, RPC_INVALID_REQUEST, 0,
				 "the id is neither a string nor a number");
	m = find_method(r, json_object_get_string(name));
	if (!m)
		return notice ? NULL
			      : error_new(id, RPC_NO_METHOD, 0,
					  "no such method; rpc.methods lists them");
	json_object_object_get_ex(request, "params", &call.params);
	err = check_params(m, &call);
	if (!err)
		err = m->fn(&call, &result);
	if (notice) {
		json_object_put(result);
		return NULL;
	}
	if (err)
		return error_new(id, err == -EINVAL ? RPC_INVALID_PARAMS : RPC_FAILED, err,
				 call.e.text);
	response = response_new(id);
	json_object_object_add(response, "result", result);
	return response;
}

static struct json_object *answer_batch(struct rpc *r, struct rpc_client *c,
					struct json_object *batch)
{
	size_t nr = json_object_array_length(batch);
	struct json_object *responses;

	if (!nr || nr > RPC_MAX_BATCH)
		return error_new(NULL, RPC_INVALID_REQUEST, 0, "a batch has 1 to 32 requests");
	responses = json_object_new_array();
	for (size_t i = 0; i < nr; i++) {
		struct json_object *one = answer_one(r, c, json_object_array_get_idx(batch, i));

		if (one)
			json_object_array_add(responses, one);
	}
	if (json_object_array_length(responses))
		return responses;
	json_object_put(responses);
	return NULL;
}

/* Return: what the text says, whole; or NULL. */
static struct json_object *parse(const char *text, uint32_t bytes)
{
	struct json_tokener *tok = json_tokener_new_ex(MAX_DEPTH);
	struct json_object *request = NULL;

	if (!tok)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	request = json_tokener_parse_ex(tok, text, (int)bytes);
	/* A number alone may go on; its end says that it does not. */
	if (!request && json_tokener_get_error(tok) == json_tokener_continue)
		request = json_tokener_parse_ex(tok, "", 1);
	json_tokener_free(tok);
	return request;
}

static void answer_line(struct rpc *r, struct rpc_client *c, const char *text, uint32_t bytes)
{
	struct json_object *request, *response;

	if (strspn(text, " \t\r") >= bytes)
		return;
	request = parse(text, bytes);
	if (!request)
		response = error_new(NULL, RPC_PARSE_ERROR, 0, "this line is no JSON");
	else if (json_object_is_type(request, json_type_array))
		response = answer_batch(r, c, request);
	else
		response = answer_one(r, c, request);
	json_object_put(request);
	if (response)
		client_answer(r, c, response);
}

/* The lines that are whole; one whose answer has not been read yet keeps the rest waiting. */
static void client_lines(struct rpc *r, struct rpc_client *c)
{
	while (!c->out && !c->gone) {
		char *end = memchr(c->line, '\n', c->line_bytes);
		uint32_t n;

		if (!end)
			break;
		*end = '\0';
		n = (uint32_t)(end - c->line);
		answer_line(r, c, c->line, n);
		c->line_bytes -= n + 1;
		memmove(c->line, end + 1, c->line_bytes);
	}
	if (!c->out && !c->gone && c->line_bytes == sizeof(c->line)) {
		c->closing = true;
		client_answer(r, c,
			      error_new(NULL, RPC_INVALID_REQUEST, 0,
					"a line of more than 65535 bytes: the connection ends"));
	}
}

static void client_ready(struct rpc *r, struct rpc_client *c)
{
	ssize_t n;

	if (c->out) {
		client_send(r, c);
	} else {
		n = recv(c->fd, c->line + c->line_bytes, sizeof(c->line) - c->line_bytes, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			c->gone = true;
		else if (n > 0)
			c->line_bytes += (uint32_t)n;
	}
	client_lines(r, c);
	if (c->gone)
		client_destroy(r, c);
}

static void accept_client(struct rpc *r)
{
	struct rpc_client *c;
	int fd = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	static const char full[] =
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":"
		"\"32 clients are connected already; close one\"}}\n";

	if (fd < 0)
		return;
	c = r->nr_clients < RPC_MAX_CLIENTS ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		/* If it does not fit, it is a connection that ends. */
		if (send(fd, full, strlen(full), MSG_NOSIGNAL) < 0)
			log_debug("rpc: a client too many is gone already");
		close(fd);
		return;
	}
	c->fd = fd;
	list_add_tail(&r->clients, &c->link);
	r->nr_clients++;
	client_watch(r, c, EPOLL_CTL_ADD);
}

static void epoll_ready(struct reactor_fd *rfd)
{
	struct rpc *r = container_of(rfd, struct rpc, epoll_fd);
	struct epoll_event events[EVENTS_IN_A_TURN];
	int nr = epoll_wait(rfd->fd, events, EVENTS_IN_A_TURN, 0);

	for (int i = 0; i < nr; i++) {
		if (events[i].data.ptr)
			client_ready(r, events[i].data.ptr);
		else
			accept_client(r);
	}
}

int rpc_start(struct rpc *r, const struct rpc_args *args, struct error *e)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int err;

	*r = (struct rpc){ .args = *args, .listen_fd = -1 };
	list_init(&r->clients);
	snprintf(r->path, sizeof(r->path), "%s", args->path);
	r->epoll_fd = (struct reactor_fd){ epoll_create1(EPOLL_CLOEXEC), epoll_ready };
	if (r->epoll_fd.fd < 0)
		return error_set(e, errno, "cannot wait for clients: %s", strerror(errno));
	/* If there is one it is a predecessor's, which was killed: the lock says that there is no other. */
	r->listen_fd = unix_listen(r->path);
	if (r->listen_fd < 0) {
		err = error_set(e, -r->listen_fd, "cannot listen at %s: %s", r->path,
				strerror(-r->listen_fd));
		goto close_epoll;
	}
	err = epoll_ctl(r->epoll_fd.fd, EPOLL_CTL_ADD, r->listen_fd, &ev) < 0 ? -errno : 0;
	if (!err)
		err = reactor_add_fd(args->control, &r->epoll_fd);
	if (err) {
		error_set(e, -err, "cannot wait for clients: %s", strerror(-err));
		goto close_listen;
	}
	return 0;
close_listen:
	close(r->listen_fd);
	unlink(r->path);
close_epoll:
	close(r->epoll_fd.fd);
	return err;
}

void rpc_stop(struct rpc *r)
{
	struct rpc_client *c, *tmp;

	/* First of all: a client that sees the end finds nobody there, or the next one. */
	unlink(r->path);
	close(r->listen_fd);
	list_for_each_safe (c, tmp, &r->clients, link)
		client_destroy(r, c);
	reactor_del_fd(r->args.control, &r->epoll_fd);
	close(r->epoll_fd.fd);
}

bool rpc_has(const struct rpc_call *call, const char *name)
{
	return call->params && json_object_object_get_ex(call->params, name, NULL);
}

int rpc_param_text(struct rpc_call *call, const char *name, const char **out)
{
	struct json_object *value;

	if (!call->params || !json_object_object_get_ex(call->params, name, &value))
		return error_set(&call->e, EINVAL, "the parameter \"%s\" is missing", name);
	if (!json_object_is_type(value, json_type_string) ||
	    strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
		return error_set(&call->e, EINVAL, "the parameter \"%s\" is no text", name);
	*out = json_object_get_string(value);
	return 0;
}

int rpc_param_u64(struct rpc_call *call, const char *name, uint64_t min, uint64_t max,
		  uint64_t *out)
{
	struct json_object *value;
	int64_t n;

	if (!call->params || !json_object_object_get_ex(call->params, name, &value))
		return error_set(&call->e, EINVAL, "the parameter \"%s\" is missing", name);
	n = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : -1;
	if (n < 0 || (uint64_t)n < min || (uint64_t)n > max)
		return error_set(&call->e, EINVAL,
				 "the parameter \"%s\" is no number from %llu to %llu", name,
				 (unsigned long long)min, (unsigned long long)max);
	*out = (uint64_t)n;
	return 0;
}
