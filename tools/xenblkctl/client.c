/* SPDX-License-Identifier: BSD-2-Clause */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "commands.h"
#include "unix_socket.h"

/* An answer takes no longer: but for devices that have to be opened. */
#define ANSWER_S     60

#define LOOK_AGAIN_S 0.02

/* Return: 0 or -errno. */
static int try_connect(struct client *c)
{
	struct timeval patience = { ANSWER_S, 0 };

	c->fd = unix_connect(c->path);
	if (c->fd < 0)
		return c->fd;
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return 0;
}

static enum status refused(const struct client *c, int err)
{
	fprintf(stderr, "xenblkctl: cannot connect to %s: %s; %s\n", c->path, strerror(-err),
		err == -EACCES || err == -EPERM ? "only root may; try sudo"
						: "is xenblkd running? (systemctl status xenblkd)");
	return STATUS_NO_DAEMON;
}

enum status client_open(struct client *c, const char *path)
{
	int err;

	*c = (struct client){ .path = path };
	err = try_connect(c);
	if (err == -ENAMETOOLONG) {
		fprintf(stderr, "xenblkctl: the path of the socket is too long: %s\n", path);
		return STATUS_USAGE;
	}
	return err ? refused(c, err) : STATUS_OK;
}

enum status client_follow(struct client *c, double seconds)
{
	struct client next = { .path = c->path };
	double waited = 0;
	char byte;
	int err;

	/* It says nothing more: this ends when it does. */
	while (recv(c->fd, &byte, 1, 0) < 0 && errno == EINTR) {
	}
	while ((err = try_connect(&next))) {
		if (waited > seconds)
			return refused(c, err);
		sleep_s(LOOK_AGAIN_S);
		waited += LOOK_AGAIN_S;
	}
	client_close(c);
	*c = next;
	return STATUS_OK;
}

void client_close(struct client *c)
{
	close(c->fd);
	free(c->line);
}

static enum status lost(const struct client *c, const char *why)
{
	fprintf(stderr, "xenblkctl: %s: %s; see the log of xenblkd (journalctl -u xenblkd)\n",
		c->path, why);
	return STATUS_NO_DAEMON;
}

/* Takes @request. */
static bool send_line(struct client *c, struct json_object *request)
{
	const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
	size_t n = strlen(text), sent = 0;
	bool ok = true;

	while (ok && sent <= n) {
		/* And the end of the line. */
		ssize_t did = sent < n ? send(c->fd, text + sent, n - sent, MSG_NOSIGNAL)
				       : send(c->fd, "\n", 1, MSG_NOSIGNAL);

		if (did < 0 && errno == EINTR)
			continue;
		ok = did > 0;
		sent += ok ? (size_t)did : 0;
	}
	json_object_put(request);
	return ok;
}

/* Return: the end of the line in c->line, or NULL. */
static char *receive_line(struct client *c)
{
	char *end;

	for (;;) {
		ssize_t n;

		end = c->bytes ? memchr(c->line, '\n', c->bytes) : NULL;
		if (end)
			return end;
		if (c->bytes == c->size) {
			size_t size = c->size ? 2 * c->size : 65536;
			char *grown = realloc(c->line, size);

			if (!grown)
				return NULL;
			c->line = grown;
			c->size = size;
		}
		n = recv(c->fd, c->line + c->bytes, c->size - c->bytes, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		c->bytes += (size_t)n;
	}
}

enum status client_call(struct client *c, const char *method, struct json_object *params,
			struct json_object **result)
{
	struct json_object *request = json_object_new_object(), *response, *error;
	char *end;

	json_object_object_add(request, "jsonrpc", json_object_new_string("2.0"));
	json_object_object_add(request, "id", json_object_new_uint64(++c->id));
	json_object_object_add(request, "method", json_object_new_string(method));
	if (params)
		json_object_object_add(request, "params", params);
	if (!send_line(c, request))
		return lost(c, "the connection is gone");
	end = receive_line(c);
	if (!end)
		return lost(c,
			    errno == EAGAIN ? "no answer for a minute" : "the connection is gone");
	*end = '\0';
	response = json_tokener_parse(c->line);
	c->bytes -= (size_t)(end + 1 - c->line);
	memmove(c->line, end + 1, c->bytes);
	if (!response)
		return lost(c, "the answer is no JSON");
	if (json_object_object_get_ex(response, "error", &error)) {
		fprintf(stderr, "xenblkctl: %s\n", get_text(error, "message"));
		json_object_put(response);
		return STATUS_FAILED;
	}
	*result = json_object_get(get_member(response, "result"));
	json_object_put(response);
	return STATUS_OK;
}
