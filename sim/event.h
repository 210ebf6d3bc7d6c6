/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * event - the rules of Xen's event channels, and of Linux's device for them.
 *
 * A port that fires goes into the FIFO of the device that it was bound on, and is masked until
 * somebody unmasks it; when it fires meanwhile it stays pending.
 *
 * Thread: under events_lock, all of it.
 */
#ifndef XENSIM_EVENT_H
#define XENSIM_EVENT_H

#include "state.h"

/* sim_event_open - makes the FIFO of a device. Return: its number and *@fd, or -errno. */
int sim_event_open(uint16_t domid, int *fd);

/* sim_event_close - closes its ports. */
void sim_event_close(uint32_t queue);

/* sim_event_listen, sim_event_bind - Return: the local port, or -errno. */
int sim_event_listen(uint32_t queue, uint16_t remote_domid);
int sim_event_bind(uint32_t queue, uint16_t remote_domid, uint32_t remote_port);

/* All for ports that are bound on @queue. Return: 0 or -errno. */
int sim_event_unbind(uint32_t queue, uint32_t port);
int sim_event_unmask(uint32_t queue, uint32_t port);

/* sim_event_peer - who is to be told. Return: 0, *@domid and *@port; -ENOENT: nobody listens. */
int sim_event_peer(uint32_t queue, uint32_t port, uint16_t *domid, uint32_t *peer);

/* sim_event_fire - as if its peer had sent something. */
void sim_event_fire(uint16_t domid, uint32_t port);

/* sim_event_release - a process has ended. sim_event_end_domain - a domain has. */
void sim_event_release(uint16_t process);
void sim_event_end_domain(uint16_t domid);

#endif
