/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client of the control socket sends: lines that are no JSON, or JSON that is no request, or
 * requests with any parameters; in pieces, and with the end anywhere.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "input.h"
#include "reactor.h"
#include "rpc.h"
#include "settings.h"

#define MAX_TURNS 4096

static int echo(struct rpc_call *call, struct json_object **result)
{
	const char *text;
	uint64_t n = 0;
	int err = rpc_param_text(call, "text", &text);

	if (!err && rpc_has(call, "n"))
		err = rpc_param_u64(call, "n", 3, 99, &n);
	must(!err == !call->e.text[0]);
	if (err)
		return err;
	must(!rpc_has(call, "n") || (n >= 3 && n <= 99));
	*result = json_object_new_string(text);
	return 0;
}

static int set(struct rpc_call *call, struct json_object **result)
{
	struct settings s, before;
	const char *key, *value;
	int err;

	if (rpc_param_text(call, "key", &key) || rpc_param_text(call, "value", &value))
		return -EINVAL;
	settings_init(&s);
	before = s;
	err = settings_set(&s, key, value, &call->e);
	must(!err == !call->e.text[0]);
	must(!err || !memcmp(&s, &before, sizeof(s)));
	*result = err ? NULL : json_object_new_boolean(true);
	return err;
}

static const struct rpc_method methods[] = {
	{ "echo", "text, [n]", echo },
	{ "set", "key, value", set },
	{ NULL },
};

static struct reactor control;
static struct rpc rpc;
static char path[64];

static void end(void)
{
	rpc_stop(&rpc);
	rmdir(path);
}

static void start(void)
{
	static char socket_path[96];
	struct rpc_args args = { .control = &control, .path = socket_path, .methods = methods };
	struct error e = { "" };

	snprintf(path, sizeof(path), "/tmp/fuzz-rpc-XXXXXX");
	must(mkdtemp(path) != NULL);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", path);
	must(!reactor_init(&control, 0));
	must(!rpc_start(&rpc, &args, &e));
	atexit(end);
}

/* Each line that comes back is an object of JSON-RPC 2.0, or an array of them. */
static void look_at(const char *line, size_t bytes)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *answer = json_tokener_parse_ex(tok, line, (int)bytes), *one, *version;

	must(answer != NULL);
	one = json_object_is_type(answer, json_type_array) ? json_object_array_get_idx(answer, 0)
							     : answer;
	must(json_object_object_get_ex(one, "jsonrpc", &version));
	must(json_object_object_get_ex(one, "result", NULL) !=
	     json_object_object_get_ex(one, "error", NULL));
	json_object_put(answer);
	json_tokener_free(tok);
}

static void read_answers(int fd)
{
	static char text[1 << 20];
	size_t bytes = 0;

	for (int turn = 0; turn < MAX_TURNS; turn++) {
		ssize_t n;
		char *end_of_line;

		rpc.epoll_fd.ready(&rpc.epoll_fd);
		n = recv(fd, text + bytes, sizeof(text) - bytes, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return;
		bytes += n > 0 ? (size_t)n : 0;
		must(bytes < sizeof(text));
		while ((end_of_line = memchr(text, '\n', bytes))) {
			size_t line = (size_t)(end_of_line - text) + 1;

			look_at(text, line - 1);
			memmove(text, text + line, bytes -= line);
		}
	}
	must(!"the connection ends");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t first = size ? data[0] % size : 0;
	int fd;

	if (!rpc.path[0])
		start();
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(to.sun_path, rpc.path, sizeof(to.sun_path) - 1);
	must(fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof(to)));
	rpc.epoll_fd.ready(&rpc.epoll_fd);
	must(send(fd, data, first, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0);
	rpc.epoll_fd.ready(&rpc.epoll_fd);
	/* It may have been cut off. */
	if (send(fd, data + first, size - first, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 &&
	    send(fd, "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		shutdown(fd, SHUT_WR);
	read_answers(fd);
	close(fd);
	must(!rpc.nr_clients);
	return 0;
}
