/* SPDX-License-Identifier: BSD-2-Clause */
#include "unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Return: a socket and *@addr, or -errno. */
static int unix_socket(const char *path, int flags, struct sockaddr_un *addr)
{
	int fd;

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(addr->sun_path))
		return -ENAMETOOLONG;
	strcpy(addr->sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	return fd < 0 ? -errno : fd;
}

static int close_with(int fd, int err)
{
	close(fd);
	return err;
}

int unix_listen(const char *path)
{
	struct sockaddr_un addr;
	int err, fd = unix_socket(path, SOCK_NONBLOCK, &addr);

	if (fd < 0)
		return fd;
	unlink(path);
	/* Before it has a name, so that it never had other permissions. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return close_with(fd, -errno);
	if (chmod(path, 0600) < 0 || listen(fd, 16) < 0) {
		err = -errno;
		unlink(path);
		return close_with(fd, err);
	}
	return fd;
}

int unix_connect(const char *path)
{
	struct sockaddr_un addr;
	int fd = unix_socket(path, 0, &addr);

	if (fd < 0 || !connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	return close_with(fd, -errno);
}
