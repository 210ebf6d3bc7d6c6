/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters of our disks for xentop, as long as this runs.
 *
 * libxenstat has those of the kernel's backends from sysfs. Of a guest D with a node backend/qdisk/D in
 * xenstore it asks QEMU, at /run/xen/qmp-libxenstat-D (qmp.h): what its disks did, and of each the file, which
 * it looks for below the node, to know the disk's number. A PV or PVH guest with disks of ours alone has no
 * QEMU that would be asked: it is given the node, and is answered for here. Where there is a QEMU it is left
 * alone, also where it comes later.
 *
 * libxenstat takes what comes within 10 ms for the answer: so nobody waits for the daemon in between.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "commands.h"
#include "list.h"
#include "qmp.h"
#include "sample.h"
#include "store.h"
#include "unix_socket.h"

#define RUN_DIR "/run/xen"
#define QDISK	"/local/domain/0/backend/qdisk"

/* The value of a guest's node that is ours. */
#define MARK "xenblkctl xentop"

/* How often we look for guests; and how old counters may be when somebody comes to ask. */
#define LOOK_EVERY_NS (2 * NS_PER_S)
#define FRESH_NS      (NS_PER_S / 4)

#define MAX_CALLERS   16u
#define MAX_COMMAND   4096u

struct xentop;

static void look(struct xentop *x);

/* Something to wait for. */
struct source {
	int fd;
	void (*ready)(struct xentop *x, struct source *s);
};

struct guest {
	struct list_node link;
	uint32_t domid;
	struct json_object *disks; /* as the daemon shows them */
	struct source listener; /* fd -1: QEMU is asked, or nobody can be */
	char path[108]; /* of the socket */
	struct stat made; /* as we made it */
	char devids[512]; /* what stands in xenstore: a word for each disk */
};

struct caller {
	struct list_node link;
	struct source connection;
	struct guest *guest;
	struct json_tokener *tok;
	size_t bytes; /* of the command that is not whole yet */
};

struct xentop {
	struct client *client;
	const char *run_dir;
	struct store store;
	struct list guests, callers;
	uint32_t nr_callers;
	int epoll_fd;
	struct source signals;
	uint64_t looked_ns;
	bool ending;
	enum status status;
};

static int watch(struct xentop *x, struct source *s)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };

	return epoll_ctl(x->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) ? -errno : 0;
}

static bool somebody_listens(const char *path)
{
	int fd = unix_connect(path);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void caller_end(struct xentop *x, struct caller *c)
{
	list_del(&c->link);
	x->nr_callers--;
	close(c->connection.fd);
	json_tokener_free(c->tok);
	free(c);
}

/* Takes @what. Return: whether it went, whole: there is room for more than anybody has disks. */
static bool tell(const struct caller *c, struct json_object *what)
{
	const char *text = json_object_to_json_string_ext(
		what, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	size_t n = strlen(text);
	bool ok = send(c->connection.fd, text, n, MSG_NOSIGNAL) == (ssize_t)n &&
		  send(c->connection.fd, "\r\n", 2, MSG_NOSIGNAL) == 2;

	json_object_put(what);
	return ok;
}

/* Takes from a guest's node what is ours: a disk that a toolstack made has a frontend. */
static void unpublish(struct xentop *x, uint32_t domid)
{
	char node[STORE_PATH_MAX], *mark = store_read(&x->store, XBT_NULL, QDISK "/%u", domid);
	bool ours = mark && !strcmp(mark, MARK);
	unsigned int nr = 0;
	char **devids;

	free(mark);
	if (!ours)
		return;
	snprintf(node, sizeof(node), QDISK "/%u", domid);
	devids = store_directory(&x->store, node, &nr);
	for (unsigned int i = 0; i < nr; i++) {
		char *frontend = store_read(&x->store, XBT_NULL, "%s/%s/frontend", node, devids[i]);

		if (frontend)
			ours = false;
		else
			store_remove(&x->store, XBT_NULL, node, devids[i]);
		free(frontend);
	}
	free(devids);
	if (ours)
		store_remove(&x->store, XBT_NULL, QDISK, strrchr(node, '/') + 1);
}

/* Its disks' numbers, anew if they are others than before. */
static void publish(struct xentop *x, struct guest *g)
{
	char domid[16], words[sizeof(g->devids)] = "";
	size_t n = 0;

	for (size_t i = 0; i < json_object_array_length(g->disks) && n + 24 < sizeof(words); i++)
		n += (size_t)sprintf(words + n, "%" PRIu64 " ",
				     get_u64(json_object_array_get_idx(g->disks, i), "devid"));
	if (!strcmp(words, g->devids))
		return;
	strcpy(g->devids, words);
	unpublish(x, g->domid);
	snprintf(domid, sizeof(domid), "%u", g->domid);
	store_write(&x->store, XBT_NULL, QDISK, domid, MARK);
	for (char *rest = words, *devid; (devid = strtok_r(rest, " ", &rest));) {
		char name[64], file[32];

		snprintf(name, sizeof(name), "%s/%s/params", domid, devid);
		snprintf(file, sizeof(file), "/%s", devid);
		store_write(&x->store, XBT_NULL, QDISK, name, file);
	}
}

static bool still_ours(const struct guest *g)
{
	struct stat now;

	return !lstat(g->path, &now) && now.st_ino == g->made.st_ino &&
	       now.st_dev == g->made.st_dev;
}

/* It is not answered for any more. */
static void guest_leave(struct xentop *x, struct guest *g)
{
	struct caller *c, *tmp;

	if (g->listener.fd < 0)
		return;
	list_for_each_safe (c, tmp, &x->callers, link) {
		if (c->guest == g)
			caller_end(x, c);
	}
	if (still_ours(g))
		unlink(g->path);
	close(g->listener.fd);
	g->listener.fd = -1;
	unpublish(x, g->domid);
}

static void guest_end(struct xentop *x, struct guest *g)
{
	guest_leave(x, g);
	list_del(&g->link);
	json_object_put(g->disks);
	free(g);
}

/* A command is answered when it is whole. Return: whether the connection is to stay. */
static bool caller_reads(struct xentop *x, struct caller *c, const char *text, int n)
{
	bool ok = true;

	c->bytes += (size_t)n;
	for (int i = 0; ok && i < n;) {
		struct json_object *command = json_tokener_parse_ex(c->tok, text + i, n - i);

		if (!command)
			return json_tokener_get_error(c->tok) == json_tokener_continue &&
			       c->bytes <= MAX_COMMAND;
		i += (int)json_tokener_get_parse_end(c->tok);
		json_tokener_reset(c->tok);
		c->bytes = 0;
		ok = tell(c, qmp_answer(command, c->guest->disks));
		json_object_put(command);
	}
	return ok;
}

static void caller_ready(struct xentop *x, struct source *s)
{
	struct caller *c = container_of(s, struct caller, connection);
	char text[1024];
	ssize_t n = recv(s->fd, text, sizeof(text), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || !caller_reads(x, c, text, (int)n))
		caller_end(x, c);
	/* What it asks next it asks 10 ms later. */
	else if (clock_ns() - x->looked_ns > FRESH_NS)
		look(x);
}

static void listener_ready(struct xentop *x, struct source *s)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct caller *c = fd >= 0 && x->nr_callers < MAX_CALLERS ? calloc(1, sizeof(*c)) : NULL;

	if (!c) {
		if (fd >= 0)
			close(fd);
		return;
	}
	c->connection = (struct source){ fd, caller_ready };
	c->guest = container_of(s, struct guest, listener);
	c->tok = json_tokener_new();
	list_add_tail(&x->callers, &c->link);
	x->nr_callers++;
	if (!c->tok || watch(x, &c->connection) || !tell(c, qmp_greeting()))
		caller_end(x, c);
}

/* Where nobody answers for it yet, we do. */
static void guest_join(struct xentop *x, struct guest *g)
{
	snprintf(g->path, sizeof(g->path), "%s/qmp-libxenstat-%u", x->run_dir, g->domid);
	if (somebody_listens(g->path))
		return;
	g->listener = (struct source){ unix_listen(g->path), listener_ready };
	if (g->listener.fd >= 0 && !lstat(g->path, &g->made) && !watch(x, &g->listener))
		return;
	fprintf(stderr, "xenblkctl: cannot answer for domain %u at %s: %s\n", g->domid, g->path,
		strerror(g->listener.fd < 0 ? -g->listener.fd : errno));
	if (g->listener.fd >= 0)
		close(g->listener.fd);
	g->listener.fd = -1;
}

/* Return: the guest, NULL without memory. */
static struct guest *guest_of(struct xentop *x, uint32_t domid)
{
	struct guest *g;

	list_for_each (g, &x->guests, link) {
		if (g->domid == domid)
			return g;
	}
	g = calloc(1, sizeof(*g));
	if (!g)
		return NULL;
	g->domid = domid;
	g->disks = json_object_new_array();
	g->listener.fd = -1;
	list_add_tail(&x->guests, &g->link);
	guest_join(x, g);
	return g;
}

/* What the daemon says now. */
static void look(struct xentop *x)
{
	struct sample s;
	struct guest *g, *tmp;

	x->looked_ns = clock_ns();
	x->status = sample_take(&s, x->client);
	if (x->status) {
		x->ending = true;
		return;
	}
	list_for_each (g, &x->guests, link) {
		json_object_put(g->disks);
		g->disks = json_object_new_array();
	}
	for (size_t i = 0; i < json_object_array_length(sample_disks(&s)); i++) {
		struct json_object *disk = json_object_array_get_idx(sample_disks(&s), i);

		g = guest_of(x, (uint32_t)get_u64(disk, "domid"));
		if (g)
			json_object_array_add(g->disks, json_object_get(disk));
	}
	sample_put(&s);
	list_for_each_safe (g, tmp, &x->guests, link) {
		if (!json_object_array_length(g->disks))
			guest_end(x, g);
		else if (g->listener.fd >= 0 && !still_ours(g))
			guest_leave(x, g);
		else if (g->listener.fd >= 0)
			publish(x, g);
	}
}

static void signalled(struct xentop *x, struct source *s)
{
	struct signalfd_siginfo info;

	if (read(s->fd, &info, sizeof(info)) == sizeof(info))
		x->ending = true;
}

/* What one that was killed has left: only its nodes stay when their guests go. */
static void sweep(struct xentop *x)
{
	unsigned int nr = 0;
	char **domids = store_directory(&x->store, QDISK, &nr);

	for (unsigned int i = 0; i < nr; i++)
		unpublish(x, (uint32_t)strtoul(domids[i], NULL, 10));
	free(domids);
}

static enum status failed(const char *what, int err)
{
	fprintf(stderr, "xenblkctl: %s: %s\n", what, strerror(-err));
	return STATUS_FAILED;
}

static void serve(struct xentop *x)
{
	struct guest *g, *tmp;

	look(x);
	while (!x->ending) {
		uint64_t since = clock_ns() - x->looked_ns;
		struct epoll_event ev;

		if (since >= LOOK_EVERY_NS)
			look(x);
		/* One at a time: it may end others. */
		else if (epoll_wait(x->epoll_fd, &ev, 1,
				    (int)((LOOK_EVERY_NS - since) / NS_PER_MS) + 1) == 1)
			((struct source *)ev.data.ptr)->ready(x, ev.data.ptr);
	}
	list_for_each_safe (g, tmp, &x->guests, link)
		guest_end(x, g);
}

static int open_events(struct xentop *x)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	x->signals = (struct source){ signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), signalled };
	x->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return watch(x, &x->signals);
}

enum status cmd_xentop(struct context *ctx)
{
	struct xentop x = {
		.client = &ctx->client,
		.run_dir = ctx->argc ? ctx->argv[0] : RUN_DIR,
	};
	int err = store_open(&x.store);

	if (err)
		return failed("cannot reach xenstore", err);
	list_init(&x.guests);
	list_init(&x.callers);
	if (x.store.domid) {
		fprintf(stderr, "xenblkctl: xentop looks for disks of domain 0, and this is %u\n",
			x.store.domid);
		x.status = STATUS_FAILED;
	} else if ((err = open_events(&x))) {
		x.status = failed("cannot wait for xentop", err);
	} else {
		sweep(&x);
		serve(&x);
	}
	store_close(&x.store);
	return x.status;
}
