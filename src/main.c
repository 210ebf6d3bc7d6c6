/* SPDX-License-Identifier: BSD-2-Clause */
/* xenblkd: arguments, signals, wiring. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "ahead.h"
#include "aside.h"
#include "backend.h"
#include "balance.h"
#include "clock.h"
#include "confine.h"
#include "control.h"
#include "datapath.h"
#include "dmem.h"
#include "host.h"
#include "instance.h"
#include "leftover.h"
#include "log.h"
#include "options.h"
#include "point.h"
#include "reactor.h"
#include "record.h"
#include "store.h"

_Static_assert(OPTIONS_MAX_REACTORS == DATAPATH_MAX_REACTORS, "each that can be asked for");

/* How often a daemon that is to end says what it still waits for. */
#define STOP_REMINDER_S 10

/* After the start: by then guests are served again. */
#define SETTLE_S 1

/*
 * Beside those for data: queues and lists of the controllers that we drive, and what is merged; and
 * what each further reactor wants of that.
 */
#ifdef XENBLKD_POINTS
#define DEVICE_PAGES 256u /* it is started a hundred thousand times, and has two disks */
#else
#define DEVICE_PAGES 1024u
#endif
#define DEVICE_PAGES_FURTHER 256u

/* So long, and so often, memory is asked for that a dead process had. */
#define ROOM_MAX_NS  (5 * NS_PER_S)
#define ROOM_LOOK_US 100000u

/* The exit status of wrong options, a wrong file, or a wrong version: to try again is of no use. */
#define EXIT_WRONG 2

/* Of a disk, where nobody said how many: what Linux guests take if they can have it. */
#define DEFAULT_MAX_QUEUES 4u

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

static void stopped(struct backend *b)
{
	struct daemon *d = container_of(b, struct daemon, backend);

	reactor_stop(&d->control);
}

/* To one that stands by, as soon as this turn is over. Return: 0, or -errno and *@e. */
static int hand_over(void *arg, char *heir, uint32_t size, struct error *e)
{
	struct daemon *d = arg;
	int err;

	if (d->stopping)
		return error_set(e, EBUSY, "this daemon is ending");
	err = instance_standby(&d->instance, d->heir, sizeof(d->heir), e);
	if (err)
		return err;
	d->stopping = true;
	snprintf(heir, size, "%s", d->heir);
	sd_notify(0, "STOPPING=1");
	reactor_stop(&d->control);
	return 0;
}

static void stop(struct daemon *d, uint32_t signo)
{
	struct itimerspec often = { { STOP_REMINDER_S, 0 }, { STOP_REMINDER_S, 0 } };
	char heir[96];
	struct error e;
	int err;

	if (d->stopping) {
		log_error("%s again: ending at once, with I/O in flight", strsignal((int)signo));
		_exit(EXIT_FAILURE);
	}
	err = d->stands_by ? -ENOENT : hand_over(d, heir, sizeof(heir), &e);
	if (!err)
		return;
	if (err != -ENOENT)
		log_warning("%s", e.text);
	d->stopping = true;
	if (d->stands_by) {
		reactor_stop(&d->control);
		return;
	}
	log_info("%s: finishing what is in flight", strsignal((int)signo));
	sd_notify(0, "STOPPING=1");
	timerfd_settime(d->reminder_fd.fd, 0, &often, NULL);
	backend_stop(&d->backend);
}

/* Who spins on the last CPU takes it from those that would give us work. */
static uint64_t choose_poll_ns(const struct daemon *d)
{
	return d->options.poll_us >= 0		     ? (uint64_t)d->options.poll_us * NS_PER_US
	       : d->nr_cpus > d->options.nr_reactors ? 50 * NS_PER_US
						     : 0;
}

static void say_kept(const char *place, const char *old, const char *anew)
{
	log_warning("%s takes a restart: it stays \"%s\", and is to be \"%s\"", place, old, anew);
}

/* As at the start, as far as it can change under guests; or nothing, if it is wrong. */
static void reload(struct daemon *d)
{
	struct options anew;
	struct error e;

	if (options_parse(d->argc, d->argv, &anew, &e)) {
		log_error("%s; nothing is changed", e.text);
		return;
	}
	options_reload(&d->options, &anew, say_kept);
	log_set_level(d->options.log_level);
	if (d->serving)
		backend_set_transfer(&d->backend, &d->options.transfer);
	for (uint32_t i = 0; i < d->datapath.nr; i++)
		reactor_set_poll_ns(&d->datapath.reactors[i].reactor, choose_poll_ns(d));
	log_info("the configuration is read again");
}

static void signal_ready(struct reactor_fd *rfd)
{
	struct daemon *d = container_of(rfd, struct daemon, signal_fd);
	struct signalfd_siginfo info;

	if (read(rfd->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGHUP) {
		stop(d, info.ssi_signo);
	} else if (!d->stopping) {
		reload(d);
		if (d->serving)
			backend_resize(&d->backend);
	}
}

static void reminder_ready(struct reactor_fd *rfd)
{
	struct daemon *d = container_of(rfd, struct daemon, reminder_fd);
	struct vbd *v;
	uint64_t count;

	if (read(rfd->fd, &count, sizeof(count)) < 0)
		return;
	list_for_each (v, &d->backend.vbds, link)
		log_warning("%s: still waiting for its device; a second signal ends at once",
			    v->name);
}

/* One daemon for each state directory: two would answer for the same disks. */
static int take_lock(struct daemon *d)
{
	const char *dir = d->options.state_dir;
	struct error e = { "" };
	int err = instance_open(&d->instance, dir, &e);

	if (err) {
		log_error("%s", e.text);
		return err;
	}
	err = instance_serve(&d->instance);
	if (err == -EWOULDBLOCK && d->options.standby) {
		d->stands_by = true;
		return 0;
	}
	if (err == -EWOULDBLOCK)
		log_error("another xenblkd is running: it holds %s/lock; a second one takes a "
			  "class and a state-dir of its own, or --standby to take over from it",
			  dir);
	else if (err)
		log_error("cannot lock %s/lock: %s", dir, strerror(-err));
	if (err)
		instance_close(&d->instance);
	return err;
}

/* What dead ones have left, as far as it is in the way. */
static int release(struct daemon *d, struct error *e)
{
	int err = instance_release(&d->instance, e);

	/* Later on there are no hypercalls any more. */
	if (!err && d->confine.user)
		err = instance_settle(&d->instance, e);
	return err;
}

static void settle(struct daemon *d)
{
	struct error e = { "" };

	if (instance_settle(&d->instance, &e))
		log_error("%s", e.text);
}

static void settle_due(struct reactor_fd *rfd)
{
	struct daemon *d = container_of(rfd, struct daemon, settle_fd);
	uint64_t count;

	if (read(rfd->fd, &count, sizeof(count)) > 0)
		settle(d);
}

/* When guests are served again. */
static void settle_later(struct daemon *d)
{
	struct itimerspec in = { .it_value.tv_sec = SETTLE_S };

	if (instance_unsettled(&d->instance))
		timerfd_settime(d->settle_fd.fd, 0, &in, NULL);
}

/* Blocked in every thread from here on; they arrive on the control thread's loop. */
static int open_signals(struct daemon *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d->signal_fd = (struct reactor_fd){ signalfd(-1, &set, SFD_CLOEXEC), signal_ready };
	d->reminder_fd =
		(struct reactor_fd){ timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
				     reminder_ready };
	if (d->signal_fd.fd < 0 || d->reminder_fd.fd < 0 ||
	    reactor_add_fd(&d->control, &d->signal_fd) ||
	    reactor_add_fd(&d->control, &d->reminder_fd) ||
	    reactor_add_timer(&d->control, &d->settle_fd, settle_due)) {
		log_error("cannot wait for signals: %s", strerror(errno));
		return -EIO;
	}
	return 0;
}

/* The last of the CPUs that we may use, one for each reactor; the first ones are everybody's. */
static void choose_cpus(struct daemon *d, int *cpus)
{
	const struct options *o = &d->options;
	uint32_t i = o->nr_reactors;
	cpu_set_t allowed;

	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	d->nr_cpus = (uint32_t)CPU_COUNT(&allowed);
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && i; cpu--) {
		if (CPU_ISSET(cpu, &allowed))
			cpus[--i] = d->nr_cpus > o->nr_reactors ? cpu : -1;
	}
	while (i)
		cpus[--i] = -1;
	if (o->nr_cpus)
		memcpy(cpus, o->cpus, o->nr_cpus * sizeof(*cpus));
}

static uint32_t max_queues(const struct options *o)
{
	long nr = sysconf(_SC_NPROCESSORS_ONLN);

	if (o->max_queues)
		return o->max_queues;
	return nr < 1 ? 1 : nr > DEFAULT_MAX_QUEUES ? DEFAULT_MAX_QUEUES : (uint32_t)nr;
}

/* The kernel's would answer for the same disks, and who comes first has them. */
static void look_for_blkback(const struct daemon *d)
{
	int fd = open("/sys/bus/xen-backend/drivers/vbd", O_PATH | O_CLOEXEC);

	if (fd < 0)
		return;
	close(fd);
	if (!strcmp(d->options.class, "vbd"))
		log_warning(
			"xen-blkback is loaded, and answers for the same disks: unload it (rmmod "
			"xen-blkback), and keep it out (echo blacklist xen-blkback "
			">/etc/modprobe.d/xenblkd.conf)");
}

static int serve(struct daemon *d)
{
	struct backend_args args = {
		.store = &d->store,
		.control = &d->control,
		.datapath = &d->datapath,
		.dmem = &d->dmem,
		.transfer = d->options.transfer,
		.state_dir = d->options.state_dir,
		.class = d->options.class,
		.max_queues = max_queues(&d->options),
		.ahead = d->store.cache ? &d->ahead : NULL,
		.stopped = stopped,
	};
	struct control_args rpc = {
		.backend = &d->backend,
		.control = &d->control,
		.state_dir = d->options.state_dir,
		.datapath = &d->datapath,
		.metrics_port = (uint16_t)d->options.metrics_port,
		.instance = &d->instance,
		.hand_over = hand_over,
		.arg = d,
	};
	struct error e = { "" };
	int err;

	look_for_blkback(d);
	err = backend_start(&d->backend, &args, &e);

	if (err) {
		log_error("%s", e.text);
		return err;
	}
	d->serving = true;
	/* Guests are served in any case. */
	d->rpc_runs = !control_start(&d->rpc, &rpc, &e);
	if (!d->rpc_runs)
		log_error("%s: there is no control socket", e.text);
	/* All that it takes more privileges to open is open, and nothing has been served. */
	err = confine_lock(&d->confine, &e);
	if (err) {
		log_error("%s", e.text);
		goto stop;
	}
	balance_start(&d->balance, &d->datapath, &d->backend.vbds);
	log_info("xenblkd %s ready: serving %s", XENBLKD_VERSION, d->backend.path);
	sd_notify(0, "READY=1\nSTATUS=Serving the disks of Xen guests");
	settle_later(d);
	reactor_run(&d->control);
	if (d->heir[0]) {
		/* Who asked for it finds the other one there, or nobody. */
		if (d->rpc_runs)
			control_stop(&d->rpc);
		log_info("%s goes on from here", d->heir);
		_exit(EXIT_SUCCESS);
	}
	balance_stop(&d->balance);
stop:
	d->serving = false;
	if (d->rpc_runs)
		control_stop(&d->rpc);
	backend_fini(&d->backend);
	return err;
}

static bool wants_spdk(const struct daemon *d)
{
	return d->options.spdk_config[0] || d->options.spdk_rpc[0];
}

static uint32_t spdk_pages(const struct daemon *d)
{
	return wants_spdk(d) ? d->options.spdk_mib * (1024 * 1024 / DMEM_PAGE_BYTES) : 0;
}

/* A device of SPDK's has appeared, or is larger. */
static void spdk_changed(void *arg)
{
	struct daemon *d = arg;

	if (!d->serving)
		return;
	backend_resize(&d->backend);
	backend_retry(&d->backend);
}

/* Before others have memory: SPDK's is in one piece. */
static int start_spdk(struct daemon *d, struct error *e)
{
	struct spdk_host_args args = {
		.config = d->options.spdk_config[0] ? d->options.spdk_config : NULL,
		.rpc_path = d->options.spdk_rpc[0] ? d->options.spdk_rpc : NULL,
		.dmem = &d->dmem,
		.nr_pages = spdk_pages(d),
		.nr_reactors = d->options.nr_reactors,
		.control = &d->control,
		.changed = spdk_changed,
		.arg = d,
	};

	return wants_spdk(d) ? spdk_host_start(&args, e) : 0;
}

static int join_spdk(struct daemon *d, struct error *e)
{
	int err = 0;

	for (uint32_t i = 0; wants_spdk(d) && i < d->datapath.nr && !err; i++)
		err = spdk_host_join(&d->datapath.reactors[i].reactor, i, e);
	return err;
}

static void turn_ready(struct reactor_fd *rfd)
{
	struct daemon *d = container_of(rfd, struct daemon, instance.turn_fd);

	reactor_del_fd(&d->control, rfd);
	d->stands_by = false;
	reactor_stop(&d->control);
}

/* If another one serves, until it has ended. Return: 0; -ECANCELED if this one is to end; -errno. */
static int stand_by(struct daemon *d)
{
	struct error e = { "" };
	int err;

	if (!d->stands_by)
		return 0;
	err = instance_ready(&d->instance, &e);
	if (!err) {
		err = instance_await(&d->instance, &d->control, turn_ready);
		if (err)
			error_set(&e, -err, "cannot wait for %s/lock: %s", d->options.state_dir,
				  strerror(-err));
	}
	if (err) {
		log_error("%s", e.text);
		return err;
	}
	if (ahead_begin(&d->ahead, &d->store, &d->control, d->options.class, &e))
		log_warning("%s: a takeover will take longer", e.text);
	log_info("xenblkd %s stands by: another one serves", XENBLKD_VERSION);
	sd_notify(0, "READY=1\nSTATUS=Standing by: another xenblkd serves");
	reactor_run(&d->control);
	instance_unready(&d->instance);
	if (d->stopping)
		return -ECANCELED;
	err = release(d, &e);
	/* It found no memory for DMA, and so there are no hypercalls later on. */
	if (!err && !d->confine.dma)
		err = instance_settle(&d->instance, &e);
	/* Now that the other one writes nothing any more. */
	ahead_turn(&d->ahead);
	if (!err)
		err = confine_give_dir(&d->confine, d->options.state_dir, &e);
	if (err)
		log_error("%s", e.text);
	return err;
}

static uint32_t buffer_pages(const struct daemon *d)
{
	return d->options.buffer_mib * (1024 * 1024 / DMEM_PAGE_BYTES);
}

/* Of all reactors. */
static uint32_t data_pages(const struct daemon *d)
{
	return buffer_pages(d) * d->options.nr_reactors;
}

static int run_datapath(struct daemon *d)
{
	int cpus[OPTIONS_MAX_REACTORS];
	struct datapath_args args = {
		.nr_reactors = d->options.nr_reactors,
		.cpus = cpus,
		.state_dir = d->instance.dir,
		.dmem = &d->dmem,
		.buffer_pages = buffer_pages(d),
		.control = &d->control,
	};
	struct reactor_msg *news[OPTIONS_MAX_REACTORS];
	struct error e = { "" };
	int err;

	balance_init(&d->balance, d->options.nr_reactors);
	for (uint32_t i = 0; i < d->options.nr_reactors; i++)
		news[i] = &d->balance.reactors[i].msg;
	/* One alone has nobody to give anything to. */
	if (d->options.nr_reactors > 1)
		args.news = news;
	choose_cpus(d, cpus);
	args.poll_ns = choose_poll_ns(d);
	/* It drives controllers from its start on. */
	err = wants_spdk(d) ? stand_by(d) : 0;
	if (err)
		return err;
	err = start_spdk(d, &e);
	if (err) {
		log_error("%s", e.text);
		return err;
	}
	err = datapath_create(&d->datapath, &args, &e);
	if (err) {
		log_error("%s", e.text);
		goto stop_spdk;
	}
	err = join_spdk(d, &e);
	if (err)
		log_error("%s", e.text);
	else
		err = stand_by(d);
	if (!err)
		err = serve(d);
	/* It lets go of the reactors first. */
	spdk_host_stop();
	datapath_destroy(&d->datapath);
	return err;
stop_spdk:
	spdk_host_stop();
	return err;
}

static void say_how(const struct daemon *d)
{
	const struct dmem *m = &d->dmem;

	switch (m->kind) {
	case DMEM_GRANTED:
		log_info("data goes by grant copy hypercalls, through %u pages of ours",
			 data_pages(d));
		break;
	case DMEM_HUGEPAGES:
		log_info("data goes by grant copy hypercalls, through %u pages of ours in "
			 "hugepages; none goes direct: in a domain whose addresses Xen translates "
			 "it does not map guests' pages for devices alone",
			 data_pages(d));
		break;
	case DMEM_ORDINARY:
		log_warning("data goes by the gntdev driver, through %u pages of ours, and there "
			    "is no memory for DMA: %s",
			    data_pages(d), m->why.text);
		break;
	}
}

/* What a predecessor may have left, if this one serves; and a place for what it will itself. */
static int take_place(struct daemon *d, struct error *e)
{
	const char *dir = d->options.state_dir;
	int err = d->stands_by ? leftover_check(dir, e) : release(d, e);

	if (!err)
		err = instance_make_dir(&d->instance, !d->stands_by, e);
	if (!err && !d->stands_by)
		err = confine_give_dir(&d->confine, dir, e);
	return err;
}

/*
 * There may be no room for it beside what a dead one had. Linux is not told when that is let go
 * of, and looks for it once a second.
 */
static int make_memory(struct daemon *d, const struct dmem_args *args)
{
	int err = dmem_create(&d->dmem, args);
	uint64_t end_ns = clock_ns() + ROOM_MAX_NS;

	if (err || d->dmem.kind != DMEM_ORDINARY || !instance_unsettled(&d->instance))
		return err;
	settle(d);
	do {
		dmem_destroy(&d->dmem);
		dmem_pins_init(args->pins, args->nr_pages);
		err = dmem_create(&d->dmem, args);
	} while (!err && d->dmem.full && clock_ns() < end_ns && !usleep(ROOM_LOOK_US));
	return err;
}

static int run_with_memory(struct daemon *d)
{
	uint32_t nr_pages = data_pages(d) + spdk_pages(d) + DEVICE_PAGES +
			    DEVICE_PAGES_FURTHER * (d->options.nr_reactors - 1);
	struct dmem_args args = {
		.nr_pages = nr_pages,
		.domid = d->store.domid,
		.state_dir = d->instance.dir,
	};
	struct error e = { "" };
	int err = take_place(d, &e);

	if (err) {
		log_error("%s", e.text);
		return err;
	}
	if (d->confine.user)
		args.ordinary = "with --user there are no hypercalls";
	err = record_create(&d->pins, d->instance.dir, "pins", RECORD_PINS, nr_pages,
			    dmem_pins_bytes(nr_pages));
	if (err) {
		log_error("cannot make %s/pins: %s", d->instance.dir, strerror(-err));
		return err;
	}
	dmem_pins_init(d->pins.mem, nr_pages);
	POINT();
	record_commit(&d->pins);
	POINT();
	args.pins = d->pins.mem;
	err = make_memory(d, &args);
	if (err) {
		log_error("no memory for %u pages of data", nr_pages);
		goto destroy_pins;
	}
	say_how(d);
	d->confine.dma = dmem_has_bus(&d->dmem);
	d->confine.spdk = wants_spdk(d);
	err = confine_privileges(&d->confine, &e);
	if (err)
		log_error("%s", e.text);
	else
		err = run_datapath(d);
	settle(d);
	dmem_destroy(&d->dmem);
destroy_pins:
	record_destroy(&d->pins);
	return err;
}

/* Of a record, by its name: whether its disk is still in xenstore. */
static bool is_there(void *arg, const char *disk)
{
	struct daemon *d = arg;
	const char *ids = strchr(disk, '-');
	unsigned int domid, devid;
	char *frontend;

	if (!ids || sscanf(ids, "-%u-%u", &domid, &devid) != 2)
		return true;
	frontend = store_read(&d->store, XBT_NULL, "%s/backend/%.*s/%u/%u/frontend", d->store.root,
			      (int)(ids - disk), disk, domid, devid);
	free(frontend);
	return frontend != NULL;
}

/* What a start does with what is left, and no more of it. */
static int clean(struct daemon *d)
{
	const char *dir = d->options.state_dir;
	struct error e = { "" };
	int err = instance_release(&d->instance, &e);

	if (!err)
		err = instance_settle(&d->instance, &e);
	if (err) {
		log_error("%s", e.text);
		return err;
	}
	aside_sweep(dir, is_there, d);
	control_sweep(dir);
	log_info("%s is clean: what is left there is for the daemon that serves those disks next",
		 dir);
	return 0;
}

static int run(struct daemon *d)
{
	int err = take_lock(d);

	if (err)
		return err;
	err = reactor_init(&d->control, 0);
	if (err)
		goto unlock;
	err = open_signals(d);
	if (err)
		goto fini_control;
	err = store_open(&d->store);
	if (err) {
		log_error("cannot reach xenstore: %s; is this a Xen host, and xenstored running? "
			  "(systemctl status xenstored)",
			  strerror(-err));
		goto fini_control;
	}
	err = d->options.clean ? clean(d) : run_with_memory(d);
	ahead_end(&d->ahead);
	store_close(&d->store);
fini_control:
	if (d->settle_fd.fd >= 0)
		reactor_del_timer(&d->control, &d->settle_fd);
	close(d->reminder_fd.fd);
	close(d->signal_fd.fd);
	reactor_fini(&d->control);
unlock:
	instance_close(&d->instance);
	/* It was told to end before it served. */
	if (err == -ECANCELED)
		err = 0;
	if (!err && !d->options.clean)
		log_info("ended: nothing mapped, nothing bound");
	return err;
}

/* Of what was asked for, all that can be looked at beforehand; errors are for the terminal. */
static int check_options(struct daemon *d)
{
	struct error e;
	char place[320];

	if (options_parse(d->argc, d->argv, &d->options, &e)) {
		fprintf(stderr, "xenblkd: %s\n", e.text);
		return -EINVAL;
	}
	d->confine.mode = d->options.confine;
	d->confine.user = d->options.user[0] ? d->options.user : NULL;
	if (confine_find_user(&d->confine, &e)) {
		options_place(&d->options, "user", place, sizeof(place));
		fprintf(stderr, "xenblkd: %s %s\n", place, e.text);
		return -EINVAL;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct daemon d = { .signal_fd = { .fd = -1 },
				   .reminder_fd = { .fd = -1 },
				   .settle_fd = { .fd = -1 } };

	int err;

	/* Few threads allocate, and seldom; each with an arena of its own would make it in a takeover. */
	mallopt(M_ARENA_MAX, 1);
	d.argc = argc;
	d.argv = argv;
	if (check_options(&d))
		return EXIT_WRONG;
	if (d.options.help)
		options_help(stdout);
	else if (d.options.version)
		printf("xenblkd %s%s%s\n", XENBLKD_VERSION, spdk_host_built() ? ", with " : "",
		       spdk_host_version());
	else if (d.options.check_config)
		options_show(&d.options, stdout);
	else {
		log_set_level(d.options.log_level);
		err = run(&d);
		return !err ? EXIT_SUCCESS : err == -EPROTONOSUPPORT ? EXIT_WRONG : EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
