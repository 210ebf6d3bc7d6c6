/* SPDX-License-Identifier: BSD-2-Clause */
/* The datapath and what serves guests by it, at once or when another one has ended. */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "host.h"
#include "log.h"

/* Of a disk, where nobody said how many: what Linux guests take if they can have it. */
#define DEFAULT_MAX_QUEUES 4u

static void stopped(struct backend *b)
{
	struct daemon *d = container_of(b, struct daemon, backend);

	reactor_stop(&d->control);
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
		.hand_over = daemon_hand_over,
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
	predecessor_settle_later(d);
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

bool daemon_wants_spdk(const struct daemon *d)
{
	return d->options.spdk_config[0] || d->options.spdk_rpc[0];
}

uint32_t daemon_spdk_pages(const struct daemon *d)
{
	return daemon_wants_spdk(d) ? d->options.spdk_mib * (1024 * 1024 / DMEM_PAGE_BYTES) : 0;
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
		.nr_pages = daemon_spdk_pages(d),
		.nr_reactors = d->options.nr_reactors,
		.control = &d->control,
		.changed = spdk_changed,
		.arg = d,
	};

	return daemon_wants_spdk(d) ? spdk_host_start(&args, e) : 0;
}

static int join_spdk(struct daemon *d, struct error *e)
{
	int err = 0;

	for (uint32_t i = 0; daemon_wants_spdk(d) && i < d->datapath.nr && !err; i++)
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
	err = predecessor_release(d, &e);
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

uint32_t daemon_buffer_pages(const struct daemon *d)
{
	return d->options.buffer_mib * (1024 * 1024 / DMEM_PAGE_BYTES);
}

int daemon_serve(struct daemon *d)
{
	int cpus[OPTIONS_MAX_REACTORS];
	struct datapath_args args = {
		.nr_reactors = d->options.nr_reactors,
		.cpus = cpus,
		.state_dir = d->instance.dir,
		.dmem = &d->dmem,
		.buffer_pages = daemon_buffer_pages(d),
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
	args.poll_ns = daemon_poll_ns(d);
	/* It drives controllers from its start on. */
	err = daemon_wants_spdk(d) ? stand_by(d) : 0;
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
