/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unix_socket - stream sockets that have a name in a folder.
 *
 * Thread: any.
 */
#ifndef XENBLKD_UNIX_SOCKET_H
#define XENBLKD_UNIX_SOCKET_H

/*
 * unix_listen - a listening, non-blocking socket at @path, 0600, in place of what is there
 *
 * For who knows that nobody else listens there.
 *
 * Return: it, or -errno.
 */
int unix_listen(const char *path);

/* unix_connect - to who listens at @path. Return: a blocking socket, or -errno. */
int unix_connect(const char *path);

#endif
