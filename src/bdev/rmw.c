/* SPDX-License-Identifier: BSD-2-Clause */
#include "rmw.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dmem.h"

/* Memory for merging, of each channel; with none of it left requests wait. */
#define CHANNEL_PAGES 8u

/* As much of it as one request has at once; what is longer goes through it in pieces. */
#define PART_PAGES 4u

struct rmw {
	struct bdev bdev;
	struct bdev *lower;
	struct dmem *dmem;

	pthread_mutex_t lock; /* channels of other threads write to the same blocks; all below */
	struct list writes; /* parts that are running and write */
	uint32_t nr_merges; /* of them */
};

/* What the lower one is at. */
enum step {
	STEP_PASS, /* all of it */
	STEP_NONE, /* nothing: there is nothing to do */
	STEP_READ,
	STEP_READ_FIRST, /* for a write: the block that it begins in */
	STEP_READ_LAST, /* and the one that it ends in */
	STEP_WRITE,
};

/* A request on its way; a channel has as many as its depth. */
struct part {
	struct bdev_io io; /* the lower one's */
	struct bdev_io *upper;
	struct rmw_channel *ch;
	struct list_node link; /* free or waiting */
	struct list_node in_writes; /* the lock's */
	bool writes; /* is in there */
	uint64_t first_byte, end_byte; /* the blocks it touches */
	bool merges; /* writes less than whole blocks */
	enum step step;

	/* If it goes by memory of ours. */
	void *pages[PART_PAGES];
	uint32_t nr_pages;
	struct iovec iov[PART_PAGES];
	uint64_t from_byte, to_byte; /* what of it is there this time; on the disk */
	const struct iovec *at; /* of the upper request: where that begins, */
	size_t at_bytes; /* this far in */
};

struct rmw_channel {
	struct bdev_channel ch;
	struct bdev_channel *lower;
	struct list free, waiting; /* parts; the waiting ones start in their order */
	uint32_t nr_waiting;
	uint32_t nr_done; /* in this poll */
	void *pages[CHANNEL_PAGES]; /* a stack of those that are free */
	uint32_t nr_pages;
	void *memory; /* they are pieces of that, if not of dmem */
	struct part parts[];
};

static struct rmw *rmw_of(const struct part *p)
{
	return container_of(p->ch->ch.bdev, struct rmw, bdev);
}

static uint64_t block_mask(const struct part *p)
{
	return p->ch->ch.bdev->info.logical_block_bytes - 1;
}

static uint64_t block_first(const struct part *p, uint64_t byte)
{
	return byte & ~block_mask(p);
}

static uint64_t block_end(const struct part *p, uint64_t byte)
{
	return (byte + block_mask(p)) & ~block_mask(p);
}

/* The same is asked where it is chosen how data gets here: see vbd/queue.c. */
static bool is_whole_blocks(const struct part *p)
{
	const struct bdev_io *io = p->upper;
	uint64_t bits = io->offset_bytes;

	for (uint32_t i = 0; i < io->nr_iov; i++)
		bits |= (uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len;
	return !(bits & block_mask(p));
}

static bool is_write(const struct part *p)
{
	return p->upper->op == BDEV_WRITE || p->upper->op == BDEV_DISCARD;
}

/* ----- who may write */

static bool in_its_way(const struct part *p, const struct part *other)
{
	return (p->merges || other->merges) && p->first_byte < other->end_byte &&
	       other->first_byte < p->end_byte;
}

/* write_begin - Return: false if it has to wait for another. */
static bool write_begin(struct part *p)
{
	struct rmw *rmw = rmw_of(p);
	const struct part *other;
	bool free = true;

	pthread_mutex_lock(&rmw->lock);
	if (p->merges || rmw->nr_merges) {
		list_for_each (other, &rmw->writes, in_writes) {
			if (in_its_way(p, other)) {
				free = false;
				break;
			}
		}
	}
	if (free) {
		list_add_tail(&rmw->writes, &p->in_writes);
		rmw->nr_merges += p->merges;
	}
	pthread_mutex_unlock(&rmw->lock);
	p->writes = free;
	return free;
}

static void write_end(struct part *p)
{
	struct rmw *rmw = rmw_of(p);

	pthread_mutex_lock(&rmw->lock);
	list_del(&p->in_writes);
	rmw->nr_merges -= p->merges;
	pthread_mutex_unlock(&rmw->lock);
	p->writes = false;
}

/* ----- the life of a request */

static void part_end(struct part *p, int status)
{
	struct rmw_channel *ch = p->ch;
	struct bdev_io *upper = p->upper;

	if (p->writes)
		write_end(p);
	while (p->nr_pages)
		ch->pages[ch->nr_pages++] = p->pages[--p->nr_pages];
	list_add_head(&ch->free, &p->link);
	ch->nr_done++;
	upper->done(upper, status);
}

/* The lower one has room: it has as much depth as there are parts. */
static void part_submit(struct part *p)
{
	int err = bdev_submit(p->ch->lower, &p->io);

	assert(!err);
	(void)err;
}

/* Has @op done to these whole blocks, which are in our memory from where p->from_byte's begins. */
static void piece_submit(struct part *p, enum bdev_op op, uint64_t first_byte, uint64_t end_byte)
{
	size_t at = first_byte - block_first(p, p->from_byte);

	p->io.op = op;
	p->io.fua = op == BDEV_WRITE && p->upper->fua;
	p->io.offset_bytes = first_byte;
	p->io.len_bytes = end_byte - first_byte;
	p->io.iov = p->iov;
	p->io.nr_iov = 0;
	for (size_t left = p->io.len_bytes; left;) {
		size_t n = DMEM_PAGE_BYTES - at % DMEM_PAGE_BYTES;

		if (n > left)
			n = left;
		p->iov[p->io.nr_iov++] = (struct iovec){
			.iov_base =
				(uint8_t *)p->pages[at / DMEM_PAGE_BYTES] + at % DMEM_PAGE_BYTES,
			.iov_len = n,
		};
		at += n;
		left -= n;
	}
	part_submit(p);
}

/* Between our memory and the request's, which it moves on in. */
static void piece_copy(struct part *p, bool in)
{
	size_t at = p->from_byte - block_first(p, p->from_byte);

	for (size_t left = p->to_byte - p->from_byte; left;) {
		uint8_t *ours = (uint8_t *)p->pages[at / DMEM_PAGE_BYTES] + at % DMEM_PAGE_BYTES;
		uint8_t *theirs = (uint8_t *)p->at->iov_base + p->at_bytes;
		size_t n = DMEM_PAGE_BYTES - at % DMEM_PAGE_BYTES;

		if (p->at_bytes == p->at->iov_len) {
			p->at++;
			p->at_bytes = 0;
			continue;
		}
		if (n > left)
			n = left;
		if (n > p->at->iov_len - p->at_bytes)
			n = p->at->iov_len - p->at_bytes;
		if (in)
			memcpy(ours, theirs, n);
		else
			memcpy(theirs, ours, n);
		p->at_bytes += n;
		at += n;
		left -= n;
	}
}

static bool first_is_partial(const struct part *p)
{
	return p->from_byte & block_mask(p);
}

static bool last_is_partial(const struct part *p)
{
	return p->to_byte & block_mask(p);
}

static bool is_one_block(const struct part *p)
{
	return block_end(p, p->to_byte) - block_first(p, p->from_byte) == block_mask(p) + 1;
}

/* A write has what it fills in part read before it merges; @step is the first to be tried. */
static void write_step(struct part *p, enum step step)
{
	uint64_t block_bytes = block_mask(p) + 1;
	uint64_t first = block_first(p, p->from_byte), end = block_end(p, p->to_byte);

	if (step == STEP_READ_FIRST && !first_is_partial(p))
		step = STEP_READ_LAST;
	if (step == STEP_READ_LAST &&
	    (!last_is_partial(p) || (is_one_block(p) && first_is_partial(p))))
		step = STEP_WRITE;
	p->step = step;
	if (step == STEP_READ_FIRST) {
		piece_submit(p, BDEV_READ, first, first + block_bytes);
	} else if (step == STEP_READ_LAST) {
		piece_submit(p, BDEV_READ, end - block_bytes, end);
	} else {
		piece_copy(p, true);
		piece_submit(p, BDEV_WRITE, first, end);
	}
}

/* The next piece of the request, as much as there is memory for. Return: false if it was the last. */
static bool next_piece(struct part *p)
{
	uint64_t end_byte = p->upper->offset_bytes + p->upper->len_bytes;

	if (p->to_byte == end_byte)
		return false;
	p->from_byte = p->to_byte;
	p->to_byte = block_first(p, p->from_byte) + p->nr_pages * (uint64_t)DMEM_PAGE_BYTES;
	if (p->to_byte > end_byte)
		p->to_byte = end_byte;
	if (p->upper->op == BDEV_READ) {
		p->step = STEP_READ;
		piece_submit(p, BDEV_READ, block_first(p, p->from_byte), block_end(p, p->to_byte));
	} else {
		write_step(p, STEP_READ_FIRST);
	}
	return true;
}

static void part_done(struct bdev_io *io, int status)
{
	struct part *p = container_of(io, struct part, io);

	if (status || p->step == STEP_PASS) {
		part_end(p, status);
		return;
	}
	if (p->step == STEP_READ_FIRST) {
		write_step(p, STEP_READ_LAST);
		return;
	}
	if (p->step == STEP_READ_LAST) {
		write_step(p, STEP_WRITE);
		return;
	}
	if (p->step == STEP_READ)
		piece_copy(p, false);
	if (!next_piece(p))
		part_end(p, 0);
}

/* As many pages as it can use and there are. */
static void take_pages(struct part *p)
{
	struct rmw_channel *ch = p->ch;
	uint64_t bytes = p->end_byte - p->first_byte;

	while (ch->nr_pages && p->nr_pages < PART_PAGES &&
	       p->nr_pages * (uint64_t)DMEM_PAGE_BYTES < bytes)
		p->pages[p->nr_pages++] = ch->pages[--ch->nr_pages];
}

/* part_start - Return: false if it has to wait on. */
static bool part_start(struct part *p)
{
	bool wants_pages = p->step == STEP_READ || p->step == STEP_READ_FIRST;

	if (wants_pages && !p->ch->nr_pages)
		return false;
	if (is_write(p) && p->step != STEP_NONE && !write_begin(p))
		return false;
	list_del(&p->link);
	p->ch->nr_waiting--;
	if (p->step == STEP_NONE) {
		part_end(p, 0);
	} else if (p->step == STEP_PASS) {
		part_submit(p);
	} else {
		take_pages(p);
		next_piece(p);
	}
	return true;
}

/* Blocks of which only a part is discarded stay as they are. */
static void aim_discard(struct part *p)
{
	const struct bdev_io *upper = p->upper;
	uint64_t first = block_end(p, upper->offset_bytes);
	uint64_t end = block_first(p, upper->offset_bytes + upper->len_bytes);

	p->step = first < end ? STEP_PASS : STEP_NONE;
	p->io.offset_bytes = first;
	p->io.len_bytes = first < end ? end - first : 0;
}

static void aim(struct part *p)
{
	struct bdev_io *upper = p->upper;

	p->io.op = upper->op;
	p->io.fua = upper->fua;
	p->io.offset_bytes = upper->offset_bytes;
	p->io.len_bytes = upper->len_bytes;
	p->io.iov = upper->iov;
	p->io.nr_iov = upper->nr_iov;
	p->first_byte = block_first(p, upper->offset_bytes);
	p->end_byte = block_end(p, upper->offset_bytes + upper->len_bytes);
	p->merges = false;
	p->nr_pages = 0;
	p->step = STEP_PASS;
	if (upper->op == BDEV_DISCARD) {
		aim_discard(p);
	} else if (upper->op != BDEV_FLUSH && !is_whole_blocks(p)) {
		p->step = upper->op == BDEV_READ ? STEP_READ : STEP_READ_FIRST;
		p->merges = upper->op == BDEV_WRITE;
		p->to_byte = upper->offset_bytes;
		p->at = upper->iov;
		p->at_bytes = 0;
	}
}

static int rmw_submit(struct bdev_channel *bch, struct bdev_io *io)
{
	struct rmw_channel *ch = container_of(bch, struct rmw_channel, ch);
	struct list_node *n = list_pop(&ch->free);
	struct part *p;

	if (!n)
		return -EAGAIN;
	p = list_entry(n, struct part, link);
	p->upper = io;
	aim(p);
	/* Not behind writes that may have to wait. */
	if (p->step == STEP_PASS && !is_write(p)) {
		part_submit(p);
		return 0;
	}
	list_add_tail(&ch->waiting, &p->link);
	ch->nr_waiting++;
	return 0;
}

static uint32_t rmw_poll(struct bdev_channel *bch)
{
	struct rmw_channel *ch = container_of(bch, struct rmw_channel, ch);
	uint32_t nr_lower;

	ch->nr_done = 0;
	/* No more than wait now: what done() submits waits for the next poll, so that this one ends. */
	for (uint32_t n = ch->nr_waiting; n; n--) {
		if (!part_start(list_entry(ch->waiting.head.next, struct part, link)))
			break;
	}
	nr_lower = bdev_poll(ch->lower);
	if (ch->nr_done)
		return ch->nr_done;
	/* What waits may wait for another channel, whose end of it does not wake this one. */
	return nr_lower || ch->nr_waiting;
}

static int rmw_fd(struct bdev_channel *bch)
{
	struct rmw_channel *ch = container_of(bch, struct rmw_channel, ch);

	return ch->lower->bdev->ops->fd(ch->lower);
}

/* ----- life */

static void pages_free(struct rmw_channel *ch)
{
	struct rmw *rmw = container_of(ch->ch.bdev, struct rmw, bdev);

	if (rmw->dmem)
		dmem_free(rmw->dmem, ch->nr_pages, ch->pages);
	free(ch->memory);
}

static int pages_alloc(struct rmw_channel *ch)
{
	struct rmw *rmw = container_of(ch->ch.bdev, struct rmw, bdev);

	/* Memory for DMA is scarce: with less of it merging is slower, and not impossible. */
	for (uint32_t n = CHANNEL_PAGES; rmw->dmem && n; n /= 2) {
		if (!dmem_alloc(rmw->dmem, n, ch->pages)) {
			ch->nr_pages = n;
			return 0;
		}
	}
	if (rmw->dmem)
		return -ENOMEM;
	ch->memory = aligned_alloc(DMEM_PAGE_BYTES, CHANNEL_PAGES * DMEM_PAGE_BYTES);
	if (!ch->memory)
		return -ENOMEM;
	for (; ch->nr_pages < CHANNEL_PAGES; ch->nr_pages++)
		ch->pages[ch->nr_pages] =
			(uint8_t *)ch->memory + ch->nr_pages * (size_t)DMEM_PAGE_BYTES;
	return 0;
}

static int rmw_channel_create(struct bdev *bdev, uint32_t depth, struct bdev_channel **out)
{
	struct bdev *lower = container_of(bdev, struct rmw, bdev)->lower;
	struct rmw_channel *ch = calloc(1, sizeof(*ch) + depth * sizeof(ch->parts[0]));
	int err;

	if (!ch)
		return -ENOMEM;
	ch->ch.bdev = bdev;
	list_init(&ch->free);
	list_init(&ch->waiting);
	for (uint32_t i = 0; i < depth; i++) {
		struct part *p = &ch->parts[i];

		p->ch = ch;
		p->io.done = part_done;
		list_add_tail(&ch->free, &p->link);
	}
	err = pages_alloc(ch);
	if (err)
		goto free;
	err = lower->ops->channel_create(lower, depth, &ch->lower);
	if (err)
		goto free_pages;
	*out = &ch->ch;
	return 0;
free_pages:
	pages_free(ch);
free:
	free(ch);
	return err;
}

static void rmw_channel_destroy(struct bdev_channel *bch)
{
	struct rmw_channel *ch = container_of(bch, struct rmw_channel, ch);

	ch->lower->bdev->ops->channel_destroy(ch->lower);
	pages_free(ch);
	free(ch);
}

static void rmw_close(struct bdev *bdev)
{
	struct rmw *rmw = container_of(bdev, struct rmw, bdev);

	bdev_close(rmw->lower);
	pthread_mutex_destroy(&rmw->lock);
	free(rmw);
}

static int rmw_resize(struct bdev *bdev, struct error *e)
{
	struct rmw *rmw = container_of(bdev, struct rmw, bdev);
	int err = bdev_resize(rmw->lower, e);

	if (!err)
		bdev->info.size_bytes = rmw->lower->info.size_bytes;
	return err;
}

#define RMW_OPS                                                                         \
	.close = rmw_close, .channel_create = rmw_channel_create,                       \
	.channel_destroy = rmw_channel_destroy, .submit = rmw_submit, .poll = rmw_poll, \
	.resize = rmw_resize

/* A lower one without a descriptor is polled, and so is one over it. */
static const struct bdev_ops polled_ops = { RMW_OPS };
static const struct bdev_ops waking_ops = { RMW_OPS, .fd = rmw_fd };

int rmw_open(struct bdev *lower, struct dmem *dmem, struct bdev **out, struct error *e)
{
	struct rmw *rmw;
	int err;

	if (lower->info.logical_block_bytes > RMW_MAX_BLOCK_BYTES) {
		err = error_set(e, EOPNOTSUPP,
				"the device has blocks of %u bytes; expected %u at most",
				lower->info.logical_block_bytes, RMW_MAX_BLOCK_BYTES);
		goto close;
	}
	rmw = calloc(1, sizeof(*rmw));
	if (!rmw) {
		err = error_set(e, ENOMEM, "no memory to make blocks smaller");
		goto close;
	}
	rmw->bdev.ops = lower->ops->fd ? &waking_ops : &polled_ops;
	rmw->bdev.info = lower->info;
	/* Blocks of which only a part is discarded stay as they are. */
	rmw->bdev.info.discard_secure = false;
	rmw->lower = lower;
	/* Where the CPU moves the data, any memory will do. */
	rmw->dmem = lower->info.dma ? dmem : NULL;
	pthread_mutex_init(&rmw->lock, NULL);
	list_init(&rmw->writes);
	*out = &rmw->bdev;
	return 0;
close:
	bdev_close(lower);
	return err;
}
