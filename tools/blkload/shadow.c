/* SPDX-License-Identifier: BSD-2-Clause */
#include "shadow.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHADOW_MAGIC 0x31776f6461687362ull

struct header {
	uint64_t magic;
	uint64_t nr_sectors;
	uint32_t run;
	uint32_t zero;
};

/* The file at its full size; *@fresh if it was empty. Return: a descriptor or -errno. */
static int open_file(const char *path, size_t bytes, bool *fresh, struct error *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return error_set(e, errno, "cannot open %s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || (!st.st_size && ftruncate(fd, (off_t)bytes) < 0)) {
		int err = error_set(e, errno, "cannot make %s: %s", path, strerror(errno));

		close(fd);
		return err;
	}
	*fresh = !st.st_size;
	if (!*fresh && (size_t)st.st_size != bytes) {
		close(fd);
		return error_set(e, EINVAL, "%s is no record of a disk of this size", path);
	}
	return fd;
}

int shadow_open(struct shadow *s, const char *path, uint64_t nr_sectors, uint32_t run,
		struct error *e)
{
	size_t bytes = sizeof(struct header) + nr_sectors * sizeof(struct shadow_sector);
	int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, err;
	bool fresh = true;
	struct header *h;

	if (path) {
		fd = open_file(path, bytes, &fresh, e);
		if (fd < 0)
			return fd;
		flags = MAP_SHARED;
	}
	h = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	err = errno;
	if (fd >= 0)
		close(fd);
	if (h == MAP_FAILED)
		return error_set(e, err, "no memory for %llu sectors: %s",
				 (unsigned long long)nr_sectors, strerror(err));
	if (fresh)
		*h = (struct header){ SHADOW_MAGIC, nr_sectors, run, 0 };
	if (h->magic != SHADOW_MAGIC || h->nr_sectors != nr_sectors) {
		munmap(h, bytes);
		return error_set(e, EINVAL, "%s is no record of a disk of this size", path);
	}
	*s = (struct shadow){ .mem = h,
			      .mem_bytes = bytes,
			      .sectors = (struct shadow_sector *)(h + 1),
			      .nr_sectors = nr_sectors,
			      .run = h->run };
	return 0;
}

void shadow_close(struct shadow *s)
{
	munmap(s->mem, s->mem_bytes);
}

uint64_t shadow_next(const struct shadow *s, uint64_t from, uint64_t end, uint64_t max,
		     uint64_t *first)
{
	uint64_t n = 0;

	while (from < end && !s->sectors[from].written)
		from++;
	while (from + n < end && n < max && s->sectors[from + n].written)
		n++;
	*first = from;
	return n;
}
