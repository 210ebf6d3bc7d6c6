/* SPDX-License-Identifier: BSD-2-Clause */
/* xenblkd: arguments, memory, wiring. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "daemon.h"
#include "host.h"
#include "log.h"
#include "point.h"

_Static_assert(OPTIONS_MAX_REACTORS == DATAPATH_MAX_REACTORS, "each that can be asked for");

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

/* Of all reactors. */
static uint32_t data_pages(const struct daemon *d)
{
	return daemon_buffer_pages(d) * d->options.nr_reactors;
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
	predecessor_settle(d);
	do {
		dmem_destroy(&d->dmem);
		dmem_pins_init(args->pins, args->nr_pages);
		err = dmem_create(&d->dmem, args);
	} while (!err && d->dmem.full && clock_ns() < end_ns && !usleep(ROOM_LOOK_US));
	return err;
}

static int run_with_memory(struct daemon *d)
{
	uint32_t nr_pages = data_pages(d) + daemon_spdk_pages(d) + DEVICE_PAGES +
			    DEVICE_PAGES_FURTHER * (d->options.nr_reactors - 1);
	struct dmem_args args = {
		.nr_pages = nr_pages,
		.domid = d->store.domid,
		.state_dir = d->instance.dir,
	};
	struct error e = { "" };
	int err = predecessor_take_place(d, &e);

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
	d->confine.spdk = daemon_wants_spdk(d);
	err = confine_privileges(&d->confine, &e);
	if (err)
		log_error("%s", e.text);
	else
		err = daemon_serve(d);
	predecessor_settle(d);
	dmem_destroy(&d->dmem);
destroy_pins:
	record_destroy(&d->pins);
	return err;
}

static int run(struct daemon *d)
{
	int err = predecessor_lock(d);

	if (err)
		return err;
	err = reactor_init(&d->control, 0);
	if (err)
		goto unlock;
	err = signals_open(d);
	if (err)
		goto fini_control;
	err = store_open(&d->store);
	if (err) {
		log_error("cannot reach xenstore: %s; is this a Xen host, and xenstored running? "
			  "(systemctl status xenstored)",
			  strerror(-err));
		goto fini_control;
	}
	err = d->options.clean ? predecessor_clean(d) : run_with_memory(d);
	ahead_end(&d->ahead);
	store_close(&d->store);
fini_control:
	signals_close(d);
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
