/* SPDX-License-Identifier: BSD-2-Clause */
#include "inuse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* True if @path is the block device @name, or a partition of it: nvme0n1, nvme0n1p2. */
static bool is_of(const char *path, const char *name)
{
	size_t n = strlen(name);

	if (!strncmp(path, "/dev/", 5))
		path += 5;
	return !strncmp(path, name, n) && (!path[n] || path[n] == 'p');
}

/* The first line of a table (mounts, swaps) whose first word is of @name. */
static bool find_line(const char *table, const char *name, char *first, char *second)
{
	char line[1024];
	FILE *f = fopen(table, "re");
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%255s %255s", first, second) == 2 && is_of(first, name);
	if (f)
		fclose(f);
	return found;
}

/* Who holds @name or a partition of it: dm-0, md0. */
static bool find_holder(const char *dir_path, const char *name, char *holder, int depth)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(dir_path);
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir_path, entry->d_name);
		if (!strcmp(strrchr(dir_path, '/'), "/holders")) {
			snprintf(holder, 256, "%s", entry->d_name);
			found = true;
		} else if (!strcmp(entry->d_name, "holders") ||
			   (depth && is_of(entry->d_name, name))) {
			found = find_holder(path, name, holder, 0);
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

static int refuse(const char *bdf, const char *name, struct error *e)
{
	char path[PATH_MAX], first[256] = "", second[256] = "";

	if (find_line("/proc/self/mounts", name, first, second))
		return error_set(e, EBUSY,
				 "nvme:%s is in use: %s is mounted on %s; expected a drive of "
				 "which nothing is mounted",
				 bdf, first, second);
	if (find_line("/proc/swaps", name, first, second))
		return error_set(e, EBUSY, "nvme:%s is in use: %s is swap space", bdf, first);
	snprintf(path, sizeof(path), "/sys/class/block/%s", name);
	if (find_holder(path, name, first, 1))
		return error_set(e, EBUSY,
				 "nvme:%s is in use: %s is part of %s (LVM, md or the like)", bdf,
				 name, first);
	return error_set(e, EBUSY,
			 "nvme:%s is in use: somebody has %s open for himself; expected a drive "
			 "that nobody uses",
			 bdf, name);
}

static int claim(struct inuse *u, const char *bdf, const char *name, struct error *e)
{
	char path[PATH_MAX];
	int fd;

	if (u->nr == INUSE_MAX_NAMESPACES)
		return error_set(e, E2BIG, "nvme:%s has more than %d namespaces", bdf,
				 INUSE_MAX_NAMESPACES);
	snprintf(path, sizeof(path), "/dev/%s", name);
	/* Of a whole device: it fails if a partition is claimed as well. */
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == EBUSY)
		return refuse(bdf, name, e);
	if (fd < 0)
		return error_set(e, errno, "nvme:%s: cannot look whether %s is in use: %s", bdf,
				 path, strerror(errno));
	u->fds[u->nr++] = fd;
	return 0;
}

/*
 * What the controller's directory has: nvme0n1, or nvme0c1n1 for a path to a namespace that several
 * controllers share, whose block device is then nvme0n1.
 */
static int claim_entry(struct inuse *u, const char *bdf, const char *entry, struct error *e)
{
	char name[64];
	unsigned int subsystem, controller, namespace;
	int end = 0;

	if (sscanf(entry, "nvme%uc%un%u%n", &subsystem, &controller, &namespace, &end) != 3 ||
	    entry[end]) {
		end = 0;
		if (sscanf(entry, "nvme%un%u%n", &subsystem, &namespace, &end) != 2 || entry[end])
			return 0;
	}
	snprintf(name, sizeof(name), "nvme%un%u", subsystem, namespace);
	return claim(u, bdf, name, e);
}

static int claim_all(struct inuse *u, const char *bdf, const char *ctrl_path, struct error *e)
{
	DIR *dir = opendir(ctrl_path);
	struct dirent *entry;
	int err = 0;

	while (dir && !err && (entry = readdir(dir)))
		err = claim_entry(u, bdf, entry->d_name, e);
	if (dir)
		closedir(dir);
	return err;
}

int inuse_claim(struct inuse *u, const char *bdf, struct error *e)
{
	char path[PATH_MAX], ctrl_path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;
	int err = 0;

	u->nr = 0;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/nvme", bdf);
	dir = opendir(path);
	/* Not the kernel's: none of its block devices is on it. */
	if (!dir)
		return 0;
	while (!err && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(ctrl_path, sizeof(ctrl_path), "%s/%s", path, entry->d_name) <
		    (int)sizeof(ctrl_path))
			err = claim_all(u, bdf, ctrl_path, e);
	}
	closedir(dir);
	if (err)
		inuse_release(u);
	return err;
}

void inuse_release(struct inuse *u)
{
	while (u->nr)
		close(u->fds[--u->nr]);
}
