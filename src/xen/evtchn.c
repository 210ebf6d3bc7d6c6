/* SPDX-License-Identifier: BSD-2-Clause */
#include "evtchn.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

int evtchn_open(xenevtchn_handle **h)
{
	xenevtchn_handle *xce = xenevtchn_open(NULL, 0);
	int flags, err;

	if (!xce)
		return -errno;
	/* A reactor reads until nothing is left. */
	flags = fcntl(xenevtchn_fd(xce), F_GETFL);
	if (flags < 0 || fcntl(xenevtchn_fd(xce), F_SETFL, flags | O_NONBLOCK) < 0) {
		err = -errno;
		xenevtchn_close(xce);
		return err;
	}
	*h = xce;
	return 0;
}

int evtchn_bind(xenevtchn_handle *h, uint32_t domid, uint32_t remote_port)
{
	int port = xenevtchn_bind_interdomain(h, domid, remote_port);

	return port < 0 ? -errno : port;
}

void evtchn_unbind(xenevtchn_handle *h, uint32_t port)
{
	xenevtchn_unbind(h, port);
}

int evtchn_next(xenevtchn_handle *h)
{
	int port = xenevtchn_pending(h);

	return port < 0 ? -errno : port;
}

int evtchn_unmask(xenevtchn_handle *h, uint32_t port)
{
	return xenevtchn_unmask(h, port) < 0 ? -errno : 0;
}

int evtchn_notify(xenevtchn_handle *h, uint32_t port)
{
	return xenevtchn_notify(h, port) < 0 ? -errno : 0;
}
