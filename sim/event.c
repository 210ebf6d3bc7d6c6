/* SPDX-License-Identifier: BSD-2-Clause */
#include "event.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <stdint.h>
#include <xen/xen.h>

/* FIFOs of others that we have open, to write to. */
static struct {
	uint32_t generation; /* 0: none */
	int fd;
} writers[SIM_QUEUES];

static struct sim_port *port_at(uint16_t domid, uint32_t port)
{
	return &sim()->domains[domid].ports[port];
}

/* Return: the port, if it is bound on this device. */
static struct sim_port *port_of(uint32_t queue, uint32_t port)
{
	struct sim_port *p;

	if (!port || port >= SIM_PORTS)
		return NULL;
	p = port_at(sim()->queues[queue].domid, port);
	return p->state == SIM_PORT_FREE || p->queue != queue ? NULL : p;
}

int sim_event_open(uint16_t domid, int *fd)
{
	char path[4096];
	struct sim_queue *q;
	uint32_t i = 0;

	while (i < SIM_QUEUES && sim()->queues[i].open)
		i++;
	if (i == SIM_QUEUES)
		return -ENFILE;
	if (sim_path(path, sizeof(path), "evtchn.%u", i))
		return -ENAMETOOLONG;
	unlink(path);
	/* Events go whoever the processes of the two domains run as. */
	if (mkfifo(path, 0600) < 0 || chmod(path, 0666) < 0)
		return -errno;
	/* For reading and writing: it never ends. */
	*fd = open(path, O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return -errno;
	q = &sim()->queues[i];
	q->domid = domid;
	q->process = sim_process();
	q->generation++;
	q->open = true;
	return (int)i;
}

static int writer(uint32_t queue)
{
	uint32_t generation = sim()->queues[queue].generation;
	char path[4096];

	if (writers[queue].generation == generation)
		return writers[queue].fd;
	if (writers[queue].generation)
		close(writers[queue].fd);
	writers[queue].generation = 0;
	if (sim_path(path, sizeof(path), "evtchn.%u", queue))
		return -1;
	/* Open for reading too: nobody gets SIGPIPE when the other end has died. */
	writers[queue].fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (writers[queue].fd >= 0)
		writers[queue].generation = generation;
	return writers[queue].fd;
}

/* There is room for 16384 ports in a FIFO: each is in it once, beside those that were closed. */
static void deliver(struct sim_port *p, uint32_t port)
{
	int fd;

	if (!p->pending || p->masked)
		return;
	p->pending = false;
	p->masked = true;
	fd = writer(p->queue);
	if (fd < 0 || write(fd, &port, sizeof(port)) != sizeof(port))
		SIM_COUNT(events_lost, 1);
}

void sim_event_fire(uint16_t domid, uint32_t port)
{
	struct sim_port *p = port_at(domid, port);

	if (p->state == SIM_PORT_FREE)
		return;
	p->pending = true;
	deliver(p, port);
}

static int port_get(uint16_t domid)
{
	for (uint32_t i = 1; i < SIM_PORTS; i++) {
		if (port_at(domid, i)->state == SIM_PORT_FREE)
			return (int)i;
	}
	return -ENOSPC;
}

int sim_event_listen(uint32_t queue, uint16_t remote_domid)
{
	uint16_t domid = sim()->queues[queue].domid;
	int port;

	if (remote_domid == DOMID_SELF)
		remote_domid = domid;
	if (remote_domid >= SIM_DOMAINS)
		return -ESRCH;
	port = port_get(domid);
	if (port < 0)
		return port;
	*port_at(domid, (uint32_t)port) = (struct sim_port){
		.state = SIM_PORT_UNBOUND,
		.remote_domid = remote_domid,
		.queue = queue,
	};
	SIM_COUNT(ports, 1);
	return port;
}

int sim_event_bind(uint32_t queue, uint16_t remote_domid, uint32_t remote_port)
{
	uint16_t domid = sim()->queues[queue].domid;
	struct sim_port *remote;
	int port;

	if (remote_domid == DOMID_SELF)
		remote_domid = domid;
	if (remote_domid >= SIM_DOMAINS || !sim()->domains[remote_domid].alive)
		return -ESRCH;
	if (!remote_port || remote_port >= SIM_PORTS)
		return -EINVAL;
	remote = port_at(remote_domid, remote_port);
	if (remote->state != SIM_PORT_UNBOUND || remote->remote_domid != domid)
		return -EINVAL;
	port = port_get(domid);
	if (port < 0)
		return port;
	*port_at(domid, (uint32_t)port) = (struct sim_port){
		.state = SIM_PORT_INTERDOMAIN,
		.remote_domid = remote_domid,
		.remote_port = remote_port,
		.queue = queue,
	};
	SIM_COUNT(ports, 1);
	remote->state = SIM_PORT_INTERDOMAIN;
	remote->remote_port = (uint32_t)port;
	/* What was sent before anybody listened is lost; so Xen lets a new port fire once. */
	sim_event_fire(domid, (uint32_t)port);
	return port;
}

static void port_close(uint16_t domid, uint32_t port)
{
	struct sim_port *p = port_at(domid, port);
	struct sim_port *remote = port_at(p->remote_domid, p->remote_port);

	if (p->state == SIM_PORT_INTERDOMAIN && remote->state == SIM_PORT_INTERDOMAIN) {
		remote->state = SIM_PORT_UNBOUND;
		remote->remote_domid = domid;
		remote->remote_port = 0;
	}
	*p = (struct sim_port){ .state = SIM_PORT_FREE };
	SIM_COUNT(ports, -1);
}

int sim_event_unbind(uint32_t queue, uint32_t port)
{
	if (!port_of(queue, port))
		return -ENOTCONN;
	port_close(sim()->queues[queue].domid, port);
	return 0;
}

int sim_event_unmask(uint32_t queue, uint32_t port)
{
	struct sim_port *p = port_of(queue, port);

	/* Linux leaves out of a list what is not bound, and says nothing. */
	if (!p)
		return 0;
	p->masked = false;
	deliver(p, port);
	return 0;
}

int sim_event_peer(uint32_t queue, uint32_t port, uint16_t *domid, uint32_t *peer)
{
	struct sim_port *p = port_of(queue, port);

	if (!p)
		return -ENOTCONN;
	if (p->state != SIM_PORT_INTERDOMAIN)
		return -ENOENT;
	*domid = p->remote_domid;
	*peer = p->remote_port;
	return 0;
}

void sim_event_close(uint32_t queue)
{
	struct sim_queue *q = &sim()->queues[queue];
	char path[4096];

	for (uint32_t i = 1; i < SIM_PORTS; i++) {
		if (port_of(queue, i))
			port_close(q->domid, i);
	}
	q->open = false;
	if (!sim_path(path, sizeof(path), "evtchn.%u", queue))
		unlink(path);
}

void sim_event_release(uint16_t process)
{
	for (uint32_t i = 0; i < SIM_QUEUES; i++) {
		if (sim()->queues[i].open && sim()->queues[i].process == process)
			sim_event_close(i);
	}
}

void sim_event_end_domain(uint16_t domid)
{
	for (uint32_t i = 1; i < SIM_PORTS; i++) {
		if (port_at(domid, i)->state != SIM_PORT_FREE)
			port_close(domid, i);
	}
}
