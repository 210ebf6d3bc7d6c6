/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon - xenblkd as a process: what its parts are wired by
 *
 * main.c starts it and makes its memory, predecessor.c deals with what dead ones have left and with
 * who else is there, serve.c has the datapath run, stands by and serves, signals.c ends it, or hands
 * over to another one.
 *
 * Thread: control, all of it.
 */
#ifndef XENBLKD_DAEMON_H
#define XENBLKD_DAEMON_H

#include "ahead.h"
#include "backend.h"
#include "balance.h"
#include "confine.h"
#include "control.h"
#include "datapath.h"
#include "dmem.h"
#include "instance.h"
#include "options.h"
#include "reactor.h"
#include "record.h"
#include "store.h"

struct daemon {
	int argc;
	char **argv;
	struct options options;
	uint32_t nr_cpus; /* that it may use */
	struct confine confine;
	struct instance instance;
	bool stands_by; /* and another one serves */
	struct store store;
	struct ahead ahead; /* while it stands by, and when it is its turn */
	struct reactor control;
	struct record pins;
	struct dmem dmem;
	struct datapath datapath;
	struct balance balance;
	struct backend backend;
	struct control rpc;
	bool rpc_runs; /* or there is no socket */
	struct reactor_fd signal_fd, reminder_fd, settle_fd;
	bool serving; /* the backend is there */
	bool stopping;
	char heir[96]; /* who goes on when this one ends, with I/O in flight; "": nobody */
};

/*
 * signals_open - signals arrive on the control thread from here on, and none elsewhere
 *
 * Return: 0, or -errno, and said so; signals_close() in any case.
 */
int signals_open(struct daemon *d);

/* signals_close - undoes signals_open(), as far as that came. */
void signals_close(struct daemon *d);

/*
 * daemon_hand_over - to one that stands by, as soon as this turn is over
 *
 * @arg: the daemon. Return: 0, and in @heir who that is; or -errno and *@e.
 */
int daemon_hand_over(void *arg, char *heir, uint32_t size, struct error *e);

/* daemon_poll_ns - how long reactors poll without work. */
uint64_t daemon_poll_ns(const struct daemon *d);

/*
 * predecessor_lock - opens d->instance: one daemon serves for each state directory
 *
 * Return: 0, maybe to stand by; or -errno, and said so.
 */
int predecessor_lock(struct daemon *d);

/*
 * predecessor_release - what dead ones have left, as far as it is in the way
 *
 * Return: 0, or -errno and *@e.
 */
int predecessor_release(struct daemon *d, struct error *e);

/* predecessor_take_place - that, if this one serves; and a place for what it will leave. Likewise. */
int predecessor_take_place(struct daemon *d, struct error *e);

/* predecessor_settle - the rest of it, now. */
void predecessor_settle(struct daemon *d);

/* predecessor_settle_due - likewise: d->settle_fd is ready, which predecessor_settle_later() set. */
void predecessor_settle_due(struct reactor_fd *rfd);

/* predecessor_settle_later - when guests are served again. */
void predecessor_settle_later(struct daemon *d);

/*
 * predecessor_clean - what a start does with what is left, and no more of it
 *
 * Return: 0, or -errno, and said so.
 */
int predecessor_clean(struct daemon *d);

/* daemon_buffer_pages - for data in flight, of each reactor. */
uint32_t daemon_buffer_pages(const struct daemon *d);

/* daemon_spdk_pages - for SPDK; 0 if it is not started. */
uint32_t daemon_spdk_pages(const struct daemon *d);

/* daemon_wants_spdk - whether it is. */
bool daemon_wants_spdk(const struct daemon *d);

/*
 * daemon_serve - has the datapath run, stands by if another one serves, and serves to the end
 *
 * Return: 0; -ECANCELED if it was told to end before it served; or -errno, and said so.
 */
int daemon_serve(struct daemon *d);

#endif
