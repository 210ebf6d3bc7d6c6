/* SPDX-License-Identifier: BSD-2-Clause */
#include "hugepages.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SYSFS "/sys/kernel/mm/hugepages/hugepages-2048kB"
#define LIMIT SYSFS "/nr_overcommit_hugepages"

/* Linux, Documentation/admin-guide/mm/pagemap.rst */
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_FRAME	((1ull << 55) - 1)
#define PAGEMAP_SHIFT	12

static void paths_of(const char *dir, char *mount_path, char *file_path)
{
	snprintf(mount_path, PATH_MAX, "%s/hugepages", dir);
	snprintf(file_path, PATH_MAX, "%s/hugepages/memory", dir);
}

static int read_number(const char *path, uint64_t *out)
{
	FILE *f = fopen(path, "re");
	int n;

	if (!f)
		return -errno;
	n = fscanf(f, "%" SCNu64, out);
	fclose(f);
	return n == 1 ? 0 : -EIO;
}

static int write_number(const char *path, uint64_t number)
{
	int err = 0, fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%" PRIu64, number) < 0)
		err = -errno;
	close(fd);
	return err;
}

uint64_t hugepages_limit(uint64_t limit, uint64_t surplus, uint64_t unused, uint64_t nr)
{
	uint64_t wanted = surplus + (nr > unused ? nr - unused : 0);

	return wanted > limit ? wanted : limit;
}

/* Return: 0 and what the limit was; or -errno and *@why. */
static int raise_limit(uint32_t nr, uint64_t *was, struct error *why)
{
	uint64_t surplus, unused, promised, wanted;
	int err;

	if (read_number(LIMIT, was) || read_number(SYSFS "/surplus_hugepages", &surplus) ||
	    read_number(SYSFS "/free_hugepages", &unused) ||
	    read_number(SYSFS "/resv_hugepages", &promised))
		return error_set(why, EOPNOTSUPP,
				 "this kernel has no hugepages of 2 MiB (" SYSFS ")");
	wanted = hugepages_limit(*was, surplus, unused > promised ? unused - promised : 0, nr);
	if (wanted == *was)
		return 0;
	err = write_number(LIMIT, wanted);
	if (err)
		return error_set(why, -err,
				 LIMIT " is %" PRIu64 ", expected %" PRIu64
				       ", and cannot be raised: %s",
				 *was, wanted, strerror(-err));
	return 0;
}

/* What is allocated stays so when the limit goes back. */
static int allocate(int fd, uint32_t nr, struct error *why)
{
	uint64_t was;
	int err = raise_limit(nr, &was, why);

	if (err)
		return err;
	/* Not by touching it: if there is not enough, that would be a SIGBUS. */
	if (fallocate(fd, 0, 0, (off_t)(nr * HUGEPAGES_BYTES)) < 0)
		err = error_set(why, errno,
				"the kernel has no %u hugepages of 2 MiB for it: %s; memory may be "
				"short, or in pieces: set some aside early (vm.nr_hugepages)",
				nr, strerror(errno));
	write_number(LIMIT, was);
	return err;
}

static bool is_mounted(const char *path)
{
	struct statfs st;

	return !statfs(path, &st) && st.f_type == HUGETLBFS_MAGIC;
}

static int make_mount(const char *path, struct error *why)
{
	int err;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_set(why, errno, "cannot make %s: %s", path, strerror(errno));
	if (is_mounted(path))
		return 0;
	if (!mount("xenblkd", path, "hugetlbfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		   "pagesize=2M,mode=0700"))
		return 0;
	err = error_set(why, errno, "cannot mount a hugetlbfs on %s: %s", path, strerror(errno));
	rmdir(path);
	return err;
}

int hugepages_create(const char *dir, uint32_t nr, void **base, struct error *why)
{
	char mount_path[PATH_MAX], file_path[PATH_MAX];
	void *at;
	int fd, err;

	paths_of(dir, mount_path, file_path);
	err = make_mount(mount_path, why);
	if (err)
		return err;
	fd = open(file_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = error_set(why, errno, "cannot make %s: %s", file_path, strerror(errno));
		goto release;
	}
	err = allocate(fd, nr, why);
	if (err)
		goto close;
	at = mmap(NULL, nr * HUGEPAGES_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		  0);
	if (at == MAP_FAILED)
		err = error_set(why, errno, "cannot map %s: %s", file_path, strerror(errno));
	else
		*base = at;
close:
	close(fd);
release:
	if (err)
		hugepages_release(dir);
	return err;
}

void hugepages_destroy(const char *dir, uint32_t nr, void *base)
{
	munmap(base, nr * HUGEPAGES_BYTES);
	hugepages_release(dir);
}

int hugepages_release(const char *dir)
{
	char mount_path[PATH_MAX], file_path[PATH_MAX];
	struct stat st;
	int nr = 0;

	paths_of(dir, mount_path, file_path);
	if (!stat(file_path, &st))
		nr = (int)((uint64_t)st.st_blocks * 512 / HUGEPAGES_BYTES);
	if (unlink(file_path) < 0 && errno != ENOENT)
		return -errno;
	/* Somebody may stand in it: then it stays, empty, and is taken again. */
	if (is_mounted(mount_path))
		umount2(mount_path, UMOUNT_NOFOLLOW);
	rmdir(mount_path);
	return nr;
}

/* As buffers of an io_uring, on which nothing is ever done: the kernel pins those for good. */
int hugepages_pin(void *base, uint32_t nr, struct error *why)
{
	struct iovec buffer = { base, nr * HUGEPAGES_BYTES };
	struct io_uring_params params = { 0 };
	int err, fd = (int)syscall(SYS_io_uring_setup, 1, &params);

	if (fd < 0)
		return error_set(why, errno, "hugepages cannot be pinned: no io_uring: %s",
				 strerror(errno));
	if (!syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &buffer, 1))
		return fd;
	err = error_set(why, errno, "hugepages cannot be pinned: %s", strerror(errno));
	close(fd);
	return err;
}

void hugepages_unpin(int fd)
{
	/* By itself, close() lets go of them some time later. */
	syscall(SYS_io_uring_register, fd, IORING_UNREGISTER_BUFFERS, NULL, 0);
	close(fd);
}

uint64_t hugepages_bus_of(uint64_t entry)
{
	/* Without the right to know them frames read as 0. */
	return entry & PAGEMAP_PRESENT ? (entry & PAGEMAP_FRAME) << PAGEMAP_SHIFT : 0;
}

int hugepages_frames(const void *base, uint32_t nr_pages, uint64_t *bus, struct error *why)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t bytes = nr_pages * sizeof(*bus);
	off_t at = (off_t)(((uintptr_t)base >> PAGEMAP_SHIFT) * sizeof(*bus));
	ssize_t n;

	if (fd < 0)
		return error_set(why, errno, "cannot open /proc/self/pagemap: %s", strerror(errno));
	n = pread(fd, bus, bytes, at);
	close(fd);
	if (n != (ssize_t)bytes)
		return error_set(why, EIO, "cannot read /proc/self/pagemap");
	for (uint32_t i = 0; i < nr_pages; i++) {
		bus[i] = hugepages_bus_of(bus[i]);
		if (!bus[i])
			return error_set(why, EPERM,
					 "/proc/self/pagemap does not tell where memory is: that "
					 "takes CAP_SYS_ADMIN");
	}
	return 0;
}
