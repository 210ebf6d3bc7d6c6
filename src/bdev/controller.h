/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * controller - a piece of hardware behind bdevs that we drive by ourselves, and how it is: for those
 * who look after it.
 *
 * What it says of its health is asked now and then beside the datapath, and kept; looking at it asks
 * nothing of the hardware and waits for nobody.
 */
#ifndef XENBLKD_CONTROLLER_H
#define XENBLKD_CONTROLLER_H

#include <stdbool.h>
#include <stdint.h>

/* As NVMe has it: 1.4, 5.14.1.2. */
struct controller_health {
	bool known; /* or it was not asked yet, or does not tell */
	uint8_t warnings; /* bits of enum controller_warning; 0: none */
	uint8_t spare_percent, spare_threshold_percent;
	uint8_t used_percent; /* of the life it is made for; may be more than 100 */
	uint16_t kelvin; /* 0: not known */
	uint64_t bytes_read, bytes_written; /* by all that ever used it */
	uint64_t power_cycles, power_on_hours, unsafe_shutdowns;
	uint64_t media_errors, log_errors;
};

enum controller_warning {
	CONTROLLER_SPARE = 1 << 0, /* spare blocks are below the threshold */
	CONTROLLER_TEMPERATURE = 1 << 1,
	CONTROLLER_RELIABILITY = 1 << 2, /* degraded */
	CONTROLLER_READ_ONLY = 1 << 3, /* its media are */
	CONTROLLER_BACKUP = 1 << 4, /* of its volatile memory has failed */
};

struct controller {
	const char *uri; /* as its bdevs begin: "nvme:0000:05:00.0" */
	const char *model, *serial, *firmware; /* printable */
	uint32_t nr_disks;
	uint32_t nr_resets; /* by us, for it did not do what it should */
	bool failed; /* for good: all that is sent to it fails */
	struct controller_health health;
};

/* controllers_see - each of those that are in use, with pointers that hold for the call. Thread: control. */
void controllers_see(void (*see)(void *arg, const struct controller *c), void *arg);

#endif
