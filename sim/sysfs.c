/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program finds below /sys/bus/pci and /sys/bus/xen-backend is what stands below XENSIM_DIR under
 * these names: a driver that works by sysfs finds the machine's own devices, and never a real one.
 *
 * Linux stands behind two of these files and does what they say before a write returns. Here it is
 * done when they are opened: a device's driver/unbind takes the driver away, and drivers_probe gives
 * each device a driver that has none and whose driver_override is empty.
 */
/* open() is to be itself here, and not another name of open64(). */
#undef _FILE_OFFSET_BITS
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int open64(const char *path, int flags, ...);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);

static bool is_below(const char *path, const char *root)
{
	return !strncmp(path, root, strlen(root));
}

/* Return: @path, or where it is really. */
static const char *moved(const char *path, char *buffer, size_t size)
{
	const char *dir = getenv("XENSIM_DIR");
	int n;

	if (!path || !dir ||
	    (!is_below(path, "/sys/bus/pci") && !is_below(path, "/sys/bus/xen-backend")))
		return path;
	n = snprintf(buffer, size, "%s%s", dir, path);
	return n < 0 || (size_t)n >= size ? path : buffer;
}

static bool ends_in(const char *path, const char *end)
{
	size_t n = strlen(path), m = strlen(end);

	return n >= m && !strcmp(path + n - m, end);
}

/*
 * driver_override as Linux reads it: one line, "(null)" if it was never written. By system calls alone:
 * ThreadSanitizer sees no openat(), so that a close() of ours would race with that of the thread which
 * had a descriptor of this number before.
 */
static bool is_overridden(const char *device)
{
	char path[4200], text[32] = "";
	long n = -1, fd;

	snprintf(path, sizeof(path), "%s/driver_override", device);
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = syscall(SYS_read, fd, text, sizeof(text) - 1);
		syscall(SYS_close, fd);
	}
	return n > 0 && text[0] != '\n' && text[0] != '(';
}

static void probe(const char *root)
{
	char path[4096], device[4096], link[4200], away[4200];
	struct dirent **entries;
	int nr;

	snprintf(path, sizeof(path), "%s/devices", root);
	/* Nor does ThreadSanitizer see opendir(), but closedir(). */
	nr = scandir(path, &entries, NULL, NULL);
	for (int i = 0; i < nr; i++) {
		const char *name = entries[i]->d_name;

		if (name[0] == '.' ||
		    snprintf(device, sizeof(device), "%s/%s", path, name) >= (int)sizeof(device))
			continue;
		snprintf(link, sizeof(link), "%s/driver", device);
		snprintf(away, sizeof(away), "%s/driver.away", device);
		/* Bound already, if there is none. */
		if (!is_overridden(device) && rename(away, link) < 0 && errno != ENOENT)
			perror("libxensim: drivers_probe");
	}
	while (nr > 0)
		free(entries[--nr]);
	if (nr == 0)
		free(entries);
}

/* By what the program itself may do as well, which a filter of system calls may have bounded. */
static void act_as_kernel(const char *path)
{
	char buffer[4096], away[4200];
	size_t n = strlen(path);

	if (n >= sizeof(buffer))
		return;
	strcpy(buffer, path);
	*strrchr(buffer, '/') = '\0';
	snprintf(away, sizeof(away), "%s.away", buffer);
	if (ends_in(path, "/driver/unbind"))
		rename(buffer, away);
	else if (ends_in(path, "/drivers_probe"))
		probe(buffer);
}

static int open_moved(const char *path, int flags, mode_t mode)
{
	char buffer[4096];
	const char *where = moved(path, buffer, sizeof(buffer));
	int fd = openat(AT_FDCWD, where, flags, mode);

	if (fd >= 0 && where == buffer && (flags & O_ACCMODE) != O_RDONLY)
		act_as_kernel(where);
	return fd;
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = open_moved(path, flags, mode_of(flags, ap));
	va_end(ap);
	return fd;
}

int open64(const char *path, int flags, ...)
{
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = open_moved(path, flags | O_LARGEFILE, mode_of(flags, ap));
	va_end(ap);
	return fd;
}

/* As a fortified program calls them. */
int __open_2(const char *path, int flags)
{
	return open_moved(path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
	return open_moved(path, flags | O_LARGEFILE, 0);
}

DIR *opendir(const char *path)
{
	DIR *(*next)(const char *path) = (DIR * (*)(const char *)) dlsym(RTLD_NEXT, "opendir");
	char buffer[4096];

	return next(moved(path, buffer, sizeof(buffer)));
}

ssize_t readlink(const char *path, char *target, size_t size)
{
	char buffer[4096];

	return readlinkat(AT_FDCWD, moved(path, buffer, sizeof(buffer)), target, size);
}
