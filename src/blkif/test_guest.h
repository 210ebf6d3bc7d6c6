/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_guest - what a guest writes and reads, for the unit tests of this folder alone.
 *
 * The structures are made anew here, each with the alignment of its ABI, so that the tests do not
 * believe the table of abi.c.
 */
#ifndef XENBLKD_TEST_GUEST_H
#define XENBLKD_TEST_GUEST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <xen/io/blkif.h>

#include "abi.h"

struct x86_64_request {
	uint8_t operation;
	uint8_t nr_segments;
	uint16_t handle;
	_Alignas(8) uint64_t id;
	uint64_t sector_number;
	struct blkif_request_segment seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};

struct x86_64_indirect {
	uint8_t operation;
	uint8_t indirect_op;
	uint16_t nr_segments;
	_Alignas(8) uint64_t id;
	uint64_t sector_number;
	uint16_t handle;
	uint32_t indirect_grefs[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
};

struct x86_64_response {
	_Alignas(8) uint64_t id;
	uint8_t operation;
	int16_t status;
};

struct x86_64_discard {
	uint8_t operation;
	uint8_t flag;
	uint16_t handle;
	_Alignas(8) uint64_t id;
	uint64_t sector_number;
	uint64_t nr_sectors;
};

#pragma pack(push, 4)
struct x86_32_discard {
	uint8_t operation;
	uint8_t flag;
	uint16_t handle;
	uint64_t id;
	uint64_t sector_number;
	uint64_t nr_sectors;
};

struct x86_32_request {
	uint8_t operation;
	uint8_t nr_segments;
	uint16_t handle;
	uint64_t id;
	uint64_t sector_number;
	struct blkif_request_segment seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};

struct x86_32_indirect {
	uint8_t operation;
	uint8_t indirect_op;
	uint16_t nr_segments;
	uint64_t id;
	uint64_t sector_number;
	uint16_t handle;
	uint32_t indirect_grefs[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
	uint64_t pad;
};

struct x86_32_response {
	uint64_t id;
	uint8_t operation;
	int16_t status;
};
#pragma pack(pop)

/* Ends with NULL. */
static const struct abi *const guest_abis[] = { &abi_x86_64, &abi_x86_32, NULL };

/* A request in no ABI in particular. */
struct guest_request {
	uint8_t operation;
	uint8_t nr_segments;
	uint16_t handle;
	uint64_t id;
	uint64_t sector_number;
	struct blkif_request_segment seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};

#define GUEST_COPY_FIELDS(to, from)                                \
	do {                                                       \
		(to)->operation = (from)->operation;               \
		(to)->nr_segments = (from)->nr_segments;           \
		(to)->handle = (from)->handle;                     \
		(to)->id = (from)->id;                             \
		(to)->sector_number = (from)->sector_number;       \
		memcpy((to)->seg, (from)->seg, sizeof((to)->seg)); \
	} while (0)

/* guest_write_request - lays out @g at @to as a guest of that ABI does. */
static inline void guest_write_request(const struct abi *abi, const struct guest_request *g,
				       void *to)
{
	struct x86_64_request r64 = { 0 };
	struct x86_32_request r32 = { 0 };

	GUEST_COPY_FIELDS(&r64, g);
	GUEST_COPY_FIELDS(&r32, g);
	if (abi == &abi_x86_32)
		memcpy(to, &r32, sizeof(r32));
	else
		memcpy(to, &r64, sizeof(r64));
}

/* guest_write_indirect - likewise an indirect request. */
static inline void guest_write_indirect(const struct abi *abi, const struct x86_64_indirect *g,
					void *to)
{
	struct x86_32_indirect r32 = {
		.operation = g->operation,
		.indirect_op = g->indirect_op,
		.nr_segments = g->nr_segments,
		.id = g->id,
		.sector_number = g->sector_number,
		.handle = g->handle,
	};

	memcpy(r32.indirect_grefs, g->indirect_grefs, sizeof(r32.indirect_grefs));
	if (abi == &abi_x86_32)
		memcpy(to, &r32, sizeof(r32));
	else
		memcpy(to, g, sizeof(*g));
}

#endif
