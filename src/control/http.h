/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http - serves one page, /metrics, on a socket that listens (libmicrohttpd).
 *
 * It lives on the control thread's loop and has no thread of its own. Connections are few and are cut
 * off when they say nothing.
 *
 * Thread: control.
 */
#ifndef XENBLKD_HTTP_H
#define XENBLKD_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "reactor.h"

struct http {
	struct reactor *control;
	struct MHD_Daemon *daemon;
	struct reactor_fd epoll_fd, timer_fd;
	/* Return: the page, to be freed, or NULL. */
	char *(*page)(void *arg, size_t *bytes);
	void *arg;
};

/**
 * http_start - serves
 *
 * @fd: listens; closed by http_stop(), or here if this fails
 *
 * Return: 0, or -errno and *@e.
 */
int http_start(struct http *h, struct reactor *control, int fd,
	       char *(*page)(void *arg, size_t *bytes), void *arg, struct error *e);
void http_stop(struct http *h);

/* loopback_listen - on 127.0.0.1. Return: a socket, or -errno. */
int loopback_listen(uint16_t port);

#endif
