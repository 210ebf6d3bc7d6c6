/* SPDX-License-Identifier: BSD-2-Clause */
#include "aside.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "point.h"
#include "record.h"
#include "transport.h"

static void left_path(char *path, size_t size, const char *state_dir, const char *disk,
		      uint32_t queue)
{
	snprintf(path, size, "%s/%s-queue-%u" ASIDE_SUFFIX, state_dir, disk, queue);
}

bool aside_has(const char *state_dir, const char *disk)
{
	char path[PATH_MAX];

	left_path(path, sizeof(path), state_dir, disk, 0);
	return !access(path, F_OK);
}

void aside_forget(const char *state_dir, const char *disk)
{
	char path[PATH_MAX];

	for (uint32_t i = 0; i < TRANSPORT_MAX_QUEUES; i++) {
		left_path(path, sizeof(path), state_dir, disk, i);
		POINT();
		unlink(path);
	}
	POINT();
}

void aside_sweep(const char *state_dir, bool (*known)(void *arg, const char *disk), void *arg)
{
	DIR *dir = opendir(state_dir);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char disk[NAME_MAX + 1];
		char *end;

		snprintf(disk, sizeof(disk), "%s", entry->d_name);
		end = strstr(disk, "-queue-");
		if (!end || !strstr(end, ASIDE_SUFFIX))
			continue;
		*end = '\0';
		if (!known(arg, disk))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

void aside_put(struct record *r)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s" ASIDE_SUFFIX, r->path);
	POINT();
	rename(r->path, path);
	POINT();
	record_close(r);
}
