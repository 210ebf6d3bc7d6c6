/* SPDX-License-Identifier: BSD-2-Clause */
/* xensim-store: sockets, and who is at their other end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "store.h"

/* How often the machine is looked at for what has died or come to be. */
#define TICK_MS 20

struct listener {
	int fd;
	uint16_t domid;
};

struct server {
	struct store store;
	int epoll_fd, signal_fd;
	struct listener listeners[SIM_DOMAINS];
};

void conn_send(struct conn *c, const struct xsd_sockmsg *head, const void *data)
{
	size_t bytes = sizeof(*head) + head->len;

	if (c->dead || c->out_bytes + bytes > STORE_MAX_OUT_BYTES) {
		c->dead = true;
		return;
	}
	c->out = realloc(c->out, c->out_bytes + bytes);
	if (!c->out)
		abort();
	memcpy(c->out + c->out_bytes, head, sizeof(*head));
	if (head->len)
		memcpy(c->out + c->out_bytes + sizeof(*head), data, head->len);
	c->out_bytes += bytes;
}

static void conn_write(struct conn *c)
{
	ssize_t n;

	while (c->out_bytes && !c->dead) {
		n = send(c->fd, c->out, c->out_bytes, MSG_NOSIGNAL);
		if (n < 0) {
			c->dead |= errno != EAGAIN && errno != EINTR;
			return;
		}
		c->out_bytes -= (size_t)n;
		memmove(c->out, c->out + n, c->out_bytes);
	}
}

/* Return: true if there is one whole request. */
static bool conn_fill(struct conn *c)
{
	size_t head = sizeof(c->head), want = head;
	ssize_t n;
	void *to;

	for (;;) {
		if (c->in_bytes >= head) {
			want = head + c->head.len;
			if (c->head.len > XENSTORE_PAYLOAD_MAX) {
				c->dead = true;
				return false;
			}
			if (c->in_bytes == want)
				return true;
		}
		to = c->in_bytes < head ? (char *)&c->head + c->in_bytes
					: c->in + (c->in_bytes - head);
		n = read(c->fd, to, want - c->in_bytes);
		if (n <= 0) {
			c->dead |= !n || (errno != EAGAIN && errno != EINTR);
			return false;
		}
		c->in_bytes += (size_t)n;
	}
}

static void conn_read(struct server *s, struct conn *c)
{
	while (!c->dead && conn_fill(c)) {
		store_request(&s->store, c);
		c->in_bytes = 0;
	}
}

static void conn_accept(struct server *s, struct listener *l)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return;
	c->fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	c->domid = l->domid;
	ev.data.ptr = c;
	if (c->fd < 0 || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) < 0) {
		if (c->fd >= 0)
			close(c->fd);
		free(c);
		return;
	}
	c->next = s->store.conns;
	s->store.conns = c;
}

static void conn_free(struct conn *c)
{
	conn_clear(c);
	close(c->fd);
	free(c->out);
	free(c);
}

/* Sends what the requests have caused, to whomever; buries the dead. */
static void settle(struct server *s)
{
	struct conn **at = &s->store.conns, *c;

	while ((c = *at)) {
		conn_write(c);
		if (c->dead) {
			*at = c->next;
			conn_free(c);
		} else {
			at = &c->next;
		}
	}
}

static bool is_listener(const struct server *s, const void *ptr)
{
	return ptr >= (const void *)s->listeners &&
	       ptr < (const void *)(s->listeners + SIM_DOMAINS);
}

static void serve(struct server *s)
{
	struct epoll_event events[16];

	for (;;) {
		int nr = epoll_wait(s->epoll_fd, events, 16, TICK_MS);

		for (int i = 0; i < nr; i++) {
			if (!events[i].data.ptr)
				return;
			if (is_listener(s, events[i].data.ptr))
				conn_accept(s, events[i].data.ptr);
			else
				conn_read(s, events[i].data.ptr);
		}
		if (nr <= 0)
			sim_reap();
		store_tick(&s->store);
		settle(s);
	}
}

static int listen_for(struct server *s, uint16_t domid)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct listener *l = &s->listeners[domid];
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = l };

	if (sim_path(addr.sun_path, sizeof(addr.sun_path), "store.%u", domid))
		return -ENAMETOOLONG;
	unlink(addr.sun_path);
	l->domid = domid;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0 || bind(l->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(l->fd, 64) < 0 || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, l->fd, &ev) < 0)
		return -errno;
	return 0;
}

static int start(struct server *s)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
	sigset_t set;
	int err = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (s->epoll_fd < 0 || s->signal_fd < 0 ||
	    epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->signal_fd, &ev) < 0)
		return -errno;
	/* Domain 0's last: who sees it finds the others as well. */
	for (int i = SIM_DOMAINS - 1; i >= 0 && !err; i--)
		err = listen_for(s, (uint16_t)i);
	return err;
}

static void stop(struct server *s)
{
	for (struct conn *c = s->store.conns, *next; c; c = next) {
		next = c->next;
		conn_free(c);
	}
	for (int i = 0; i < (int)SIM_DOMAINS; i++)
		close(s->listeners[i].fd);
	close(s->signal_fd);
	close(s->epoll_fd);
	store_fini(&s->store);
}

int main(int argc, char **argv)
{
	static struct server s;
	int err;

	if (argc != 1) {
		fprintf(stderr, "Usage: XENSIM_DIR=DIR xensim-store\n");
		return 2;
	}
	err = sim_open();
	if (!err) {
		store_init(&s.store);
		err = start(&s);
	}
	if (err) {
		fprintf(stderr, "xensim-store: %s\n",
			err == -ENODEV ? "XENSIM_DIR is not set" : strerror(-err));
		return EXIT_FAILURE;
	}
	serve(&s);
	stop(&s);
	return EXIT_SUCCESS;
}
