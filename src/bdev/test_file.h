/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_file - files to open as disks: in a directory that is made for the test and removed after
 * it, and behind loop devices where the test may make some. For *_test.c files alone.
 */
#ifndef XENBLKD_TEST_FILE_H
#define XENBLKD_TEST_FILE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_bdev.h"

static char temp_dir[PATH_MAX / 2];

/* temp_start - makes temp_dir below @parent. Return: false if it cannot. */
static inline bool temp_start(const char *parent)
{
	snprintf(temp_dir, sizeof(temp_dir), "%s/xenblkd-test-XXXXXX", parent);
	return mkdtemp(temp_dir);
}

static inline void temp_end(void)
{
	DIR *dir = opendir(temp_dir);
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		unlinkat(dirfd(dir), d->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(temp_dir);
}

/* temp_path - Return: the path of @name, good until the next call. */
static inline const char *temp_path(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", temp_dir, name);
	return path;
}

/* temp_file - makes a sparse file. Return: its path, good until the next call. */
static inline const char *temp_file(const char *name, off_t size_bytes)
{
	const char *path = temp_path(name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, size_bytes))
		perror(path);
	close(fd);
	return path;
}

/* temp_file_full - the same, of bytes that are on the disk, so that direct I/O can be tried. */
static inline const char *temp_file_full(const char *name, off_t size_bytes)
{
	const char *path = temp_file(name, size_bytes);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	static const char zeroes[65536];

	for (off_t n = 0; n < size_bytes; n += (off_t)sizeof(zeroes)) {
		if (pwrite(fd, zeroes, sizeof(zeroes), n) < 0)
			perror(path);
	}
	fsync(fd);
	close(fd);
	return path;
}

/* A block device; it goes when the last descriptor of it is closed. */
struct loop {
	int fd;
	char path[32];
};

static inline int loop_configure(struct loop *loop, int control, const struct loop_config *config)
{
	int n = ioctl(control, LOOP_CTL_GET_FREE);

	if (n < 0)
		return -errno;
	snprintf(loop->path, sizeof(loop->path), "/dev/loop%d", n);
	loop->fd = open(loop->path, O_RDWR | O_CLOEXEC);
	if (loop->fd < 0)
		return -errno;
	if (!ioctl(loop->fd, LOOP_CONFIGURE, config))
		return 0;
	n = -errno;
	close(loop->fd);
	return n;
}

/* loop_open - Return: true if @loop is now a block device on the file @backing. */
static inline bool loop_open(struct loop *loop, const char *backing, uint32_t block_bytes,
			     uint32_t flags)
{
	struct loop_config config = { .block_size = block_bytes };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int err;

	if (control < 0)
		return false;
	config.fd = (uint32_t)open(backing, O_RDWR | O_CLOEXEC);
	config.info.lo_flags = flags | LO_FLAGS_AUTOCLEAR;
	do
		err = loop_configure(loop, control, &config);
	while (err == -EBUSY); /* somebody else was faster */
	close((int)config.fd);
	close(control);
	return !err;
}

#endif
