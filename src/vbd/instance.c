/* SPDX-License-Identifier: BSD-2-Clause */
#include "instance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "leftover.h"
#include "log.h"
#include "record.h"

/* Between two looks whether a dead process' directory is free, and how many. */
#define PAUSE_US 10000
#define TRIES	 500

/* What one that stands by says of itself: the version of its records, and a text. */
#define READY "ready"

/* What lies there is believed: nobody else may put anything into it, or in its place. */
static int check_state_dir(const char *dir, struct error *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int err = fd < 0 || fstat(fd, &st) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	if (err)
		return error_set(e, -err, "cannot open %s: %s", dir, strerror(-err));
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(e, EPERM,
				 "%s is of mode %04o: others may write to it; expected 0700", dir,
				 st.st_mode & 07777);
	return 0;
}

int instance_open(struct instance *i, const char *state_dir, struct error *e)
{
	char path[INSTANCE_PATH_MAX];
	int err;

	*i = (struct instance){
		.state_dir = state_dir, .lock_fd = -1, .dir_fd = -1, .turn_fd = { .fd = -1 }
	};
	if (mkdir(state_dir, 0700) < 0 && errno != EEXIST)
		return error_set(e, errno, "cannot make %s: %s", state_dir, strerror(errno));
	err = check_state_dir(state_dir, e);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/lock", state_dir);
	i->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (i->lock_fd < 0)
		return error_set(e, errno, "cannot open %s: %s", path, strerror(errno));
	return 0;
}

static void path_of(const struct instance *i, char letter, char *path)
{
	snprintf(path, INSTANCE_PATH_MAX, "%s/%c", i->state_dir, letter);
}

/* A directory is removed when it is empty, and its lock says nothing then. */
static bool is_at(int fd, const char *path)
{
	struct stat have, want;

	return !fstat(fd, &have) && !stat(path, &want) && have.st_dev == want.st_dev &&
	       have.st_ino == want.st_ino;
}

/* lock_dir - Return: a descriptor that holds the lock of @path; -EWOULDBLOCK; -ENOENT; -errno. */
static int lock_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int err = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;

	if (!err && !is_at(fd, path))
		err = -ENOENT;
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

/* Of a process that is dead. */
static bool has_records(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.' && strcmp(entry->d_name, READY);
	if (dir)
		closedir(dir);
	return found;
}

/* What the lock says of the process that serves, or was the last to. */
struct holder {
	char letter; /* of its directory; '-' until it has one */
	int pid;
	unsigned long long started; /* which process of that number */
};

static struct holder read_holder(const struct instance *i)
{
	struct holder h = { .letter = '-' };
	char text[64];
	ssize_t n = pread(i->lock_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%c %d %llu", &h.letter, &h.pid, &h.started) != 3)
		h.pid = 0;
	return h;
}

/* When a process began, in the kernel's ticks; 0 if there is none of that number. */
static unsigned long long started(int pid)
{
	char path[32], text[512];
	unsigned long long ticks = 0;
	const char *field;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* Field 22; the second is its name, in parentheses, with anything in it. */
	field = strrchr(text, ')');
	for (int nr = 2; field && nr < 22; nr++)
		field = strchr(field + 1, ' ');
	return field && sscanf(field, "%llu", &ticks) == 1 ? ticks : 0;
}

static int write_holder(const struct instance *i, char letter)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%c %d %llu\n", letter, getpid(), started(getpid()));

	return pwrite(i->lock_fd, text, (size_t)n, 0) != n || ftruncate(i->lock_fd, n) ? -errno : 0;
}

/*
 * Until the process is dead to the last of its descriptors: the lock may be one of the first to go, and a
 * controller that it drives is not to be taken for somebody else's. Return: 0, or -EBUSY and *@e.
 */
static int wait_until_dead(const struct holder *h, struct error *e)
{
	struct pollfd dead = { .events = POLLIN };
	bool lives;

	if (!h->pid || h->pid == getpid())
		return 0;
	dead.fd = (int)syscall(SYS_pidfd_open, h->pid, 0);
	if (dead.fd < 0)
		return 0;
	lives = h->started == started(h->pid) && poll(&dead, 1, TRIES * PAUSE_US / 1000) <= 0;
	close(dead.fd);
	return lives ? error_set(e, EBUSY,
				 "process %d, which served until now, has not ended yet: what it "
				 "left cannot be let go of before",
				 h->pid)
		     : 0;
}

static void remove_ready(const char *dir)
{
	char path[INSTANCE_PATH_MAX + sizeof(READY)];

	snprintf(path, sizeof(path), "%s/" READY, dir);
	unlink(path);
}

/* Return: 0; -EBUSY if a living process has it; -EAGAIN if it is another's to clear; -errno. */
static int take_dir(struct instance *i, char letter, bool serves, struct error *e)
{
	char path[INSTANCE_PATH_MAX];
	int fd, err = 0;

	path_of(i, letter, path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_set(e, errno, "cannot make %s: %s", path, strerror(errno));
	fd = lock_dir(path);
	if (fd == -EWOULDBLOCK)
		return error_set(e, EBUSY, "one process serves there, and one stands by");
	if (fd < 0)
		return error_set(e, fd == -ENOENT ? EAGAIN : -fd, "cannot lock %s: %s", path,
				 strerror(-fd));
	remove_ready(path);
	if (!serves && has_records(path))
		err = letter == read_holder(i).letter
			      ? error_set(e, EAGAIN, "what a process left in %s is not let go of",
					  path)
			      : leftover_discard(path, e);
	if (err) {
		close(fd);
		return err;
	}
	i->dir_fd = fd;
	i->letter = letter;
	snprintf(i->dir, sizeof(i->dir), "%s", path);
	return 0;
}

static int say_serving(const struct instance *i, struct error *e)
{
	int err = write_holder(i, i->letter);

	return err ? error_set(e, -err, "cannot write to %s/lock: %s", i->state_dir, strerror(-err))
		   : 0;
}

int instance_make_dir(struct instance *i, bool serves, struct error *e)
{
	int err = 0;

	for (int tries = 0; tries < TRIES; tries++) {
		for (char letter = 'a'; letter < (char)('a' + INSTANCE_MAX); letter++) {
			err = take_dir(i, letter, serves, e);
			if (!err)
				return serves ? say_serving(i, e) : 0;
			if (err != -EBUSY && err != -EAGAIN)
				return err;
		}
		usleep(PAUSE_US);
	}
	return err;
}

int instance_serve(struct instance *i)
{
	return flock(i->lock_fd, LOCK_EX | LOCK_NB) ? -errno : 0;
}

static void *turn_main(void *arg)
{
	struct instance *i = arg;
	uint64_t one = 1;

	while (flock(i->lock_fd, LOCK_EX) < 0 && errno == EINTR) {
	}
	if (write(i->turn_fd.fd, &one, sizeof(one)) < 0)
		log_error("cannot tell that it is our turn: %s", strerror(errno));
	return NULL;
}

int instance_await(struct instance *i, struct reactor *control,
		   void (*turn)(struct reactor_fd *turn_fd))
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	i->turn_fd = (struct reactor_fd){ eventfd(0, EFD_CLOEXEC), turn };
	if (i->turn_fd.fd < 0)
		return -errno;
	err = reactor_add_fd(control, &i->turn_fd);
	if (err)
		return err;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = -pthread_create(&thread, &attr, turn_main, i);
	pthread_attr_destroy(&attr);
	return err;
}

/* Return: 0; or -errno and *@e. */
static int lock_all_dead(struct instance *i, struct error *e)
{
	for (char letter = 'a'; letter < (char)('a' + INSTANCE_MAX); letter++) {
		char *path = i->dead[i->nr_dead];
		int fd;

		path_of(i, letter, path);
		fd = letter == i->letter ? -ENOENT : lock_dir(path);
		if (fd >= 0)
			i->dead_fds[i->nr_dead++] = fd;
		else if (fd != -ENOENT && fd != -EWOULDBLOCK)
			return error_set(e, -fd, "cannot lock %s: %s", path, strerror(-fd));
	}
	return 0;
}

static void unlock_all_dead(struct instance *i)
{
	while (i->nr_dead)
		close(i->dead_fds[--i->nr_dead]);
}

int instance_release(struct instance *i, struct error *e)
{
	const char *dirs[INSTANCE_MAX + 1] = { i->state_dir };
	struct holder last = read_holder(i);
	int err;

	err = wait_until_dead(&last, e);
	if (!err)
		err = lock_all_dead(i, e);
	for (uint32_t k = 0; k < i->nr_dead; k++)
		dirs[1 + k] = i->dead[k];
	if (!err)
		err = leftover_release(dirs, 1 + i->nr_dead, e);
	/* Without a place of its own it takes one of theirs. */
	if (!err && i->dir_fd < 0 && i->nr_dead == INSTANCE_MAX)
		err = instance_settle(i, e);
	if (err)
		unlock_all_dead(i);
	return err || i->dir_fd < 0 ? err : say_serving(i, e);
}

int instance_settle(struct instance *i, struct error *e)
{
	int err = 0;

	for (uint32_t k = 0; k < i->nr_dead && !err; k++) {
		err = leftover_discard(i->dead[k], e);
		remove_ready(i->dead[k]);
		rmdir(i->dead[k]);
	}
	unlock_all_dead(i);
	return err;
}

int instance_ready(struct instance *i, struct error *e)
{
	char path[INSTANCE_PATH_MAX + sizeof(READY)];
	int fd, n;

	snprintf(path, sizeof(path), "%s/" READY, i->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(e, errno, "cannot make %s: %s", path, strerror(errno));
	n = dprintf(fd, "%u xenblkd %s, process %d\n", RECORD_VERSION, XENBLKD_VERSION, getpid());
	close(fd);
	return n < 0 ? error_set(e, errno, "cannot write %s: %s", path, strerror(errno)) : 0;
}

void instance_unready(struct instance *i)
{
	remove_ready(i->dir);
}

/* What stands in DIR/ready of a living process. Return: how long, or -ENOENT. */
static int read_ready(const char *dir, char *text, uint32_t size)
{
	char path[INSTANCE_PATH_MAX + sizeof(READY)];
	ssize_t n = -1;
	int fd = lock_dir(dir);

	if (fd >= 0)
		close(fd);
	if (fd != -EWOULDBLOCK)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/" READY, dir);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	if (n <= 0 || text[n - 1] != '\n')
		return -ENOENT;
	text[n - 1] = '\0';
	return 0;
}

int instance_standby(const struct instance *i, char *text, uint32_t size, struct error *e)
{
	char path[INSTANCE_PATH_MAX], ready[128], *says;

	for (char letter = 'a'; letter < (char)('a' + INSTANCE_MAX); letter++) {
		path_of(i, letter, path);
		if (letter == i->letter || read_ready(path, ready, sizeof(ready)))
			continue;
		if (strtoul(ready, &says, 10) != RECORD_VERSION || says[0] != ' ')
			return error_set(e, EPROTONOSUPPORT,
					 "what stands by (%s) does not understand what this one "
					 "leaves, for it writes things down in another way; end "
					 "it, and restart this one: its guests wait for that long",
					 says);
		snprintf(text, size, "%s", says + 1);
		return 0;
	}
	return error_set(e, ENOENT,
			 "no other xenblkd stands by; start one: systemctl start xenblkd-standby, "
			 "or xenblkd --standby with the same settings");
}

void instance_close(struct instance *i)
{
	if (i->dir_fd >= 0) {
		remove_ready(i->dir);
		rmdir(i->dir);
		close(i->dir_fd);
	}
	unlock_all_dead(i);
	if (i->turn_fd.fd >= 0)
		close(i->turn_fd.fd);
	close(i->lock_fd);
}
