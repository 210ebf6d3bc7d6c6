/* SPDX-License-Identifier: BSD-2-Clause */
/* xenblkd: arguments, signals, wiring. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "backend.h"
#include "clock.h"
#include "datapath.h"
#include "dmem.h"
#include "leftover.h"
#include "log.h"
#include "options.h"
#include "reactor.h"
#include "record.h"
#include "store.h"
#include "transfer.h"

_Static_assert(OPTIONS_MAX_REACTORS == DATAPATH_MAX_REACTORS, "each that can be asked for");

/* How often a daemon that is to end says what it still waits for. */
#define STOP_REMINDER_S 10

/*
 * Beside those for data: queues and lists of the controllers that we drive, and what is merged; and
 * what each further reactor wants of that.
 */
#define DEVICE_PAGES	     1024u
#define DEVICE_PAGES_FURTHER 256u

/* Of a disk, where nobody said how many: what Linux guests take if they can have it. */
#define DEFAULT_MAX_QUEUES 4u

struct daemon {
	struct options options;
	int lock_fd;
	struct store store;
	struct reactor control;
	struct transfer transfer;
	struct record pins;
	struct dmem dmem;
	struct datapath datapath;
	struct backend backend;
	struct reactor_fd signal_fd, reminder_fd;
	bool stopping;
};

static void stopped(struct backend *b)
{
	struct daemon *d = container_of(b, struct daemon, backend);

	reactor_stop(&d->control);
}

static void stop(struct daemon *d, uint32_t signo)
{
	struct itimerspec often = { { STOP_REMINDER_S, 0 }, { STOP_REMINDER_S, 0 } };

	if (d->stopping) {
		log_error("%s again: ending at once, with I/O in flight", strsignal((int)signo));
		_exit(EXIT_FAILURE);
	}
	d->stopping = true;
	log_info("%s: finishing what is in flight", strsignal((int)signo));
	sd_notify(0, "STOPPING=1");
	timerfd_settime(d->reminder_fd.fd, 0, &often, NULL);
	backend_stop(&d->backend);
}

static void signal_ready(struct reactor_fd *rfd)
{
	struct daemon *d = container_of(rfd, struct daemon, signal_fd);
	struct signalfd_siginfo info;

	if (read(rfd->fd, &info, sizeof(info)) == sizeof(info))
		stop(d, info.ssi_signo);
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
	char path[128];

	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		log_error("cannot make %s: %s", dir, strerror(errno));
		return -errno;
	}
	snprintf(path, sizeof(path), "%s/lock", dir);
	d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock_fd < 0) {
		log_error("cannot open %s: %s", path, strerror(errno));
		return -errno;
	}
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		log_error("another xenblkd is running: it holds %s", path);
		close(d->lock_fd);
		return -EBUSY;
	}
	return 0;
}

/* Blocked in every thread from here on; they arrive on the control thread's loop. */
static int open_signals(struct daemon *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d->signal_fd = (struct reactor_fd){ signalfd(-1, &set, SFD_CLOEXEC), signal_ready };
	d->reminder_fd =
		(struct reactor_fd){ timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
				     reminder_ready };
	if (d->signal_fd.fd < 0 || d->reminder_fd.fd < 0 ||
	    reactor_add_fd(&d->control, &d->signal_fd) ||
	    reactor_add_fd(&d->control, &d->reminder_fd)) {
		log_error("cannot wait for signals: %s", strerror(errno));
		return -EIO;
	}
	return 0;
}

/* The last of the CPUs that we may use, one for each reactor; the first ones are everybody's. */
static void choose_cpus(const struct options *o, int *cpus, uint64_t *poll_ns)
{
	cpu_set_t allowed;
	uint32_t nr = 0, i = o->nr_reactors;

	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	nr = (uint32_t)CPU_COUNT(&allowed);
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && i; cpu--) {
		if (CPU_ISSET(cpu, &allowed))
			cpus[--i] = nr > o->nr_reactors ? cpu : -1;
	}
	while (i)
		cpus[--i] = -1;
	if (o->nr_cpus)
		memcpy(cpus, o->cpus, o->nr_cpus * sizeof(*cpus));
	/* Who spins on the last CPU takes it from those that would give us work. */
	*poll_ns = o->poll_us >= 0	 ? (uint64_t)o->poll_us * NS_PER_US
		   : nr > o->nr_reactors ? 50 * NS_PER_US
					 : 0;
}

static uint32_t max_queues(const struct options *o)
{
	long nr = sysconf(_SC_NPROCESSORS_ONLN);

	if (o->max_queues)
		return o->max_queues;
	return nr < 1 ? 1 : nr > DEFAULT_MAX_QUEUES ? DEFAULT_MAX_QUEUES : (uint32_t)nr;
}

static int serve(struct daemon *d)
{
	struct backend_args args = {
		.store = &d->store,
		.control = &d->control,
		.datapath = &d->datapath,
		.dmem = &d->dmem,
		.transfer = d->transfer,
		.state_dir = d->options.state_dir,
		.class = d->options.class,
		.max_queues = max_queues(&d->options),
		.stopped = stopped,
	};
	struct error e = { "" };
	int err = backend_start(&d->backend, &args, &e);

	if (err) {
		log_error("%s", e.text);
		return err;
	}
	log_info("xenblkd %s ready: serving %s", XENBLKD_VERSION, d->backend.path);
	sd_notify(0, "READY=1\nSTATUS=Serving the disks of Xen guests");
	reactor_run(&d->control);
	backend_fini(&d->backend);
	return 0;
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
		.state_dir = d->options.state_dir,
		.dmem = &d->dmem,
		.buffer_pages = buffer_pages(d),
	};
	struct error e = { "" };
	int err;

	choose_cpus(&d->options, cpus, &args.poll_ns);
	err = datapath_create(&d->datapath, &args, &e);
	if (err) {
		log_error("%s", e.text);
		return err;
	}
	err = serve(d);
	datapath_destroy(&d->datapath);
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

/* Memory, and what a predecessor may have left of it. */
static int run_with_memory(struct daemon *d)
{
	const char *dir = d->options.state_dir;
	uint32_t nr_pages =
		data_pages(d) + DEVICE_PAGES + DEVICE_PAGES_FURTHER * (d->options.nr_reactors - 1);
	struct dmem_args args = {
		.nr_pages = nr_pages,
		.domid = d->store.domid,
		.state_dir = dir,
	};
	struct error e = { "" };
	int err = leftover_release(dir, &e);

	if (err) {
		log_error("%s", e.text);
		return err;
	}
	err = record_create(&d->pins, dir, "pins", RECORD_PINS, nr_pages,
			    dmem_pins_bytes(nr_pages));
	if (err) {
		log_error("cannot make %s/pins: %s", dir, strerror(-err));
		return err;
	}
	dmem_pins_init(d->pins.mem, nr_pages);
	record_commit(&d->pins);
	args.pins = d->pins.mem;
	err = dmem_create(&d->dmem, &args);
	if (err) {
		log_error("no memory for %u pages of data", nr_pages);
		goto destroy_pins;
	}
	say_how(d);
	err = run_datapath(d);
	dmem_destroy(&d->dmem);
destroy_pins:
	record_destroy(&d->pins);
	return err;
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
		log_error("cannot reach xenstore: %s; is this a Xen host?", strerror(-err));
		goto fini_control;
	}
	err = run_with_memory(d);
	store_close(&d->store);
fini_control:
	close(d->reminder_fd.fd);
	close(d->signal_fd.fd);
	reactor_fini(&d->control);
unlock:
	close(d->lock_fd);
	if (!err)
		log_info("ended: nothing mapped, nothing bound");
	return err;
}

int main(int argc, char **argv)
{
	static struct daemon d = { .signal_fd = { .fd = -1 }, .reminder_fd = { .fd = -1 } };
	struct error e;

	if (options_parse(argc, argv, &d.options, &e) ||
	    transfer_parse(d.options.transfer, &d.transfer, &e)) {
		fprintf(stderr, "xenblkd: %s\n", e.text);
		return 2;
	}
	if (d.options.help || d.options.version) {
		if (d.options.help)
			options_help(stdout);
		else
			printf("xenblkd %s\n", XENBLKD_VERSION);
		return EXIT_SUCCESS;
	}
	log_set_level(d.options.log_level);
	return run(&d) ? EXIT_FAILURE : EXIT_SUCCESS;
}
