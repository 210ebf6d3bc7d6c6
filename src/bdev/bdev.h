/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bdev - the contract of a block device: what stores a disk's bytes.
 *
 * A bdev is opened by a URI ("file:/srv/vm.img", "null:64G"), once for each disk. Each reactor that
 * does I/O on it has a channel of its own, so that the datapath shares nothing: requests go in by
 * submit() and come back by poll(), which calls their done(). Nothing on a channel blocks.
 *
 * An implementation embeds struct bdev and struct bdev_channel and finds itself by container_of;
 * null.c is the smallest and the one to copy first.
 */
#ifndef XENBLKD_BDEV_H
#define XENBLKD_BDEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "controller.h"
#include "error.h"
#include "list.h"

enum bdev_op {
	BDEV_READ,
	BDEV_WRITE,
	BDEV_FLUSH, /* what was completed before this was submitted is on stable storage */
	BDEV_DISCARD, /* what is in the range is not needed any more: see struct bdev_info */
};

/**
 * struct bdev_io - one request to a bdev
 *
 * Filled by whoever submits it, who also keeps the memory: io and iov from submit() to done(), and
 * the buffers as well. Buffers are multiples of 512 bytes, aligned to 512.
 */
struct bdev_io {
	enum bdev_op op;
	bool fua; /* of a write: is on stable storage itself when it is done */
	bool secure; /* of a discard: nothing can get back what was there, nor a copy of it */
	uint64_t offset_bytes; /* multiple of 512; 0 for a flush */
	uint64_t len_bytes; /* sum of iov, or the range of a discard; within the device */
	struct iovec *iov; /* the bdev may change the entries while it holds the io */
	uint32_t nr_iov;

	/*
	 * Called once, from poll(), and may submit again.
	 * @status: 0, or -errno: -EIO, -ENOSPC, -EOPNOTSUPP, -ENODEV ...
	 */
	void (*done)(struct bdev_io *io, int status);

	/* The bdev's own between submit() and done(). */
	struct list_node link;
	uint64_t progress_bytes;
};

/* What a device is and can do; constant while it is open, but for its size. */
struct bdev_info {
	uint64_t size_bytes; /* multiple of 512; the control thread's: bdev_resize() changes it */
	/*
	 * The least that the device itself reads or writes; a power of two. Where it is more than
	 * 512, requests of less are merged with what is there (rmw.h), in memory that the CPU can
	 * touch: only what consists of whole blocks, place and pieces, may have pointers into the
	 * bus window. A driver, on its part, is given whole blocks alone.
	 */
	uint32_t logical_block_bytes;
	uint32_t physical_block_bytes; /* what it prefers; a power of two, at least logical */
	bool read_only; /* writes must not be submitted */
	bool dma; /* takes memory by its bus address, so pointers into the bus window as well */
	bool flush; /* BDEV_FLUSH is needed for what was written to be durable, and works */

	/*
	 * BDEV_DISCARD works in units of so many bytes; 0: not at all. What is not a whole unit may
	 * stay as it is. What was discarded reads as anything, and the same each time or not, until
	 * it is written; as zeroes where that is said, whole units at least.
	 */
	uint32_t discard_bytes;
	uint32_t discard_offset_bytes; /* where the first unit begins */
	bool discard_zeroes;
	bool discard_secure; /* it can be asked to be secure; then that too fails rather than to seem so */
};

struct bdev {
	const struct bdev_ops *ops;
	struct bdev_info info;
};

struct bdev_channel {
	struct bdev *bdev;
};

struct dmem;

struct bdev_open_args {
	bool read_only; /* open so that it cannot be written */
	struct dmem *dmem; /* memory for devices, outlives the bdev; NULL: none */
	const char *state_dir; /* for what has to outlive the process */
};

struct bdev_ops {
	const char *scheme; /* of the URI, without the colon */

	/**
	 * open - opens the device (required)
	 *
	 * @rest: the URI after "scheme:"
	 * @out:  on success a bdev with info filled in; ops are set by bdev_open()
	 * @e:    on failure a sentence that says what was found and what was expected
	 *
	 * Thread: control; may block.
	 * Return: 0, or -errno with nothing left open.
	 */
	int (*open)(const char *rest, const struct bdev_open_args *args, struct bdev **out,
		    struct error *e);

	/**
	 * close - gives the device back; all channels are destroyed (required)
	 *
	 * Thread: control; may block.
	 */
	void (*close)(struct bdev *bdev);

	/**
	 * channel_create - prepares for I/O from the calling reactor (required)
	 *
	 * @depth: requests that will be in flight at most
	 *
	 * Thread: the channel's reactor.
	 * Return: 0, or -errno with nothing left allocated.
	 */
	int (*channel_create)(struct bdev *bdev, uint32_t depth, struct bdev_channel **out);

	/**
	 * channel_destroy - ends it; nothing is in flight (required)
	 *
	 * Thread: the channel's reactor.
	 */
	void (*channel_destroy)(struct bdev_channel *ch);

	/**
	 * submit - starts one request (required)
	 *
	 * Borrows @io and what it points to until done(), which is called exactly once, from
	 * poll() on this channel and never from submit(). May hold the request back until the next
	 * poll(), so that one system call or doorbell serves many.
	 *
	 * Thread: the channel's reactor; must not block or allocate.
	 * Return: 0 if accepted; -EAGAIN if full (nothing taken, retry after poll()). All other
	 * failures arrive through done().
	 */
	int (*submit)(struct bdev_channel *ch, struct bdev_io *io);

	/**
	 * poll - starts what was held back and completes what is ready (required)
	 *
	 * Thread: the channel's reactor; must not block or allocate.
	 * Return: requests completed; or 1 if none was, but something is still held back. After
	 * a 0 nothing happens until fd() is readable or somebody submits, so that the caller may
	 * sleep after a 0, and only then.
	 */
	uint32_t (*poll)(struct bdev_channel *ch);

	/**
	 * fd - what becomes readable when poll() has something to complete (optional)
	 *
	 * A bdev without it is polled for as long as it has requests: its reactor does not sleep.
	 *
	 * Thread: the channel's reactor.
	 * Return: a file descriptor that stays the channel's.
	 */
	int (*fd)(struct bdev_channel *ch);

	/**
	 * resize - see bdev_resize() (optional: without it the size is what it is)
	 *
	 * Writes info.size_bytes, if this succeeds.
	 */
	int (*resize)(struct bdev *bdev, struct error *e);

	/**
	 * stop_leftovers - see bdev_stop_leftovers() (optional)
	 *
	 * Thread: control; may block. Return: as bdev_stop_leftovers().
	 */
	int (*stop_leftovers)(struct error *e);

	/* see_controllers - see controllers_see() (optional) */
	void (*see_controllers)(void (*see)(void *arg, const struct controller *c), void *arg);
};

/**
 * bdev_open - opens the device that @uri names
 *
 * An absolute path without a scheme means "file:" and that path.
 *
 * Thread: control; may block.
 * Return: 0 and *@out, or -errno and *@e; -EINVAL for a URI that is none of ours, with the list of
 * those that are.
 */
int bdev_open(const char *uri, const struct bdev_open_args *args, struct bdev **out,
	      struct error *e);

/* bdev_close - the reverse; the channels are destroyed before. Thread: control; may block. */
void bdev_close(struct bdev *bdev);

/**
 * bdev_resize - looks how large the device is by now: info.size_bytes says it then
 *
 * What is in flight beyond the end of one that has become smaller fails, or makes a file larger
 * again, as the device has it.
 *
 * Thread: control; may block.
 * Return: 0; or -errno and *@e: -EOPNOTSUPP where it cannot be told while the device is open.
 */
int bdev_resize(struct bdev *bdev, struct error *e);

/**
 * bdev_stop_leftovers - stops devices that a process drove by itself which was killed
 *
 * After that they write to no memory any more, and what they were told of can be unmapped.
 *
 * Thread: control, before anything is opened; may block.
 * Return: 0, or -errno and *@e: one may still be running.
 */
int bdev_stop_leftovers(struct error *e);

static inline int bdev_submit(struct bdev_channel *ch, struct bdev_io *io)
{
	return ch->bdev->ops->submit(ch, io);
}

static inline uint32_t bdev_poll(struct bdev_channel *ch)
{
	return ch->bdev->ops->poll(ch);
}

#endif
