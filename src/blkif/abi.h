/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * abi - how a frontend lays out requests and responses in the ring.
 *
 * blkif's structures are plain C structures, so a 32-bit x86 guest places them otherwise than a
 * 64-bit one: there, 64-bit fields are aligned to 4 bytes. A frontend names its layout in the node
 * "protocol" (XEN_IO_PROTO_ABI_* in <xen/io/protocols.h>); without the node it is the native one.
 * What differs is one table of offsets; nothing else in the project knows of it.
 *
 * Offsets and sizes are in bytes. Source: <xen/io/blkif.h>.
 *
 * Thread: any; the tables are constant.
 */
#ifndef XENBLKD_ABI_H
#define XENBLKD_ABI_H

#include <stdint.h>

/* A request of any ABI has so many bytes. */
#define ABI_REQUEST_MIN_BYTES 108
#define ABI_REQUEST_MAX_BYTES 112

/* A response of any ABI: all of it, or all but the padding. */
struct abi_response {
	uint64_t id;
	uint8_t operation;
	uint8_t none;
	int16_t status;
	uint32_t padding;
};

struct abi {
	const char *protocol; /* the value of the node "protocol" */
	uint8_t entry_bytes; /* distance of two ring entries: sizeof(union blkif_sring_entry) */
	uint8_t response_bytes;

	/* Offsets that all requests share; operation is at 0 and nr_segments at 1 in every ABI. */
	uint8_t id;
	uint8_t sector_number;
	uint8_t segments; /* first struct blkif_request_segment; these are 8 bytes in every ABI;
			     nr_sectors of a discard */
	uint8_t indirect_grefs; /* of an indirect request; its nr_segments is at 2 in every ABI */
};

extern const struct abi abi_x86_64, abi_x86_32;

/* The ABI of the machine that this was compiled for. */
extern const struct abi *const abi_native;

/**
 * abi_from_protocol - the ABI that a frontend asked for
 *
 * @protocol: the value of its node "protocol", or NULL where there is none
 *
 * Return: the ABI, or NULL if the name is unknown.
 */
const struct abi *abi_from_protocol(const char *protocol);

#endif
