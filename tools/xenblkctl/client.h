/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client - one connection to the daemon's socket, and calls on it that wait for their answer.
 *
 * What goes wrong is said on standard error, with what to do about it, and ends up as an exit status.
 */
#ifndef XENBLKCTL_CLIENT_H
#define XENBLKCTL_CLIENT_H

#include <stdint.h>

#include "members.h"

#define CLIENT_SOCKET "/run/xenblkd/rpc.sock"

enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1, /* the daemon says no */
	STATUS_USAGE = 2, /* the command line is wrong */
	STATUS_NO_DAEMON = 3, /* it cannot be reached, or does not answer */
};

struct client {
	int fd;
	const char *path;
	char *line; /* what came behind the last answer */
	size_t bytes, size;
	uint64_t id;
};

/* client_open - Return: STATUS_OK or STATUS_NO_DAEMON. */
enum status client_open(struct client *c, const char *path);
void client_close(struct client *c);

/* client_follow - when the daemon has ended, to the one that goes on; at most so long. Return: as above. */
enum status client_follow(struct client *c, double seconds);

/**
 * client_call - calls a method and waits
 *
 * @params: taken; or NULL
 * @result: to be put
 *
 * Return: STATUS_OK; or another, and it has been said why.
 */
enum status client_call(struct client *c, const char *method, struct json_object *params,
			struct json_object **result);

#endif
