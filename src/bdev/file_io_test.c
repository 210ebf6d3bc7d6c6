/* SPDX-License-Identifier: BSD-2-Clause */
#include <signal.h>
#include <sys/wait.h>

#include "test_contract.h"
#include "test_file.h"

#define KIB 1024
#define MIB (1024 * 1024)

static void fill(unsigned char *p, size_t len_bytes, unsigned int seed)
{
	for (size_t i = 0; i < len_bytes; i++)
		p[i] = (unsigned char)(seed + i + (i >> 9) * 7);
}

/* reads_back - writes odd multiples of 512 from several buffers, reads them by others. */
static void reads_back(const char *path)
{
	static unsigned char in[16 * KIB] __attribute__((aligned(512)));
	static unsigned char out[16 * KIB] __attribute__((aligned(512)));
	struct request r;
	struct rig rig;

	check(rig_open(&rig, path, false, 4));
	fill(in, sizeof(in), 1);
	request_init(&r, BDEV_WRITE, 3 * 512);
	request_add(&r, in, 512);
	request_add(&r, in + 512, 7 * 512);
	request_add(&r, in + 8 * 512, 5 * 512);
	check_eq(request_run(&rig, &r), 0);

	request_init(&r, BDEV_READ, 3 * 512);
	request_add(&r, out, 9 * 512);
	request_add(&r, out + 9 * 512, 4 * 512);
	check_eq(request_run(&rig, &r), 0);
	check(!memcmp(in, out, 13 * 512));

	check_eq(run(&rig, BDEV_READ, 512, out, 3 * 512), 0);
	check(all_bytes_are(out, 0, 2 * 512));
	check(!memcmp(out + 2 * 512, in, 512));
	rig_close(&rig);
}

static void reads_back_what_was_written(void)
{
	reads_back(temp_file_full("f", MIB));
}

static void reads_back_from_a_sparse_file(void)
{
	reads_back(temp_file("sparse", MIB));
}

static void reads_back_from_a_block_device(void)
{
	struct loop loop;

	if (!loop_open(&loop, temp_file_full("f", MIB), 512, 0))
		skip("no loop device may be made here");
	reads_back(loop.path);
	close(loop.fd);
}

static void reads_back_from_blocks_of_4096(void)
{
	struct loop loop;

	if (!loop_open(&loop, temp_file_full("f", MIB), 4096, 0))
		skip("no loop device may be made here");
	reads_back(loop.path);
	close(loop.fd);
}

static void keeps_the_contract_on_blocks_of_4096(void)
{
	struct loop loop;

	if (!loop_open(&loop, temp_file_full("f", MIB), 4096, 0))
		skip("no loop device may be made here");
	contract_reads_leave_no_stale_byte(loop.path);
	contract_completes_from_poll_alone(loop.path);
	contract_refuses_more_than_depth_and_loses_none(loop.path);
	contract_done_may_submit_again(loop.path);
	contract_fua_write_completes(loop.path);
	contract_discard_leaves_its_neighbours(loop.path);
	close(loop.fd);
}

/* Many file systems in memory refuse direct I/O. */
static void reads_back_from_shared_memory(void)
{
	const char *path = "/dev/shm/xenblkd-file-io-test";
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		skip("no /dev/shm");
	if (!ftruncate(fd, MIB))
		reads_back(path);
	unlink(path);
	close(fd);
}

static blkcnt_t blocks_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_blocks;
}

static int discard(struct rig *rig, uint64_t offset_bytes, uint64_t len_bytes)
{
	struct request r;

	request_init(&r, BDEV_DISCARD, offset_bytes);
	r.io.len_bytes = len_bytes;
	return request_run(rig, &r);
}

static void discard_gives_a_files_blocks_back(void)
{
	const char *path = temp_file_full("f", MIB);
	blkcnt_t full = blocks_of(path);
	struct rig rig;

	check(rig_open(&rig, path, false, 1));
	check(rig.bdev->info.discard_zeroes);
	check_eq(discard(&rig, 64 * KIB, MIB - 64 * KIB), 0);
	check(blocks_of(path) <= full - (MIB - 64 * KIB) / 512 + 16);
	rig_close(&rig);
}

static void read_only_offers_no_discard(void)
{
	struct rig rig;

	check(rig_open(&rig, temp_file_full("f", MIB), true, 1));
	check_eq(rig.bdev->info.discard_bytes, 0);
	rig_close(&rig);
}

/* A loop device makes holes in its file. */
static void discard_of_a_block_device(void)
{
	const char *path = temp_file_full("f", MIB);
	blkcnt_t full = blocks_of(path);
	struct loop loop;

	if (!loop_open(&loop, path, 512, 0))
		skip("no loop device may be made here");
	contract_discard_leaves_its_neighbours(loop.path);
	check(blocks_of(temp_path("f")) < full);
	close(loop.fd);
}

static void many_discards_of_a_block_device_all_end(void)
{
	enum {
		DEPTH = 16
	};
	struct request r[DEPTH];
	struct loop loop;
	struct rig rig;

	if (!loop_open(&loop, temp_file_full("f", MIB), 512, 0))
		skip("no loop device may be made here");
	check(rig_open(&rig, loop.path, false, DEPTH));
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < DEPTH; i++) {
			request_init(&r[i], BDEV_DISCARD, 4096 * (uint64_t)i);
			/* One of them past the end: its error is its own. */
			r[i].io.len_bytes = i == 7 ? 2 * MIB : 4096;
			check_eq(bdev_submit(rig.ch, &r[i].io), 0);
		}
		for (int i = 0; i < DEPTH; i++) {
			check(request_wait(&rig, &r[i]));
			check_eq(r[i].nr_done, 1);
			check_eq(r[i].status, i == 7 ? -EINVAL : 0);
		}
	}
	rig_close(&rig);
	close(loop.fd);
}

static void writes_to_the_file_itself(void)
{
	static unsigned char memory[4 * KIB] __attribute__((aligned(512)));
	static unsigned char seen[4 * KIB];
	const char *path = temp_file_full("f", MIB);
	struct rig rig;
	int fd;

	check(rig_open(&rig, path, false, 1));
	fill(memory, sizeof(memory), 3);
	check_eq(run(&rig, BDEV_WRITE, MIB - sizeof(memory), memory, sizeof(memory)), 0);
	check_eq(run(&rig, BDEV_FLUSH, 0, NULL, 0), 0);
	rig_close(&rig);

	fd = open(path, O_RDONLY | O_CLOEXEC);
	check_eq(pread(fd, seen, sizeof(seen), MIB - sizeof(memory)), sizeof(seen));
	check(!memcmp(seen, memory, sizeof(seen)));
	close(fd);
}

static void read_only_cannot_be_written(void)
{
	static unsigned char memory[512] __attribute__((aligned(512)));
	struct rig rig;

	check(rig_open(&rig, temp_file_full("f", MIB), true, 1));
	check(rig.bdev->info.read_only);
	check_eq(run(&rig, BDEV_WRITE, 0, memory, sizeof(memory)), -EBADF);
	check_eq(run(&rig, BDEV_READ, 0, memory, sizeof(memory)), 0);
	rig_close(&rig);
}

static void read_past_a_new_end_fails(void)
{
	static unsigned char memory[64 * KIB] __attribute__((aligned(512)));
	const char *path = temp_file_full("f", MIB);
	struct rig rig;

	check(rig_open(&rig, path, false, 1));
	check_eq(truncate(path, 32 * KIB), 0);
	check_eq(run(&rig, BDEV_READ, 512 * KIB, memory, 4 * KIB), -EIO);
	check_eq(run(&rig, BDEV_READ, 16 * KIB, memory, 64 * KIB), -EIO);
	check_eq(run(&rig, BDEV_READ, 16 * KIB, memory, 16 * KIB), 0);
	check_eq(truncate(path, 32 * KIB + 100), 0);
	check_eq(run(&rig, BDEV_READ, 16 * KIB, memory, 64 * KIB), -EIO);
	rig_close(&rig);
}

/* The kernel moves less than 2 GiB at a time, and stops within an entry: a sure short read. */
static void goes_on_after_a_short_read(void)
{
	enum {
		NR = 515,
		EACH = 4 * MIB,
		LAST = 64 * KIB
	};
	static unsigned char mark[512], last[LAST] __attribute__((aligned(512)));
	const uint64_t size_bytes = (uint64_t)(NR - 1) * EACH + LAST;
	unsigned char *shared = aligned_alloc(512, EACH);
	struct iovec iov[NR];
	struct request r;
	struct rig rig;
	int fd;

	fill(mark, sizeof(mark), 5);
	fd = open(temp_file("huge", (off_t)size_bytes), O_WRONLY | O_CLOEXEC);
	check_eq(pwrite(fd, mark, sizeof(mark), (off_t)(size_bytes - 512)), 512);
	close(fd);
	check(rig_open(&rig, temp_path("huge"), true, 1));
	request_init(&r, BDEV_READ, 0);
	for (int i = 0; i < NR; i++)
		iov[i] = (struct iovec){ shared, EACH };
	iov[NR - 1] = (struct iovec){ last, LAST };
	r.io.iov = iov;
	r.io.nr_iov = NR;
	r.io.len_bytes = (uint32_t)size_bytes;
	check_eq(request_run(&rig, &r), 0);
	check_eq(r.io.progress_bytes, size_bytes);
	check(!memcmp(last + LAST - 512, mark, 512));
	rig_close(&rig);
	free(shared);
}

static void fd_is_readable_until_poll_has_completed(void)
{
	static unsigned char memory[4 * KIB] __attribute__((aligned(512)));
	struct request r;
	struct rig rig;

	check(rig_open(&rig, temp_file_full("f", MIB), true, 8));
	for (int i = 0; i < 100; i++) {
		request_init(&r, BDEV_READ, 4 * KIB * (uint64_t)i);
		request_add(&r, memory, sizeof(memory));
		check_eq(bdev_submit(rig.ch, &r.io), 0);
		check(!fd_readable(&rig, 0));
		if (!bdev_poll(rig.ch)) {
			check(fd_readable(&rig, TEST_TIMEOUT_MS));
			check_eq(bdev_poll(rig.ch), 1);
		}
		check_eq(r.nr_done, 1);
		check(!fd_readable(&rig, 0));
	}
	rig_close(&rig);
}

static void channels_do_not_share(void)
{
	static unsigned char memory[512] __attribute__((aligned(512)));
	struct bdev_channel *other;
	struct request r;
	struct rig rig;

	check(rig_open(&rig, temp_file_full("f", MIB), false, 1));
	check_eq(rig.bdev->ops->channel_create(rig.bdev, 1, &other), 0);
	request_init(&r, BDEV_READ, 0);
	request_add(&r, memory, sizeof(memory));
	check_eq(bdev_submit(other, &r.io), 0);
	check_eq(run(&rig, BDEV_READ, 0, memory, sizeof(memory)), 0);
	check_eq(r.nr_done, 0);
	while (!r.nr_done)
		bdev_poll(other);
	check_eq(r.status, 0);
	rig.bdev->ops->channel_destroy(other);
	rig_close(&rig);
}

/* As when a guest reboots: nothing of the last time may still hold the device. */
static void opens_again_at_once(void)
{
	static unsigned char memory[512] __attribute__((aligned(512)));
	struct loop loop;
	struct rig rig;

	if (!loop_open(&loop, temp_file_full("f", MIB), 512, 0))
		skip("no loop device may be made here");
	for (int i = 0; i < 50; i++) {
		check(rig_open(&rig, loop.path, false, 8));
		check_eq(run(&rig, BDEV_WRITE, 0, memory, sizeof(memory)), 0);
		check_eq(run(&rig, BDEV_FLUSH, 0, NULL, 0), 0);
		rig_close(&rig);
	}
	close(loop.fd);
}

/* write_forever - keeps as many requests in flight as it may; tells @ready_fd when it has begun. */
static void write_forever(const char *path, int ready_fd)
{
	enum {
		DEPTH = 32
	};
	static unsigned char memory[64 * KIB] __attribute__((aligned(512)));
	struct request r[DEPTH] = { 0 }, *next;
	struct rig rig;

	check(rig_open(&rig, path, false, DEPTH));
	check_eq(write(ready_fd, "", 1), 1);
	for (uint32_t i = 0;; i = (i + 1) % DEPTH) {
		request_init(&r[i], BDEV_WRITE, 0);
		request_add(&r[i], memory, sizeof(memory));
		check_eq(bdev_submit(rig.ch, &r[i].io), 0);
		bdev_poll(rig.ch);
		next = &r[(i + 1) % DEPTH];
		check(!next->io.done || request_wait(&rig, next));
	}
}

static void opens_after_its_owner_was_killed(void)
{
	const char *path = temp_file_full("f", MIB);
	struct bdev *bdev;
	int ready[2], err, tries = 0;
	pid_t pid;
	char byte;

	check_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		write_forever(path, ready[1]);
		_exit(1);
	}
	close(ready[1]);
	check_eq(read(ready[0], &byte, 1), 1);
	usleep(20000);
	kill(pid, SIGKILL);
	check_eq(waitpid(pid, NULL, 0), pid);
	/* The kernel carries out what it had begun, and says so until then; this machine may be very busy. */
	while ((err = open_uri(path, false, &bdev, NULL)) == -EBUSY && tries++ < 1000)
		usleep(10000);
	check_eq(err, 0);
	bdev_close(bdev);
	close(ready[0]);
}

static void reads_leave_no_stale_byte(void)
{
	contract_reads_leave_no_stale_byte(temp_file_full("f", MIB));
}

static void completes_from_poll_alone(void)
{
	contract_completes_from_poll_alone(temp_file_full("f", MIB));
}

static void refuses_more_than_depth_and_loses_none(void)
{
	contract_refuses_more_than_depth_and_loses_none(temp_file_full("f", MIB));
}

static void done_may_submit_again(void)
{
	contract_done_may_submit_again(temp_file_full("f", MIB));
}

static void flush_completes(void)
{
	contract_flush_completes(temp_file_full("f", MIB));
}

static void fua_write_completes(void)
{
	contract_fua_write_completes(temp_file_full("f", MIB));
}

static void discard_leaves_its_neighbours(void)
{
	contract_discard_leaves_its_neighbours(temp_file_full("f", MIB));
}

int main(void)
{
	char cwd[PATH_MAX / 4];

	if (!getcwd(cwd, sizeof(cwd)) || !temp_start(cwd))
		return 1;
	tap_run(reads_leave_no_stale_byte);
	tap_run(completes_from_poll_alone);
	tap_run(refuses_more_than_depth_and_loses_none);
	tap_run(done_may_submit_again);
	tap_run(flush_completes);
	tap_run(fua_write_completes);
	tap_run(discard_leaves_its_neighbours);
	tap_run(reads_back_what_was_written);
	tap_run(reads_back_from_a_sparse_file);
	tap_run(reads_back_from_a_block_device);
	tap_run(reads_back_from_blocks_of_4096);
	tap_run(keeps_the_contract_on_blocks_of_4096);
	tap_run(reads_back_from_shared_memory);
	tap_run(discard_gives_a_files_blocks_back);
	tap_run(read_only_offers_no_discard);
	tap_run(discard_of_a_block_device);
	tap_run(many_discards_of_a_block_device_all_end);
	tap_run(writes_to_the_file_itself);
	tap_run(read_only_cannot_be_written);
	tap_run(read_past_a_new_end_fails);
	tap_run(goes_on_after_a_short_read);
	tap_run(fd_is_readable_until_poll_has_completed);
	tap_run(channels_do_not_share);
	tap_run(opens_again_at_once);
	tap_run(opens_after_its_owner_was_killed);
	temp_end();
	return tap_end();
}
