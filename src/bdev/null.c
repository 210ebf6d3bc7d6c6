/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * null - a bdev that stores nothing: "null:SIZE" reads as zeroes, and forgets what is written.
 *
 * It shows what the rest of the datapath costs, and what a bdev looks like: copy it first. With
 * "null:SIZE,dma" it takes guests' pages by bus address, as a device would, and leaves them as they
 * are: what direct transfers cost is seen by that. With "null:SIZE,secure" it has secure discards: it
 * keeps no copies. "null:empty" is a tray with nothing in it: of no size.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bdev.h"
#include "dmem.h"
#include "kinds.h"

#define DMA    ",dma"
#define SECURE ",secure"
#define EMPTY  "empty"

struct null {
	struct bdev bdev;
	const struct dmem *dmem; /* whose window is known; NULL: no pointers into it come */
};

struct null_channel {
	struct bdev_channel ch;
	struct list pending;
	uint32_t nr_pending;
	uint32_t depth;
};

static int suffix_shift(char suffix)
{
	switch (suffix) {
	case 'K':
		return 10;
	case 'M':
		return 20;
	case 'G':
		return 30;
	case 'T':
		return 40;
	default:
		return 0;
	}
}

struct options {
	uint64_t size_bytes;
	bool dma, secure;
};

static int options_parse(const char *text, struct options *out, struct error *e)
{
	const char *p = text;
	const char *rest;
	uint64_t n = 0;
	int shift;

	if (!strcmp(text, EMPTY)) {
		*out = (struct options){ 0 };
		return 0;
	}
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return error_set(e, ERANGE, "null:%s is larger than 64 bits hold", text);
	}
	shift = suffix_shift(*p);
	rest = shift ? p + 1 : p;
	out->dma = !strcmp(rest, DMA);
	out->secure = !strcmp(rest, SECURE);
	if (p == text || (*rest && !out->dma && !out->secure))
		return error_set(e, EINVAL,
				 "null:%s is not a size; expected digits and at most one of "
				 "K, M, G, T, as in null:64G, and no more than \"" DMA
				 "\" or \"" SECURE "\" behind it",
				 text);
	if (__builtin_mul_overflow(n, (uint64_t)1 << shift, &n))
		return error_set(e, ERANGE, "null:%s is larger than 64 bits hold", text);
	if (!n || n % 512)
		return error_set(e, EINVAL,
				 "null:%s is %llu bytes; expected a multiple of 512, and not 0",
				 text, (unsigned long long)n);
	out->size_bytes = n;
	return 0;
}

static int null_open(const char *rest, const struct bdev_open_args *args, struct bdev **out,
		     struct error *e)
{
	struct null *null;
	struct options o = { 0 };
	int err;

	err = options_parse(rest, &o, e);
	if (err)
		return err;
	null = calloc(1, sizeof(*null));
	if (!null)
		return error_set(e, ENOMEM, "null:%s found no memory", rest);
	null->dmem = args->dmem;
	null->bdev.info = (struct bdev_info){
		.size_bytes = o.size_bytes,
		.logical_block_bytes = 512,
		.physical_block_bytes = 4096,
		.read_only = args->read_only,
		.dma = o.dma && args->dmem && dmem_has_window(args->dmem),
		.flush = true,
		.discard_bytes = args->read_only ? 0 : 512,
		.discard_zeroes = true,
		.discard_secure = o.secure && !args->read_only,
	};
	*out = &null->bdev;
	return 0;
}

static void null_close(struct bdev *bdev)
{
	free(container_of(bdev, struct null, bdev));
}

static int null_channel_create(struct bdev *bdev, uint32_t depth, struct bdev_channel **out)
{
	struct null_channel *ch = calloc(1, sizeof(*ch));

	if (!ch)
		return -ENOMEM;
	ch->ch.bdev = bdev;
	ch->depth = depth;
	list_init(&ch->pending);
	*out = &ch->ch;
	return 0;
}

static void null_channel_destroy(struct bdev_channel *bch)
{
	free(container_of(bch, struct null_channel, ch));
}

static int null_submit(struct bdev_channel *bch, struct bdev_io *io)
{
	struct null_channel *ch = container_of(bch, struct null_channel, ch);

	if (ch->nr_pending == ch->depth)
		return -EAGAIN;
	list_add_tail(&ch->pending, &io->link);
	ch->nr_pending++;
	return 0;
}

/*
 * What our memory held before belongs to somebody else: every byte of a read is written. What is
 * behind the window is the guest's own.
 */
static void read_zeroes(const struct null *null, struct bdev_io *io)
{
	for (uint32_t i = 0; i < io->nr_iov; i++) {
		if (!null->bdev.info.dma || !dmem_in_window(null->dmem, io->iov[i].iov_base))
			memset(io->iov[i].iov_base, 0, io->iov[i].iov_len);
	}
}

/* Requests that done() submits wait for the next poll(), so that each poll() ends. */
static uint32_t null_poll(struct bdev_channel *bch)
{
	struct null_channel *ch = container_of(bch, struct null_channel, ch);
	const struct null *null = container_of(bch->bdev, struct null, bdev);
	uint32_t n = ch->nr_pending;

	for (uint32_t i = 0; i < n; i++) {
		struct bdev_io *io = list_entry(list_pop(&ch->pending), struct bdev_io, link);

		ch->nr_pending--;
		if (io->op == BDEV_READ)
			read_zeroes(null, io);
		io->done(io, 0);
	}
	return n;
}

const struct bdev_ops null_ops = {
	.scheme = "null",
	.open = null_open,
	.close = null_close,
	.channel_create = null_channel_create,
	.channel_destroy = null_channel_destroy,
	.submit = null_submit,
	.poll = null_poll,
};
