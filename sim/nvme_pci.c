/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's files in sysfs; who stands behind them is in sysfs.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nvme_device.h"

#define PCI    "sys/bus/pci"
#define DRIVER PCI "/drivers/nvme"

static int make_dirs(const char *path)
{
	char full[4096];

	if (sim_path(full, sizeof(full), "%s", path))
		return -ENAMETOOLONG;
	for (char *p = full + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(full, 0700);
		*p = '/';
	}
	return mkdir(full, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* A file with these contents, or none. Return: its descriptor, or -errno. */
static int make_file(const char *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int make_file(const char *text, const char *fmt, ...)
{
	char name[256], path[4096];
	va_list ap;
	int fd;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (sim_path(path, sizeof(path), "%s", name))
		return -ENAMETOOLONG;
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static void *make_shared(struct device *d, const char *name, size_t bytes)
{
	int fd = make_file("", PCI "/devices/%s/%s", d->bdf, name);
	void *at;

	if (fd < 0)
		return NULL;
	at = ftruncate(fd, (off_t)bytes)
		     ? MAP_FAILED
		     : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

static int bind_driver(struct device *d)
{
	char path[4096];

	if (sim_path(path, sizeof(path), PCI "/devices/%s/driver", d->bdf))
		return -ENAMETOOLONG;
	return symlink("../../drivers/nvme", path) < 0 && errno != EEXIST ? -errno : 0;
}

static int make_attributes(struct device *d)
{
	static const char *const attributes[][2] = { { "class", "0x010802\n" },
						     { "enable", "0\n" },
						     { "driver_override", "(null)\n" } };
	int fd;

	for (size_t i = 0; i < 3; i++) {
		fd = make_file(attributes[i][1], PCI "/devices/%s/%s", d->bdf, attributes[i][0]);
		if (fd < 0)
			return fd;
		close(fd);
	}
	fd = make_file("", PCI "/drivers_probe");
	if (fd >= 0)
		close(fd);
	fd = make_file("", DRIVER "/unbind");
	if (fd >= 0)
		close(fd);
	return 0;
}

int device_plug(struct device *d)
{
	char dir[64];
	int err;

	snprintf(dir, sizeof(dir), PCI "/devices/%s", d->bdf);
	err = make_dirs(dir);
	if (!err)
		err = make_dirs(DRIVER);
	if (!err)
		err = make_attributes(d);
	if (err)
		return err;
	d->bar = make_shared(d, "resource0", DEVICE_BAR_BYTES);
	d->config = make_shared(d, "config", 256);
	if (!d->bar || !d->config)
		return -EIO;
	return bind_driver(d);
}

void device_unplug(struct device *d)
{
	char path[4096], command[4200];

	if (sim_path(path, sizeof(path), PCI "/devices/%s", d->bdf))
		return;
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	if (system(command))
		fprintf(stderr, "xensim-nvme: cannot remove %s\n", path);
}
