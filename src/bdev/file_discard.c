/* SPDX-License-Identifier: BSD-2-Clause */
#include "file_discard.h"

#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct discarder {
	int fd;
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t wake;
	struct list channels; /* with something to do */
	bool stop;
};

/* @name: below the device's directory in sysfs. Return: its number, or 0 if there is none. */
static uint64_t sysfs_number(dev_t dev, const char *name)
{
	unsigned long long value = 0;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(dev), minor(dev), name);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%llu", &value) != 1)
		value = 0;
	fclose(f);
	return value;
}

/* A partition has the queue of the disk that it is on. */
static uint64_t queue_number(dev_t dev, const char *name)
{
	char path[64];
	uint64_t value;

	snprintf(path, sizeof(path), "queue/%s", name);
	value = sysfs_number(dev, path);
	if (value)
		return value;
	snprintf(path, sizeof(path), "../queue/%s", name);
	return sysfs_number(dev, path);
}

/*
 * The kernel tells nobody, but what it answers to a range that cannot be: first of all whether there is
 * such a thing. (Before Linux 5.19 the range comes first, and each request is then told the truth.)
 */
static bool can_erase(int fd)
{
	uint64_t range[2] = { 1, 1 };

	return ioctl(fd, BLKSECDISCARD, range) && errno == EINVAL;
}

void discard_describe(int fd, struct bdev_info *info)
{
	uint64_t granularity, offset;
	struct stat st;

	if (info->read_only || fstat(fd, &st) || !queue_number(st.st_rdev, "discard_max_bytes"))
		return;
	granularity = queue_number(st.st_rdev, "discard_granularity");
	offset = sysfs_number(st.st_rdev, "discard_alignment");
	/* They are hints: what makes no sense is not worth a failure. */
	if (granularity < info->logical_block_bytes || granularity > UINT32_MAX / 2)
		granularity = info->logical_block_bytes;
	info->discard_bytes = (uint32_t)granularity;
	info->discard_offset_bytes = offset < granularity ? (uint32_t)offset : 0;
	info->discard_secure = can_erase(fd);
}

/* The next to do, of each channel in turn; @d->lock is held. Return: NULL if there is none. */
static struct bdev_io *next_io(struct discarder *d, struct discard_channel **ch)
{
	struct list_node *n = list_pop(&d->channels);
	struct bdev_io *io;

	if (!n)
		return NULL;
	*ch = list_entry(n, struct discard_channel, link);
	io = list_entry(list_pop(&(*ch)->todo), struct bdev_io, link);
	if (!list_empty(&(*ch)->todo))
		list_add_tail(&d->channels, n);
	return io;
}

static void discard_one(struct discarder *d, struct discard_channel *ch, struct bdev_io *io)
{
	uint64_t range[2] = { io->offset_bytes, io->len_bytes };

	pthread_mutex_unlock(&d->lock);
	io->progress_bytes =
		ioctl(d->fd, io->secure ? BLKSECDISCARD : BLKDISCARD, range) ? (uint64_t)errno : 0;
	pthread_mutex_lock(&d->lock);
	list_add_tail(&ch->ended, &io->link);
	/* Under the lock: the channel may go when its last one has been taken out of the list. */
	eventfd_write(ch->event_fd, 1);
}

static void *discarder_main(void *arg)
{
	struct discarder *d = arg;
	struct discard_channel *ch;
	struct bdev_io *io;

	pthread_mutex_lock(&d->lock);
	while (!d->stop) {
		io = next_io(d, &ch);
		if (io)
			discard_one(d, ch, io);
		else
			pthread_cond_wait(&d->wake, &d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

int discarder_create(int fd, struct discarder **out)
{
	struct discarder *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->fd = fd;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->wake, NULL);
	list_init(&d->channels);
	err = pthread_create(&d->thread, NULL, discarder_main, d);
	if (err) {
		pthread_cond_destroy(&d->wake);
		pthread_mutex_destroy(&d->lock);
		free(d);
		return -err;
	}
	pthread_setname_np(d->thread, "file-discard");
	*out = d;
	return 0;
}

void discarder_destroy(struct discarder *d)
{
	pthread_mutex_lock(&d->lock);
	d->stop = true;
	pthread_cond_signal(&d->wake);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
	pthread_cond_destroy(&d->wake);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

int discard_channel_init(struct discard_channel *ch, struct discarder *d)
{
	*ch = (struct discard_channel){ .discarder = d, .event_fd = -1 };
	list_node_init(&ch->link);
	list_init(&ch->todo);
	list_init(&ch->ended);
	if (!d)
		return 0;
	/* Each read takes one. Without EFD_NONBLOCK, on which io_uring would not wait. */
	ch->event_fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	return ch->event_fd < 0 ? -errno : 0;
}

void discard_channel_fini(struct discard_channel *ch)
{
	if (ch->discarder)
		close(ch->event_fd);
}

void discard_start(struct discard_channel *ch, struct bdev_io *io)
{
	struct discarder *d = ch->discarder;

	pthread_mutex_lock(&d->lock);
	list_add_tail(&ch->todo, &io->link);
	if (!list_linked(&ch->link))
		list_add_tail(&d->channels, &ch->link);
	pthread_cond_signal(&d->wake);
	pthread_mutex_unlock(&d->lock);
}

int discard_ended(struct discard_channel *ch, struct bdev_io **out)
{
	struct discarder *d = ch->discarder;

	pthread_mutex_lock(&d->lock);
	*out = list_entry(list_pop(&ch->ended), struct bdev_io, link);
	pthread_mutex_unlock(&d->lock);
	return -(int)(*out)->progress_bytes;
}
