/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_bdev - what the tests of all bdevs share: a device with one channel, and a request that
 * remembers how it ended. For *_test.c files alone.
 */
#ifndef XENBLKD_TEST_BDEV_H
#define XENBLKD_TEST_BDEV_H

#include <poll.h>
#include <string.h>

#include "bdev.h"
#include "tap.h"

#define TEST_TIMEOUT_MS 20000
#define TEST_NR_IOV	8

struct rig {
	struct bdev *bdev;
	struct bdev_channel *ch;
};

struct request {
	struct bdev_io io;
	struct iovec iov[TEST_NR_IOV];
	int status;
	uint32_t nr_done;
};

static inline int open_uri(const char *uri, bool read_only, struct bdev **out, struct error *e)
{
	struct bdev_open_args args = { .read_only = read_only };

	return bdev_open(uri, &args, out, e);
}

/* rig_open - Return: true if @uri opened; else the test prints why it did not. */
static inline bool rig_open(struct rig *rig, const char *uri, bool read_only, uint32_t depth)
{
	struct error e = { 0 };
	int err;

	err = open_uri(uri, read_only, &rig->bdev, &e);
	if (err) {
		printf("# %s\n", e.text);
		return false;
	}
	err = rig->bdev->ops->channel_create(rig->bdev, depth, &rig->ch);
	if (err) {
		printf("# no channel: %s\n", strerror(-err));
		bdev_close(rig->bdev);
	}
	return !err;
}

static inline void rig_close(struct rig *rig)
{
	rig->bdev->ops->channel_destroy(rig->ch);
	bdev_close(rig->bdev);
}

/* open_fails - true if opening gives @err and a sentence that contains @words. */
static inline bool open_fails(const char *uri, bool read_only, int err, const char *words)
{
	struct bdev *bdev = NULL;
	struct error e = { 0 };
	int got = open_uri(uri, read_only, &bdev, &e);

	if (got == -err && !bdev && strstr(e.text, words))
		return true;
	printf("# \"%s\" gave %d \"%s\", expected %d \"... %s ...\"\n", uri, got, e.text, -err,
	       words);
	return false;
}

static inline void request_done(struct bdev_io *io, int status)
{
	struct request *r = container_of(io, struct request, io);

	r->status = status;
	r->nr_done++;
}

static inline void request_init(struct request *r, enum bdev_op op, uint64_t offset_bytes)
{
	*r = (struct request){ .io = { .op = op, .offset_bytes = offset_bytes } };
	r->io.iov = r->iov;
	r->io.done = request_done;
}

static inline void request_add(struct request *r, void *base, uint32_t len_bytes)
{
	r->iov[r->io.nr_iov++] = (struct iovec){ .iov_base = base, .iov_len = len_bytes };
	r->io.len_bytes += len_bytes;
}

static inline bool fd_readable(struct rig *rig, int timeout_ms)
{
	struct pollfd p = { .events = POLLIN };

	p.fd = rig->bdev->ops->fd(rig->ch);
	return poll(&p, 1, timeout_ms) == 1 && p.revents == POLLIN;
}

/* request_wait - sleeps as a reactor does: on the fd, after a poll() that returned 0. */
static inline bool request_wait(struct rig *rig, const struct request *r)
{
	while (!r->nr_done) {
		if (bdev_poll(rig->ch) || !rig->bdev->ops->fd)
			continue;
		if (!fd_readable(rig, TEST_TIMEOUT_MS))
			return false;
	}
	return true;
}

/* request_run - Return: the request's status, or 1 if it did not come to an end. */
static inline int request_run(struct rig *rig, struct request *r)
{
	int err = bdev_submit(rig->ch, &r->io);

	if (err)
		return err;
	return request_wait(rig, r) ? r->status : 1;
}

/* run - the same for one buffer. */
static inline int run(struct rig *rig, enum bdev_op op, uint64_t offset_bytes, void *base,
		      uint32_t len_bytes)
{
	struct request r;

	request_init(&r, op, offset_bytes);
	if (len_bytes)
		request_add(&r, base, len_bytes);
	return request_run(rig, &r);
}

static inline bool all_bytes_are(const void *base, int byte, size_t len_bytes)
{
	const unsigned char *p = base;

	return !len_bytes || (p[0] == byte && !memcmp(p, p + 1, len_bytes - 1));
}

#endif
