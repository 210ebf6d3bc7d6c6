/* SPDX-License-Identifier: BSD-2-Clause */
/* How a file or block device is opened; file_io_test.c has what is then done with it. */
#include "test_file.h"

static void refuses_a_path_that_is_not_absolute(void)
{
	check(open_fails("file:", false, EINVAL, "file: has no path; expected an absolute path"));
	check(open_fails("file:vm.img", false, EINVAL, "file:vm.img is a relative path; expected"));
	check(open_fails("file:./vm.img", false, EINVAL, "is a relative path; expected"));
}

static void refuses_what_is_no_disk(void)
{
	const char *fifo = temp_path("fifo");

	check(open_fails("/dev/null", false, EINVAL, "/dev/null is a character device; expected"));
	check(open_fails("/dev", false, EINVAL, "/dev is a directory; expected a regular file"));
	check_eq(mkfifo(fifo, 0600), 0);
	check(open_fails(fifo, false, EINVAL,
			 "fifo is a FIFO; expected a regular file or a block"));
	check(open_fails(fifo, true, EINVAL, "fifo is a FIFO; expected a regular file or a block"));
}

static void refuses_a_file_without_a_sector(void)
{
	check(open_fails(temp_file("empty", 0), false, EINVAL, "has 0 bytes; expected 512"));
	check(open_fails(temp_file("tiny", 511), false, EINVAL, "tiny has 511 bytes; expected"));
}

static void cuts_a_size_that_is_not_whole_sectors(void)
{
	struct bdev *bdev;

	check_eq(open_uri(temp_file("odd", 5 * 512 + 100), true, &bdev, NULL), 0);
	check_eq(bdev->info.size_bytes, 5 * 512);
	bdev_close(bdev);
}

static void describes_a_regular_file(void)
{
	struct bdev *bdev;

	check_eq(open_uri(temp_file("f", 1 << 20), false, &bdev, NULL), 0);
	check_eq(bdev->info.size_bytes, 1 << 20);
	check_eq(bdev->info.logical_block_bytes, 512);
	check_eq(bdev->info.physical_block_bytes, 4096);
	check(!bdev->info.read_only);
	check(bdev->info.flush);
	bdev_close(bdev);
}

static void follows_a_symbolic_link(void)
{
	struct bdev *bdev;

	temp_file("f", 1024);
	check_eq(symlink("f", temp_path("link")), 0);
	check_eq(open_uri(temp_path("link"), false, &bdev, NULL), 0);
	check_eq(bdev->info.size_bytes, 1024);
	bdev_close(bdev);
}

static void writer_is_alone(void)
{
	const char *path = temp_file("f", 1024);
	struct bdev *bdev;

	check_eq(open_uri(path, false, &bdev, NULL), 0);
	check(open_fails(path, false, EBUSY, "f is locked: another disk or program has it open;"));
	check(open_fails(path, true, EBUSY, "has it open for writing; expected readers alone"));
	bdev_close(bdev);
	check_eq(open_uri(path, false, &bdev, NULL), 0);
	bdev_close(bdev);
}

static void readers_share(void)
{
	const char *path = temp_file("f", 1024);
	struct bdev *one, *two;

	check_eq(open_uri(path, true, &one, NULL), 0);
	check_eq(open_uri(path, true, &two, NULL), 0);
	check(open_fails(path, false, EBUSY, "another disk or program has it open; expected"));
	bdev_close(one);
	check(open_fails(path, false, EBUSY, "another disk or program has it open; expected"));
	bdev_close(two);
	check_eq(open_uri(path, false, &one, NULL), 0);
	bdev_close(one);
}

static void describes_a_block_device(void)
{
	struct bdev *bdev;
	struct loop loop;

	if (!loop_open(&loop, temp_file_full("f", 1 << 20), 4096, 0))
		skip("no loop device may be made here");
	check_eq(open_uri(loop.path, false, &bdev, NULL), 0);
	check_eq(bdev->info.size_bytes, 1 << 20);
	check_eq(bdev->info.logical_block_bytes, 4096);
	check_eq(bdev->info.physical_block_bytes, 4096);
	bdev_close(bdev);
	close(loop.fd);
}

static void block_device_has_one_writer(void)
{
	struct bdev *bdev;
	struct loop loop;

	if (!loop_open(&loop, temp_file_full("f", 1 << 20), 512, 0))
		skip("no loop device may be made here");
	check_eq(open_uri(loop.path, false, &bdev, NULL), 0);
	check(open_fails(loop.path, false, EBUSY, "is in use (mounted, or part of LVM, md or"));
	bdev_close(bdev);
	check_eq(open_uri(loop.path, false, &bdev, NULL), 0);
	bdev_close(bdev);
	close(loop.fd);
}

static void sees_another_size_when_asked(void)
{
	const char *path = temp_file("f", 1 << 20);
	struct error e = { "" };
	struct bdev *bdev;

	check_eq(open_uri(path, false, &bdev, NULL), 0);
	check_eq(truncate(path, (2 << 20) + 100), 0);
	check_eq(bdev->info.size_bytes, 1 << 20);
	check_eq(bdev_resize(bdev, &e), 0);
	check_eq(bdev->info.size_bytes, 2 << 20);
	check_eq(truncate(path, 4096), 0);
	check_eq(bdev_resize(bdev, &e), 0);
	check_eq(bdev->info.size_bytes, 4096);
	check_eq(truncate(path, 0), 0);
	check_eq(bdev_resize(bdev, &e), -EINVAL);
	check_eq(bdev->info.size_bytes, 4096);
	bdev_close(bdev);
	check_eq(open_uri("null:1M", false, &bdev, NULL), 0);
	check_eq(bdev_resize(bdev, &e), -EOPNOTSUPP);
	bdev_close(bdev);
}

static void read_only_block_device_is_not_opened_for_writing(void)
{
	struct bdev *bdev;
	struct loop loop;

	if (!loop_open(&loop, temp_file_full("f", 1 << 20), 512, LO_FLAGS_READ_ONLY))
		skip("no loop device may be made here");
	check(open_fails(loop.path, false, EROFS, "is read-only; expected to write to it, so"));
	check(open_fails(loop.path, false, EROFS, "attach it with mode r"));
	check_eq(open_uri(loop.path, true, &bdev, NULL), 0);
	check(bdev->info.read_only);
	bdev_close(bdev);
	close(loop.fd);
}

int main(void)
{
	char cwd[PATH_MAX / 4];

	if (!getcwd(cwd, sizeof(cwd)) || !temp_start(cwd))
		return 1;
	tap_run(refuses_a_path_that_is_not_absolute);
	tap_run(refuses_what_is_no_disk);
	tap_run(refuses_a_file_without_a_sector);
	tap_run(cuts_a_size_that_is_not_whole_sectors);
	tap_run(describes_a_regular_file);
	tap_run(follows_a_symbolic_link);
	tap_run(writer_is_alone);
	tap_run(readers_share);
	tap_run(describes_a_block_device);
	tap_run(block_device_has_one_writer);
	tap_run(sees_another_size_when_asked);
	tap_run(read_only_block_device_is_not_opened_for_writing);
	temp_end();
	return tap_end();
}
