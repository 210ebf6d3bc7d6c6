/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * evtchn - event channels: libxenevtchn with -errno for its -1.
 *
 * A reactor has one handle, and the ports of all its queues are bound on it: the kernel queues the
 * ports that fired, and reading one masks it until evtchn_unmask().
 *
 * Thread: a handle belongs to its reactor.
 */
#ifndef XENBLKD_EVTCHN_H
#define XENBLKD_EVTCHN_H

#include <stdint.h>
#include <xenevtchn.h>

/**
 * evtchn_open - opens the event channel device; its fd does not block
 *
 * Return: 0 and *@h, or -errno. The reverse is xenevtchn_close().
 */
int evtchn_open(xenevtchn_handle **h);

/**
 * evtchn_bind - binds a local port to a guest's
 *
 * Return: the local port, or -errno.
 */
int evtchn_bind(xenevtchn_handle *h, uint32_t domid, uint32_t remote_port);

/* evtchn_unbind - the reverse; the guest's port is unbound again and can be bound anew. */
void evtchn_unbind(xenevtchn_handle *h, uint32_t port);

/* evtchn_next - a port that fired, now masked. Return: the port, or -EAGAIN if there is none. */
int evtchn_next(xenevtchn_handle *h);

/* evtchn_unmask, evtchn_notify - Return: 0 or -errno. */
int evtchn_unmask(xenevtchn_handle *h, uint32_t port);
int evtchn_notify(xenevtchn_handle *h, uint32_t port);

#endif
