/* SPDX-License-Identifier: BSD-2-Clause */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int record_create(struct record *r, const char *dir, const char *name, size_t bytes)
{
	struct record made = { .bytes = bytes };
	int n = snprintf(made.path, sizeof(made.path), "%s/%s", dir, name);
	int fd, err;

	if (n < 0 || (size_t)n >= sizeof(made.path))
		return -ENAMETOOLONG;
	/* A new file rather than the old one cut short: whoever still maps that keeps it whole. */
	if (unlink(made.path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(made.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) < 0)
		goto fail;
	made.mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (made.mem == MAP_FAILED)
		goto fail;
	/* Xen does not fault pages in: each must be there, and writable, before a hypercall. */
	if (mlock(made.mem, bytes) < 0) {
		err = -errno;
		munmap(made.mem, bytes);
		errno = -err;
		goto fail;
	}
	memset(made.mem, 0, bytes);
	close(fd);
	*r = made;
	return 0;
fail:
	err = -errno;
	close(fd);
	unlink(made.path);
	return err;
}

void record_destroy(struct record *r)
{
	munmap(r->mem, r->bytes);
	unlink(r->path);
}
