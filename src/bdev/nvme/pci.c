/* SPDX-License-Identifier: BSD-2-Clause */
#include "pci.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard.h"
#include "inuse.h"
#include "log.h"
#include "nvme.h"

/* PCI: mass storage, non-volatile memory, NVM Express. */
#define CLASS_NVME	0x010802ul

#define CONFIG_COMMAND	4
#define COMMAND_MEMORY	0x002u
#define COMMAND_MASTER	0x004u
#define COMMAND_NO_INTX 0x400u

/* What driver_override says while the device is ours. */
#define OVERRIDE "xenblkd"

#define DEVICES	 "/sys/bus/pci/devices"

static void attribute_path(char *path, size_t size, const char *bdf, const char *name)
{
	snprintf(path, size, DEVICES "/%s/%s", bdf, name);
}

/* sysfs_read - one line, without its end. Return: 0 or -errno. */
static int sysfs_read(const char *bdf, const char *name, char *text, size_t size)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	attribute_path(path, sizeof(path), bdf, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	if (n < 0) {
		n = -errno;
		close(fd);
		return (int)n;
	}
	close(fd);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

static int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int sysfs_write(const char *bdf, const char *name, const char *text)
{
	char path[PATH_MAX];

	attribute_path(path, sizeof(path), bdf, name);
	return file_write(path, text);
}

/* driver_of - Return: the name of its driver; "" if it has none. */
static const char *driver_of(const char *bdf, char *target, size_t size)
{
	char path[PATH_MAX];
	ssize_t n;

	attribute_path(path, sizeof(path), bdf, "driver");
	n = readlink(path, target, size - 1);
	if (n <= 0)
		return "";
	target[n] = '\0';
	return strrchr(target, '/') ? strrchr(target, '/') + 1 : target;
}

static bool is_marked(const char *bdf)
{
	char text[64] = "";

	sysfs_read(bdf, "driver_override", text, sizeof(text));
	return !strcmp(text, OVERRIDE);
}

static int check_class(const char *bdf, struct error *e)
{
	char text[32] = "";
	unsigned long class = 0;
	int err = sysfs_read(bdf, "class", text, sizeof(text));

	if (err)
		return error_set(e, ENODEV,
				 "nvme:%s: there is no such PCI device here; \"lspci -D\" shows "
				 "those there are",
				 bdf);
	if (sscanf(text, "%lx", &class) != 1 || class != CLASS_NVME)
		return error_set(e, ENODEV,
				 "nvme:%s is no NVMe controller: its PCI class is %s, expected "
				 "0x%06lx",
				 bdf, text, CLASS_NVME);
	return 0;
}

/* Two that drive one controller would each reset it under the other. */
static int open_config(struct pci_device *d, struct error *e)
{
	char path[PATH_MAX];
	int err;

	attribute_path(path, sizeof(path), d->bdf, "config");
	d->config_fd = open(path, O_RDWR | O_CLOEXEC);
	if (d->config_fd < 0)
		return error_set(e, errno, "nvme:%s: cannot open %s: %s", d->bdf, path,
				 strerror(errno));
	if (!flock(d->config_fd, LOCK_EX | LOCK_NB))
		return 0;
	err = errno == EWOULDBLOCK
		      ? error_set(e, EBUSY, "nvme:%s is in use: another process drives it", d->bdf)
		      : error_set(e, errno, "nvme:%s: cannot lock %s: %s", d->bdf, path,
				  strerror(errno));
	close(d->config_fd);
	return err;
}

/* The kernel's driver has it no more, or there was none. */
static int detach(const char *bdf, struct error *e)
{
	char target[PATH_MAX];
	const char *driver = driver_of(bdf, target, sizeof(target));
	struct inuse inuse;
	int err;

	if (!driver[0])
		return 0;
	if (strcmp(driver, "nvme"))
		return error_set(e, EBUSY,
				 "nvme:%s belongs to the driver %s; expected nvme, or none", bdf,
				 driver);
	err = inuse_claim(&inuse, bdf, e);
	if (err)
		return err;
	/* First the mark: nobody is to probe it in between. */
	err = sysfs_write(bdf, "driver_override", OVERRIDE "\n");
	if (!err)
		err = sysfs_write(bdf, "driver/unbind", bdf);
	if (err) {
		sysfs_write(bdf, "driver_override", "\n");
		error_set(e, -err, "nvme:%s: cannot take it from the kernel's driver: %s", bdf,
			  strerror(-err));
	}
	inuse_release(&inuse);
	return err;
}

/* The kernel's driver gets it, if it had it. */
static void attach(const char *bdf)
{
	int err;

	if (!is_marked(bdf))
		return;
	sysfs_write(bdf, "driver_override", "\n");
	err = file_write("/sys/bus/pci/drivers_probe", bdf);
	if (err)
		log_warning("nvme:%s: cannot give it back to the kernel's driver: %s", bdf,
			    strerror(-err));
	else
		log_info("nvme:%s: given back to the kernel", bdf);
}

static bool is_enabled(const char *bdf)
{
	char text[16] = "";

	return !sysfs_read(bdf, "enable", text, sizeof(text)) && strcmp(text, "0");
}

static int set_command(struct pci_device *d, uint16_t value)
{
	return pwrite(d->config_fd, &value, 2, CONFIG_COMMAND) == 2 ? 0 : -EIO;
}

void pci_stop_dma(struct pci_device *d)
{
	set_command(d,
		    (uint16_t)((d->command | COMMAND_MEMORY | COMMAND_NO_INTX) & ~COMMAND_MASTER));
}

static int enable(struct pci_device *d, struct error *e)
{
	int err = is_enabled(d->bdf) ? 0 : sysfs_write(d->bdf, "enable", "1");

	if (err)
		return error_set(e, -err, "nvme:%s: cannot enable it: %s", d->bdf, strerror(-err));
	if (pread(d->config_fd, &d->command, 2, CONFIG_COMMAND) != 2)
		return error_set(e, EIO, "nvme:%s: cannot read its command register", d->bdf);
	/* A predecessor that died may have left it running. */
	pci_stop_dma(d);
	return 0;
}

static void disable(struct pci_device *d)
{
	set_command(d, (uint16_t)(d->command & ~COMMAND_MASTER));
	sysfs_write(d->bdf, "enable", "0");
}

static int map_bar(struct pci_device *d, struct error *e)
{
	char path[PATH_MAX];
	struct stat st;
	void *bar;
	int fd, err;

	attribute_path(path, sizeof(path), d->bdf, "resource0");
	fd = open(path, O_RDWR | O_CLOEXEC | O_SYNC);
	if (fd < 0 || fstat(fd, &st) || st.st_size < NVME_DOORBELLS + 0x1000) {
		if (fd >= 0)
			close(fd);
		return error_set(e, EIO, "nvme:%s: cannot open its registers, %s", d->bdf, path);
	}
	bar = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (bar == MAP_FAILED)
		return error_set(e, errno, "nvme:%s: cannot map its registers: %s", d->bdf,
				 strerror(errno));
	err = guard_add(bar, (size_t)st.st_size);
	if (err) {
		munmap(bar, (size_t)st.st_size);
		return error_set(e, -err, "nvme:%s: cannot guard its registers: %s", d->bdf,
				 strerror(-err));
	}
	d->bar = bar;
	d->bar_bytes = (size_t)st.st_size;
	return 0;
}

int pci_take(struct pci_device *d, const char *bdf, struct error *e)
{
	int err = check_class(bdf, e);

	if (err)
		return err;
	*d = (struct pci_device){ .config_fd = -1 };
	snprintf(d->bdf, sizeof(d->bdf), "%s", bdf);
	err = open_config(d, e);
	if (err)
		return err;
	err = detach(bdf, e);
	if (err)
		goto close_config;
	err = enable(d, e);
	if (err)
		goto attach;
	err = map_bar(d, e);
	if (err)
		goto disable;
	return 0;
disable:
	disable(d);
attach:
	attach(d->bdf);
close_config:
	close(d->config_fd);
	return err;
}

int pci_start_dma(struct pci_device *d)
{
	return set_command(d, (uint16_t)(d->command | COMMAND_MEMORY | COMMAND_MASTER |
					 COMMAND_NO_INTX));
}

bool pci_is_gone(const struct pci_device *d)
{
	uint16_t vendor = 0;

	/*
	 * Its registers then read as all ones, or as what the bus makes of it; when the kernel has
	 * noticed, its config space cannot be read at all.
	 */
	return pread(d->config_fd, &vendor, 2, 0) != 2 || vendor == UINT16_MAX ||
	       pci_read32(d, NVME_CSTS) == NVME_ABSENT;
}

static void unmap_bar(struct pci_device *d)
{
	guard_del((void *)d->bar);
	munmap((void *)d->bar, d->bar_bytes);
}

void pci_leave(struct pci_device *d)
{
	unmap_bar(d);
	close(d->config_fd);
}

void pci_give_back(struct pci_device *d)
{
	unmap_bar(d);
	disable(d);
	attach(d->bdf);
	close(d->config_fd);
}

int pci_leftovers(int (*fn)(const char *bdf, struct error *e), struct error *e)
{
	char target[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(DEVICES);
	int err = 0;

	while (dir && !err && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !is_marked(entry->d_name))
			continue;
		/* Killed before it had taken it: the kernel has it as before. */
		if (driver_of(entry->d_name, target, sizeof(target))[0])
			sysfs_write(entry->d_name, "driver_override", "\n");
		else
			err = fn(entry->d_name, e);
	}
	if (dir)
		closedir(dir);
	return err;
}
