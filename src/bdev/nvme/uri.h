/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uri - the name of a disk on NVMe: BDF/NSID, or BDF/NSID/PARTITION.
 *
 * Thread: any; pure.
 */
#ifndef XENBLKD_NVME_URI_H
#define XENBLKD_NVME_URI_H

#include <stdint.h>

#include "error.h"

struct nvme_uri {
	char bdf[20]; /* as sysfs writes it: 0000:00:05.0 */
	uint32_t nsid;
	char partition[128]; /* empty: all of the namespace */
};

/**
 * nvme_uri_parse - takes apart what follows "nvme:"
 *
 * Return: 0; or -EINVAL and *@e: @out is then untouched.
 */
int nvme_uri_parse(const char *rest, struct nvme_uri *out, struct error *e);

#endif
