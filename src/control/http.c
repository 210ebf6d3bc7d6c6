/* SPDX-License-Identifier: BSD-2-Clause */
#include "http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MAX_CONNECTIONS	 8u
#define SILENT_S	 10u /* a connection that says nothing for so long is cut off */
#define CONNECTION_BYTES 16384u

#if MHD_VERSION >= 0x00097002
typedef enum MHD_Result mhd_result;
#else
typedef int mhd_result;
#endif

static mhd_result answer_text(struct MHD_Connection *c, unsigned int status, char *text,
			      size_t bytes, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(bytes, text, mode);
	mhd_result result;

	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static mhd_result answer(void *arg, struct MHD_Connection *c, const char *url, const char *method,
			 const char *version, const char *upload, size_t *upload_bytes, void **own)
{
	static char elsewhere[] = "There is /metrics here, to GET.\n";
	struct http *h = arg;
	size_t bytes = 0;
	char *page;

	(void)version;
	(void)upload;
	/* The first call is for the head alone; what somebody sends behind it is of no use. */
	if (!*own) {
		*own = h;
		return MHD_YES;
	}
	if (*upload_bytes) {
		*upload_bytes = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") || strcmp(url, "/metrics"))
		return answer_text(c, MHD_HTTP_NOT_FOUND, elsewhere, strlen(elsewhere),
				   MHD_RESPMEM_PERSISTENT);
	page = h->page(h->arg, &bytes);
	if (!page)
		return MHD_NO;
	return answer_text(c, MHD_HTTP_OK, page, bytes, MHD_RESPMEM_MUST_FREE);
}

static void run(struct http *h)
{
	struct itimerspec in = { .it_value.tv_sec = SILENT_S + 1 };
	MHD_UNSIGNED_LONG_LONG ms;

	MHD_run(h->daemon);
	/* There are connections: those that say nothing have to be looked at later. */
	if (MHD_get_timeout(h->daemon, &ms) == MHD_YES)
		timerfd_settime(h->timer_fd.fd, 0, &in, NULL);
}

static void epoll_ready(struct reactor_fd *rfd)
{
	run(container_of(rfd, struct http, epoll_fd));
}

static void timer_ready(struct reactor_fd *rfd)
{
	uint64_t expirations;

	if (read(rfd->fd, &expirations, sizeof(expirations)) > 0)
		run(container_of(rfd, struct http, timer_fd));
}

int loopback_listen(uint16_t port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!bind(fd, (struct sockaddr *)&addr, sizeof(addr)) && !listen(fd, 8))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int http_start(struct http *h, struct reactor *control, int fd,
	       char *(*page)(void *arg, size_t *bytes), void *arg, struct error *e)
{
	const union MHD_DaemonInfo *info;
	int err;

	*h = (struct http){ .control = control, .page = page, .arg = arg };
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, h,
				     MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				     MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, SILENT_S,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
				     MHD_OPTION_END);
	if (!h->daemon) {
		close(fd);
		return error_set(e, EIO, "cannot serve metrics by HTTP");
	}
	h->timer_fd =
		(struct reactor_fd){ timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
				     timer_ready };
	info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	h->epoll_fd = (struct reactor_fd){ info ? info->epoll_fd : -1, epoll_ready };
	err = h->timer_fd.fd < 0 ? -errno : reactor_add_fd(control, &h->timer_fd);
	if (!err)
		err = reactor_add_fd(control, &h->epoll_fd);
	if (!err)
		return 0;
	error_set(e, -err, "cannot wait for who asks for metrics: %s", strerror(-err));
	if (h->timer_fd.fd >= 0)
		close(h->timer_fd.fd);
	MHD_stop_daemon(h->daemon);
	return err;
}

void http_stop(struct http *h)
{
	reactor_del_fd(h->control, &h->epoll_fd);
	reactor_del_fd(h->control, &h->timer_fd);
	close(h->timer_fd.fd);
	MHD_stop_daemon(h->daemon);
}
