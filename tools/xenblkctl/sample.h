/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sample - what the disks did between two looks at their counters.
 */
#ifndef XENBLKCTL_SAMPLE_H
#define XENBLKCTL_SAMPLE_H

#include "client.h"

/* For each second, and on the average. */
struct rate {
	double read_iops, write_iops, other_iops;
	double read_mbs, write_mbs; /* of 10^6 bytes */
	double latency_us; /* from the ring to the device and back; 0: no requests */
};

/* A look; the daemon's answer to disk.list. */
struct sample {
	struct json_object *answer; /* or NULL */
};

enum status sample_take(struct sample *s, struct client *c);
void sample_put(struct sample *s);

/* sample_disks - an array. */
struct json_object *sample_disks(const struct sample *s);

/* sample_rate - of a disk of @now; without @before: since the disk was made, 0 */
struct rate sample_rate(const struct sample *before, const struct sample *now,
			struct json_object *disk);

#endif
