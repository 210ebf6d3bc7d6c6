/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * identify - what a controller says of itself and of a namespace, checked.
 *
 * The data comes from a device and is believed as far as it makes sense.
 *
 * Thread: any; pure.
 */
#ifndef XENBLKD_NVME_IDENTIFY_H
#define XENBLKD_NVME_IDENTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "nvme.h"

/* NVMe 1.4, 3.1.1 */
struct identify_cap {
	uint32_t depth; /* entries that an I/O queue can have */
	uint32_t ready_ms; /* how long the controller may take to start or stop */
	uint32_t doorbell_bytes; /* from one doorbell to the next */
	uint32_t page_min_bytes; /* the least page size */
	uint32_t nr_qids; /* queue pairs whose doorbells are among the registers; at least 1 */
};

/**
 * identify_cap_parse - of the two halves of CAP
 *
 * @bar_bytes: how many there are of registers and doorbells
 *
 * Return: 0; or -EOPNOTSUPP and *@e, what follows the controller's name in a sentence.
 */
int identify_cap_parse(uint32_t low, uint32_t high, size_t bar_bytes, struct identify_cap *out,
		       struct error *e);

/* NVMe 1.4, 5.15.2.2 */
struct identify_ctrl {
	char serial[21], model[41], firmware[9]; /* printable, without blanks around them */
	uint32_t nr_namespaces; /* the greatest id of one */
	uint32_t max_transfer_bytes; /* of one command; UINT32_MAX: no limit */
	bool volatile_cache; /* what was written is durable after a flush only */
	bool dataset_management, write_zeroes; /* commands it has */
	bool sgl;
	uint32_t shutdown_ms; /* how long a shutdown may take */
};

/**
 * identify_ctrl_parse - of NVME_IDENTIFY_BYTES bytes
 *
 * @page_min_bytes: what MDTS counts in: the controller's least page size
 *
 * Return: 0; or -EOPNOTSUPP and *@e.
 */
int identify_ctrl_parse(const uint8_t *raw, uint32_t page_min_bytes, struct identify_ctrl *out,
			struct error *e);

/* What one command may do that has no data. NVM command set 1.0, 4.1.5.4 */
struct identify_limits {
	uint32_t deallocate_blocks; /* UINT32_MAX: no limit */
	uint32_t zero_bytes; /* 0: it does not say; UINT32_MAX: no limit */
};

/* identify_limits_parse - of NVME_IDENTIFY_BYTES bytes, all 0 if the controller does not know them. */
void identify_limits_parse(const uint8_t *raw, uint32_t page_min_bytes,
			   struct identify_limits *out);

/* NVMe 1.4, 5.15.2.1 */
struct identify_ns {
	uint64_t size_bytes;
	uint32_t block_bytes; /* 512 to 4096 */
	uint32_t preferred_bytes; /* a power of two, at least block_bytes */
	uint32_t deallocate_bytes; /* what it deallocates at once; a multiple of block_bytes */
	bool zeroes_deallocate; /* its blocks can be deallocated by writing zeroes */
};

/**
 * identify_ns_parse - of NVME_IDENTIFY_BYTES bytes
 *
 * Return: 0; or -errno and *@e: -ENODEV if there is no such namespace, -EOPNOTSUPP if its format is
 * none of ours.
 */
int identify_ns_parse(const uint8_t *raw, uint32_t nsid, struct identify_ns *out, struct error *e);

#endif
