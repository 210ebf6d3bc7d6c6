/* SPDX-License-Identifier: BSD-2-Clause */
/* xensim-nvme: an NVMe controller of the machine, with namespaces in files. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "nvme_device.h"

#define VENDOR	   0x1b36u
#define IDLE_SPINS 2000u
#define IDLE_NS	   50000

/* CAP, 3.1.1: no more than so deep, contiguous, ten seconds to become ready, as others have whose machine is busy. */
#define CAP_LOW ((DEVICE_MAX_DEPTH - 1) | 1u << 16 | 20u << 24)

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	ended = true;
}

static void registers_init(struct device *d)
{
	memset(d->bar, 0, DEVICE_BAR_BYTES);
	*device_register(d, NVME_CAP) = CAP_LOW;
	*device_register(d, NVME_CAP_HIGH) = NVME_CAP_CSS_NVM;
	*device_register(d, NVME_VS) = 0x00010400;
	d->config[0] = VENDOR & 0xff;
	d->config[1] = VENDOR >> 8;
	d->ready = false;
	device_reset(d);
}

static void enable(struct device *d)
{
	uint32_t aqa = *device_register(d, NVME_AQA);
	uint64_t asq, acq;

	memcpy(&asq, d->bar + NVME_ASQ, sizeof(asq));
	memcpy(&acq, d->bar + NVME_ACQ, sizeof(acq));
	device_reset(d);
	d->sqs[0] = (struct device_sq){ asq, (aqa & 0xfff) + 1, 0, 0 };
	d->cqs[0] = (struct device_cq){ acq, (aqa >> 16 & 0xfff) + 1, 0, true };
	d->ready = true;
	SIM_COUNT(nvme_resets, 1);
	__atomic_store_n(device_register(d, NVME_CSTS), NVME_CSTS_RDY, __ATOMIC_RELEASE);
}

static void disable(struct device *d)
{
	device_reset(d);
	d->ready = false;
	__atomic_store_n(device_register(d, NVME_CSTS), 0, __ATOMIC_RELEASE);
}

/* Pulled out: everything reads as ones. */
static bool look_gone(struct device *d)
{
	bool gone = sim()->controls.nvme_gone;

	if (gone) {
		memset(d->bar, 0xff, DEVICE_BAR_BYTES);
		memset(d->config, 0xff, 2);
	} else if (d->gone) {
		registers_init(d);
	}
	d->gone = gone;
	return gone;
}

/* Return: true if there was something to do. */
static bool turn(struct device *d)
{
	uint32_t cc, csts;

	if (look_gone(d))
		return false;
	cc = *device_register(d, NVME_CC);
	if ((cc & NVME_CC_EN) && !d->ready) {
		enable(d);
		return true;
	}
	if (!(cc & NVME_CC_EN) && d->ready) {
		disable(d);
		return true;
	}
	csts = *device_register(d, NVME_CSTS);
	if ((cc & NVME_CC_SHN_MASK) && !(csts & NVME_CSTS_SHST_MASK)) {
		for (uint32_t i = 0; i < d->nr_namespaces; i++)
			fdatasync(d->namespaces[i].fd);
		*device_register(d, NVME_CSTS) = csts | NVME_CSTS_SHST_DONE;
	}
	return d->ready && device_poll(d);
}

static void run(struct device *d)
{
	struct timespec pause = { 0, IDLE_NS };
	uint32_t idle = 0;

	while (!ended) {
		if (turn(d)) {
			idle = 0;
		} else if (++idle > IDLE_SPINS) {
			nanosleep(&pause, NULL);
		}
	}
}

static int add_namespace(struct device *d, const char *path)
{
	struct device_namespace *ns = &d->namespaces[d->nr_namespaces];
	struct stat st;

	if (d->nr_namespaces == DEVICE_NAMESPACES)
		return -E2BIG;
	ns->fd = open(path, O_RDWR | O_CLOEXEC);
	if (ns->fd < 0 || fstat(ns->fd, &st) < 0)
		return -errno;
	ns->bytes = (uint64_t)st.st_size;
	d->nr_namespaces++;
	return 0;
}

static int parse(struct device *d, int argc, char **argv)
{
	int opt, err = 0;

	d->block_bytes = 512;
	while ((opt = getopt(argc, argv, "4pz")) != -1) {
		if (opt == '4')
			d->block_bytes = 4096;
		else if (opt == 'p')
			d->prps_alone = true;
		else if (opt == 'z')
			d->zeroes_alone = true;
		else
			return -EINVAL;
	}
	if (optind + 2 > argc || strlen(argv[optind]) >= sizeof(d->bdf))
		return -EINVAL;
	strcpy(d->bdf, argv[optind++]);
	for (; optind < argc && !err; optind++)
		err = add_namespace(d, argv[optind]);
	return err;
}

int main(int argc, char **argv)
{
	static struct device d;
	int err;

	err = parse(&d, argc, argv);
	if (err == -EINVAL) {
		fprintf(stderr, "Usage: XENSIM_DIR=DIR xensim-nvme [-4pz] BDF FILE...\n\n"
				"  -4  blocks of 4096 bytes instead of 512\n"
				"  -p  takes PRPs alone, no SGLs\n"
				"  -z  deallocates by write zeroes alone\n");
		return 2;
	}
	if (!err)
		err = sim_open();
	if (!err)
		err = device_plug(&d);
	if (err) {
		fprintf(stderr, "xensim-nvme: %s\n", strerror(-err));
		return EXIT_FAILURE;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	registers_init(&d);
	run(&d);
	device_unplug(&d);
	return EXIT_SUCCESS;
}
