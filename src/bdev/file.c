/* SPDX-License-Identifier: BSD-2-Clause */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_discard.h"
#include "kinds.h"
#include "log.h"
#include "rmw.h"

/* A file that says larger blocks than that means what is good to read at once. */
#define MAX_HOLE_BYTES 65536

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a FIFO";
	case S_IFCHR:
		return "a character device";
	case S_IFSOCK:
		return "a socket";
	default:
		return "of an unknown type";
	}
}

static int path_check(const char *path, struct error *e)
{
	if (!path[0])
		return error_set(e, EINVAL,
				 "file: has no path; expected an absolute path, as in "
				 "file:/srv/vm.img");
	if (path[0] != '/')
		return error_set(e, EINVAL,
				 "file:%s is a relative path; expected an absolute path, as in "
				 "file:/srv/vm.img",
				 path);
	return 0;
}

/* Asked here, because a channel is made too late for its failure to reach an operator in words. */
static int ring_check(const char *path, struct error *e)
{
	struct io_uring ring;
	int err;

	err = file_ring_init(&ring, 1);
	if (err)
		return error_set(e, -err,
				 "%s needs io_uring, which this kernel refuses (%s); expected "
				 "Linux 5.10 or later, and sysctl kernel.io_uring_disabled=0",
				 path, strerror(-err));
	io_uring_queue_exit(&ring);
	return 0;
}

static int open_failed(const char *path, bool read_only, int err, struct error *e)
{
	switch (err) {
	case EBUSY:
		return error_set(e, err,
				 "%s is in use (mounted, or part of LVM, md or swap), or another "
				 "disk has it open; expected a block device that nobody uses",
				 path);
	case EROFS:
		return error_set(e, err,
				 "%s is read-only; expected to write to it, so make it writable "
				 "or attach it with mode r",
				 path);
	default:
		return error_set(e, err, "%s cannot be opened for %s: %s%s", path,
				 read_only ? "reading" : "reading and writing", strerror(err),
				 err == ENOENT	 ? "; expected a disk that was made before, as by "
						   "truncate -s 20G or lvcreate"
				 : err == EACCES ? "; expected one that the daemon's user may open"
						 : "");
	}
}

/* A guest would see the container, and not what is in it. It may also be the guest that wrote it. */
static void warn_of_container(int fd, const char *path)
{
	static const struct {
		const char *begins, *name;
	} containers[] = {
		{ "QFI\xfb", "qcow2" }, { "conectix", "vhd" }, { "vhdxfile", "vhdx" },
		{ "KDMV\1", "vmdk" },	{ "QED", "qed" },
	};
	char head[16] = "";

	if (pread(fd, head, sizeof(head) - 1, 0) < 0)
		return;
	for (size_t i = 0; i < sizeof(containers) / sizeof(containers[0]); i++) {
		if (!strncmp(head, containers[i].begins, strlen(containers[i].begins)))
			log_warning(
				"%s begins as a %s image does, and is served as it is; if that is "
				"not meant, make it raw (qemu-img convert -O raw)",
				path, containers[i].name);
	}
}

/* What @look refers to is opened, not what @path has come to mean since. */
static int open_again(int look, const char *path, bool read_only, struct error *e)
{
	/* O_EXCL claims a block device, and means nothing for a file that is there already. */
	int flags = O_CLOEXEC | (read_only ? O_RDONLY : O_RDWR | O_EXCL);
	char self[32];
	int fd;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", look);
	fd = open(self, flags);
	return fd >= 0 ? fd : open_failed(path, read_only, errno, e);
}

/*
 * O_PATH looks at the inode without opening it: to open a FIFO blocks, and to open a device can
 * have effects of its own.
 */
static int open_disk(const char *path, bool read_only, mode_t *mode, struct error *e)
{
	struct stat st;
	int look, fd;

	look = open(path, O_PATH | O_CLOEXEC);
	if (look < 0)
		return open_failed(path, read_only, errno, e);

	if (fstat(look, &st))
		fd = open_failed(path, read_only, errno, e);
	else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		fd = error_set(e, EINVAL, "%s is %s; expected a regular file or a block device",
			       path, type_name(st.st_mode));
	else
		fd = open_again(look, path, read_only, e);
	close(look);
	*mode = st.st_mode;
	return fd;
}

/* A block device was claimed by O_EXCL; a file is by a lock, which other programs know as well. */
static int lock_file(int fd, const char *path, bool read_only, struct error *e)
{
	if (!flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB))
		return 0;
	if (errno != EWOULDBLOCK)
		return error_set(e, errno, "%s cannot be locked: %s", path, strerror(errno));
	if (read_only)
		return error_set(e, EBUSY,
				 "%s is locked: another disk or program has it open for writing; "
				 "expected readers alone",
				 path);
	return error_set(e, EBUSY,
			 "%s is locked: another disk or program has it open; expected to be the "
			 "only one, as it will be written",
			 path);
}

static int describe_file(int fd, const char *path, struct bdev_info *info, struct error *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return open_failed(path, info->read_only, errno, e);
	info->size_bytes = (uint64_t)st.st_size;
	info->logical_block_bytes = 512;
	info->physical_block_bytes = 4096;
	return 0;
}

/* Discards make holes. Whether the file system can is asked by one behind the file's end. */
static void describe_holes(int fd, struct bdev_info *info)
{
	struct stat st;

	if (info->read_only || fstat(fd, &st) ||
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, st.st_size, 4096))
		return;
	info->discard_bytes = 4096;
	if (st.st_blksize >= 512 && st.st_blksize <= MAX_HOLE_BYTES)
		info->discard_bytes = (uint32_t)st.st_blksize;
	info->discard_zeroes = true;
}

static int describe_block(int fd, const char *path, struct bdev_info *info, struct error *e)
{
	unsigned int physical = 0;
	int logical = 0, write_protected = 0;

	if (ioctl(fd, BLKGETSIZE64, &info->size_bytes) || ioctl(fd, BLKSSZGET, &logical) ||
	    ioctl(fd, BLKPBSZGET, &physical) || ioctl(fd, BLKROGET, &write_protected))
		return error_set(e, errno, "%s does not tell its size and blocks: %s", path,
				 strerror(errno));
	if (write_protected && !info->read_only)
		return open_failed(path, false, EROFS, e);

	info->logical_block_bytes = (uint32_t)logical;
	info->physical_block_bytes = physical;
	/* It is a hint: one that makes no sense is not worth a failure. */
	if (physical < info->logical_block_bytes || physical & (physical - 1))
		info->physical_block_bytes = info->logical_block_bytes;
	return 0;
}

/* To whole blocks, of 512 bytes at least. */
static int cut_size(const char *path, uint32_t block_bytes, struct bdev_info *info, struct error *e)
{
	uint64_t odd_bytes = info->size_bytes % block_bytes;

	if (info->size_bytes < block_bytes)
		return error_set(e, EINVAL, "%s has %" PRIu64 " bytes; expected %u at least", path,
				 info->size_bytes, block_bytes);
	if (odd_bytes)
		log_warning("%s: the size of %" PRIu64 " bytes is not a multiple of %u; the last "
			    "%" PRIu64 " bytes are left out",
			    path, info->size_bytes, block_bytes, odd_bytes);
	info->size_bytes -= odd_bytes;
	return 0;
}

#define PROBE_MAX_BYTES 4096u

/*
 * Reads where data is, for file systems do not check alignment over a hole; at an odd multiple of
 * @block_bytes, into memory aligned to no more than that.
 */
static bool direct_probe(int fd, uint32_t block_bytes)
{
	static char memory[2 * PROBE_MAX_BYTES] __attribute__((aligned(2 * PROBE_MAX_BYTES)));
	off_t data = lseek(fd, 0, SEEK_DATA);

	return data >= 0 && pread(fd, memory + block_bytes, block_bytes, data + block_bytes) ==
				    (ssize_t)block_bytes;
}

/* direct_stated - Return: true, and *@block_bytes, 0 for none, if kernel and file system say it. */
static bool direct_stated(int fd, uint32_t *block_bytes)
{
#ifdef STATX_DIOALIGN
	struct statx sx;

	/* From 6.1. */
	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) || !(sx.stx_mask & STATX_DIOALIGN))
		return false;
	*block_bytes = sx.stx_dio_offset_align;
	if (*block_bytes && *block_bytes < 512)
		*block_bytes = 512;
	/* Memory of whole blocks is aligned to them, and no more. */
	if (!sx.stx_dio_mem_align || sx.stx_dio_mem_align > *block_bytes)
		*block_bytes = 0;
	return true;
#else
	return false;
#endif
}

/* direct_block_bytes - Return: what direct I/O to @fd has to be multiples of; 0: it cannot be. */
static uint32_t direct_block_bytes(int fd, mode_t mode, const struct bdev_info *info)
{
	uint32_t block_bytes;

	if (direct_stated(fd, &block_bytes))
		return block_bytes;
	if (S_ISBLK(mode))
		return info->logical_block_bytes;
	if (direct_probe(fd, 512))
		return 512;
	return direct_probe(fd, PROBE_MAX_BYTES) ? PROBE_MAX_BYTES : 0;
}

/* direct_refusal - Return: why direct I/O cannot be; or NULL if @fd now does it, by *@block_bytes. */
static const char *direct_refusal(int fd, mode_t mode, const struct bdev_info *info,
				  uint32_t *block_bytes)
{
	if (fcntl(fd, F_SETFL, O_DIRECT))
		return "its file system refuses direct I/O";
	*block_bytes = direct_block_bytes(fd, mode, info);
	if (!*block_bytes || *block_bytes & (*block_bytes - 1))
		return "direct I/O to it is not known to be possible";
	if (*block_bytes > RMW_MAX_BLOCK_BYTES)
		return "its blocks are larger than 4096 bytes";
	if (info->size_bytes % *block_bytes)
		return "its size is not a multiple of the blocks of direct I/O";
	return NULL;
}

/*
 * Buffered I/O is slower, but takes any multiple of 512: the kernel reads, modifies and writes. With
 * direct I/O we do, where the blocks are larger.
 */
static void choose_direct(int fd, const char *path, mode_t mode, struct bdev_info *info)
{
	uint32_t block_bytes = 0;
	const char *refusal = direct_refusal(fd, mode, info, &block_bytes);

	info->logical_block_bytes = 512;
	if (!refusal) {
		info->logical_block_bytes = block_bytes;
		if (info->physical_block_bytes < block_bytes)
			info->physical_block_bytes = block_bytes;
		return;
	}
	fcntl(fd, F_SETFL, 0);
	log_info("%s: buffered I/O, because %s", path, refusal);
}

static int claim_and_describe(int fd, const char *path, mode_t mode, struct bdev_info *info,
			      struct error *e)
{
	int err;

	if (S_ISBLK(mode)) {
		err = describe_block(fd, path, info, e);
		if (!err)
			discard_describe(fd, info);
	} else {
		err = lock_file(fd, path, info->read_only, e);
		/* After the lock: whoever held it may have changed the size. */
		if (!err)
			err = describe_file(fd, path, info, e);
		if (!err)
			describe_holes(fd, info);
	}
	return err ? err : cut_size(path, 512, info, e);
}

static int open_locked(const char *path, bool read_only, struct bdev **out, struct error *e)
{
	struct bdev_info info = { .read_only = read_only, .flush = true };
	struct file *file;
	mode_t mode = 0;
	int err, fd;

	fd = open_disk(path, read_only, &mode, e);
	if (fd < 0)
		return fd;
	err = claim_and_describe(fd, path, mode, &info, e);
	if (err)
		goto out_close;
	warn_of_container(fd, path);
	choose_direct(fd, path, mode, &info);

	file = calloc(1, sizeof(*file));
	if (!file) {
		err = error_set(e, ENOMEM, "%s found no memory", path);
		goto out_close;
	}
	file->bdev.info = info;
	file->fd = fd;
	if (S_ISBLK(mode) && info.discard_bytes) {
		err = discarder_create(fd, &file->discarder);
		if (err) {
			error_set(e, -err, "%s: no thread: %s", path, strerror(-err));
			goto out_free;
		}
	}
	*out = &file->bdev;
	return 0;

out_free:
	free(file);
out_close:
	close(fd);
	return err;
}

static int file_open(const char *path, const struct bdev_open_args *args, struct bdev **out,
		     struct error *e)
{
	int err;

	err = path_check(path, e);
	if (err)
		return err;
	err = ring_check(path, e);
	if (err)
		return err;

	return open_locked(path, args->read_only, out, e);
}

/* Whatever its path has come to mean: what is open. */
static int file_resize(struct bdev *bdev, struct error *e)
{
	struct file *file = container_of(bdev, struct file, bdev);
	struct bdev_info info = bdev->info;
	struct stat st;
	int err;

	if (fstat(file->fd, &st))
		err = error_set(e, errno, "its size is not told: %s", strerror(errno));
	else if (S_ISBLK(st.st_mode))
		err = describe_block(file->fd, "its device", &info, e);
	else
		err = describe_file(file->fd, "its file", &info, e);
	if (!err)
		err = cut_size("its device", bdev->info.logical_block_bytes, &info, e);
	if (!err)
		bdev->info.size_bytes = info.size_bytes;
	return err;
}

static void file_close(struct bdev *bdev)
{
	struct file *file = container_of(bdev, struct file, bdev);

	if (file->discarder)
		discarder_destroy(file->discarder);
	/* The kernel may hold the open file a little longer, and with it the lock. */
	flock(file->fd, LOCK_UN);
	close(file->fd);
	free(file);
}

const struct bdev_ops file_ops = {
	.scheme = "file",
	.open = file_open,
	.close = file_close,
	.resize = file_resize,
	.channel_create = file_channel_create,
	.channel_destroy = file_channel_destroy,
	.submit = file_submit,
	.poll = file_poll,
	.fd = file_fd,
};
