/* SPDX-License-Identifier: BSD-2-Clause */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "point.h"

#define RECORD_MAGIC 0x6472636b6c626e78ull /* "xnblkcrd" */

struct record_header {
	uint64_t magic; /* written last */
	uint32_t version;
	uint32_t kind;
	uint32_t nr;
	uint32_t unused;
	uint64_t address; /* of what follows, where it was made */
	uint8_t pad[32]; /* what follows begins with a cache line */
};

_Static_assert(sizeof(struct record_header) == 64, "a cache line");

static int path_of(struct record *r, const char *dir, const char *name)
{
	int n = snprintf(r->path, sizeof(r->path), "%s/%s", dir, name);

	return n < 0 || (size_t)n >= sizeof(r->path) ? -ENAMETOOLONG : 0;
}

static int map_file(struct record *r, int fd)
{
	size_t bytes = sizeof(*r->header) + r->bytes;
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (mem == MAP_FAILED)
		return -errno;
	r->header = mem;
	r->mem = r->header + 1;
	return 0;
}

/*
 * Xen does not fault pages in: each must be there, and writable, before a hypercall. Nor has a reactor
 * the time. Return: 0; or -errno, and the mapping has ended.
 */
static int fault_in(struct record *r)
{
	int err = mlock(r->header, sizeof(*r->header) + r->bytes) < 0 ? -errno : 0;

	if (err)
		record_close(r);
	return err;
}

/* Whether Xen writes into one. */
static bool is_hypercalls(enum record_kind kind)
{
	return kind == RECORD_PINS || kind == RECORD_BATCH;
}

int record_create(struct record *r, const char *dir, const char *name, enum record_kind kind,
		  uint32_t nr, size_t bytes)
{
	struct record made = { .bytes = bytes };
	int fd, err = path_of(&made, dir, name);

	if (err)
		return err;
	/* A new file rather than the old one cut short: whoever still maps that keeps it whole. */
	if (unlink(made.path) < 0 && errno != ENOENT)
		return -errno;
	POINT();
	fd = open(made.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	POINT();
	err = ftruncate(fd, (off_t)(sizeof(*made.header) + bytes)) < 0 ? -errno : 0;
	POINT();
	if (!err)
		err = map_file(&made, fd);
	close(fd);
	if (!err)
		err = fault_in(&made);
	if (err) {
		unlink(made.path);
		return err;
	}
	POINT();
	memset(made.mem, 0, bytes);
	made.header->version = RECORD_VERSION;
	made.header->kind = kind;
	made.header->nr = nr;
	made.header->address = (uintptr_t)made.mem;
	POINT();
	*r = made;
	return 0;
}

void record_commit(struct record *r)
{
	__atomic_store_n(&r->header->magic, RECORD_MAGIC, __ATOMIC_RELEASE);
}

void record_close(struct record *r)
{
	munmap(r->header, sizeof(*r->header) + r->bytes);
}

void record_destroy(struct record *r)
{
	record_close(r);
	POINT();
	unlink(r->path);
	POINT();
}

int record_open(struct record *r, const char *dir, const char *name, enum record_kind *kind,
		uint32_t *nr)
{
	struct record made = { 0 };
	struct stat st;
	int fd, err = path_of(&made, dir, name);

	if (err)
		return err;
	fd = open(made.path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (size_t)st.st_size < sizeof(*made.header)) {
		err = S_ISREG(st.st_mode) && !st.st_size ? -ENODATA : -EINVAL;
		close(fd);
		return err;
	}
	made.bytes = (size_t)st.st_size - sizeof(*made.header);
	err = map_file(&made, fd);
	close(fd);
	if (err)
		return err;
	if (made.header->magic != RECORD_MAGIC || made.header->version != RECORD_VERSION) {
		err = made.header->magic == RECORD_MAGIC ? -EPROTONOSUPPORT
		      : made.header->magic		 ? -EINVAL
							 : -ENODATA;
		record_close(&made);
		return err;
	}
	*kind = made.header->kind;
	*nr = made.header->nr;
	err = is_hypercalls(*kind) ? fault_in(&made) : 0;
	if (!err)
		*r = made;
	return err;
}

void *record_find(const struct record *r, uint64_t address, size_t bytes)
{
	uint64_t at = address - r->header->address;

	return at < r->bytes && bytes <= r->bytes - at ? (uint8_t *)r->mem + at : NULL;
}

bool record_is_foreign(const char *dir, const char *name)
{
	struct record_header header;
	struct record r;
	bool foreign;
	int fd;

	if (path_of(&r, dir, name))
		return false;
	fd = open(r.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	foreign = pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
		  header.magic == RECORD_MAGIC && header.version != RECORD_VERSION;
	close(fd);
	return foreign;
}
