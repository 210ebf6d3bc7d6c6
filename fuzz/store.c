/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands in xenstore of a disk: lines NODE=VALUE, anything in the values. xs_*() are those of
 * libxenstore, whose place this file takes: they look into the input, so that a run is one function
 * call and no conversation with a server.
 */
#include <errno.h>

#include "input.h"
#include "log.h"
#include "transport.h"
#include "vbd_store.h"

#define MAX_NODES 512
#define BACK	  "/b"

static struct {
	char *name, *value; /* one string: NAME '\0' VALUE */
	size_t len; /* of the value */
} nodes[MAX_NODES];
static uint32_t nr_nodes;

/* The frontend's directory is what the disk says that it is: here the input's own. */
static const char *node_of(const char *path)
{
	const char *last = path;

	if (!strncmp(path, BACK "/", strlen(BACK "/")))
		return path + strlen(BACK "/");
	if (!strncmp(path, "/f/", 3))
		last = path + 1;
	return last;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
	const char *name = node_of(path);

	must(strlen(path) < STORE_PATH_MAX);
	for (uint32_t i = 0; i < nr_nodes; i++) {
		if (!strcmp(nodes[i].name, name)) {
			char *value = malloc(nodes[i].len + 1);

			must(value);
			memcpy(value, nodes[i].value, nodes[i].len + 1);
			*len = (unsigned int)nodes[i].len;
			return value;
		}
	}
	errno = ENOENT;
	return NULL;
}

/* Nothing is written below the frontend's directory, nor anything but words. */
bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data,
	      unsigned int len)
{
	must(!strncmp(path, BACK "/", strlen(BACK "/")) || !strncmp(path, "/e/", 3));
	must(!memchr(data, '\n', len) && strlen(data) == len);
	return true;
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	must(!strncmp(path, BACK "/", strlen(BACK "/")) || !strncmp(path, "/e/", 3) ||
	     !strcmp(path, "/e"));
	return true;
}

char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *num)
{
	errno = ENOENT;
	return NULL;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
	return 1;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
	return true;
}

static void take_nodes(struct input *in)
{
	const uint8_t *line;
	char *text;

	for (nr_nodes = 0; nr_nodes < MAX_NODES; nr_nodes++) {
		line = in->at;
		text = input_line(in);
		if (!text)
			return;
		/* A value may hold a NUL; a name ends there. */
		nodes[nr_nodes].name = text;
		nodes[nr_nodes].value = memchr(text, '=', (size_t)(in->at - line));
		nodes[nr_nodes].len = 0;
		if (nodes[nr_nodes].value) {
			*nodes[nr_nodes].value++ = '\0';
			nodes[nr_nodes].len = strlen(nodes[nr_nodes].value);
		} else {
			nodes[nr_nodes].value = text + strlen(text);
		}
	}
}

static void check_transport(struct store *s, uint32_t max_queues)
{
	static struct transport t;
	struct error e = { "" };
	int err;

	memset(&t, 0x5a, sizeof(t));
	err = transport_read(s, "/f", max_queues, &t, &e);
	if (err) {
		must(err == -EPROTO && e.text[0]);
		return;
	}
	must(t.abi == &abi_x86_64 || t.abi == &abi_x86_32);
	must(t.nr_queues && t.nr_queues <= max_queues);
	must(t.nr_ring_pages && t.nr_ring_pages <= TRANSPORT_MAX_RING_PAGES);
	must(!(t.nr_ring_pages & (t.nr_ring_pages - 1)));
}

/* What is read again and again, and written beside it. */
static void check_view(struct store *s, struct vbd_config *config)
{
	static struct vbd v;
	struct bdev bdev = { .info = { .size_bytes = 1 << 20, .physical_block_bytes = 4096 } };
	struct vbd_host host = { .store = s, .max_queues = 4 };
	struct vbd_view view;

	memset(&v, 0, sizeof(v));
	v.host = &host;
	v.config = *config;
	v.bdev = &bdev;
	strcpy(v.path, BACK);
	strcpy(v.error_path, "/e/1");
	vbd_view_read(&v, &view);
	must(view.removed ||
	     (view.frontend >= EVENT_FRONTEND_GONE && view.frontend <= EVENT_FRONTEND_OTHER));
	error_set(&v.error, EPROTO, "the frontend's protocol is \"%.32s\"", config->uri);
	vbd_report(&v);
	vbd_publish(&v);
	vbd_write_state(&v, 4);
	vbd_unreport(&v);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	log_set_level(0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct store s = { .root = (char *)"/e" };
	struct vbd_config config;
	uint32_t max_queues = input_u8(&in) % TRANSPORT_MAX_QUEUES + 1;

	take_nodes(&in);
	check_transport(&s, max_queues);
	if (!vbd_config_read(&s, BACK, &config)) {
		check_view(&s, &config);
		vbd_config_free(&config);
	}
	while (nr_nodes)
		free(nodes[--nr_nodes].name);
	return 0;
}
