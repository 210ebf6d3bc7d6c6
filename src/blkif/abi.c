/* SPDX-License-Identifier: BSD-2-Clause */
#include "abi.h"

#include <stddef.h>
#include <string.h>
#include <xen/io/blkif.h>
#include <xen/io/protocols.h>

/*
 * In the order of struct abi: entry, response; id, sector_number, segments and indirect_grefs of a
 * request.
 */
#define LAYOUT_ALIGNED_8 112, 16, 8, 16, 24, 28
#define LAYOUT_ALIGNED_4 108, 12, 4, 12, 20, 24

const struct abi abi_x86_64 = { XEN_IO_PROTO_ABI_X86_64, LAYOUT_ALIGNED_8 };
const struct abi abi_x86_32 = { XEN_IO_PROTO_ABI_X86_32, LAYOUT_ALIGNED_4 };

/* ARM aligns 64-bit fields to 8 bytes in 32-bit guests too. */
static const struct abi abi_arm = { XEN_IO_PROTO_ABI_ARM, LAYOUT_ALIGNED_8 };

#if defined(__x86_64__)
const struct abi *const abi_native = &abi_x86_64;
#define LAYOUT_NATIVE LAYOUT_ALIGNED_8
#elif defined(__i386__)
const struct abi *const abi_native = &abi_x86_32;
#define LAYOUT_NATIVE LAYOUT_ALIGNED_4
#else
const struct abi *const abi_native = &abi_arm;
#define LAYOUT_NATIVE LAYOUT_ALIGNED_8
#endif

/* The numbers above against what the compiler makes of <xen/io/blkif.h>. */
#define ASSERT_LAYOUT(...) ASSERT_LAYOUT_(__VA_ARGS__)
#define ASSERT_LAYOUT_(entry_, response_, id_, sector_, segments_, grefs_)                    \
	_Static_assert(sizeof(union blkif_sring_entry) == (entry_), "ring entry");            \
	_Static_assert(sizeof(struct blkif_response) == (response_), "response");             \
	_Static_assert(offsetof(struct blkif_request, id) == (id_), "id");                    \
	_Static_assert(offsetof(struct blkif_request, sector_number) == (sector_), "sector"); \
	_Static_assert(offsetof(struct blkif_request, seg) == (segments_), "segments");       \
	_Static_assert(offsetof(struct blkif_request_indirect, id) == (id_), "id");           \
	_Static_assert(offsetof(struct blkif_request_indirect, sector_number) == (sector_),   \
		       "sector");                                                             \
	_Static_assert(offsetof(struct blkif_request_indirect, indirect_grefs) == (grefs_),   \
		       "grefs");                                                              \
	_Static_assert(offsetof(struct blkif_request_discard, nr_sectors) == (segments_),     \
		       "nr_sectors")

ASSERT_LAYOUT(LAYOUT_NATIVE);

/* What is the same in every ABI, and therefore not in the table. */
_Static_assert(sizeof(union blkif_sring_entry) >= ABI_REQUEST_MIN_BYTES &&
		       sizeof(union blkif_sring_entry) <= ABI_REQUEST_MAX_BYTES,
	       "entries fit");
_Static_assert(offsetof(struct blkif_request, operation) == 0, "operation");
_Static_assert(offsetof(struct blkif_request, nr_segments) == 1, "nr_segments");
_Static_assert(offsetof(struct blkif_request_discard, flag) == 1, "flag");
_Static_assert(sizeof(struct blkif_response) <= sizeof(struct abi_response), "responses fit");
_Static_assert(offsetof(struct blkif_response, id) == offsetof(struct abi_response, id), "id");
_Static_assert(offsetof(struct blkif_response, operation) ==
		       offsetof(struct abi_response, operation),
	       "operation");
_Static_assert(offsetof(struct blkif_response, status) == offsetof(struct abi_response, status),
	       "status");
_Static_assert(sizeof(struct blkif_request_segment) == 8, "segment");
_Static_assert(sizeof(struct blkif_request_indirect) <= ABI_REQUEST_MAX_BYTES, "entries fit");
_Static_assert(offsetof(struct blkif_request_indirect, indirect_op) == 1, "indirect_op");
_Static_assert(offsetof(struct blkif_request_indirect, nr_segments) == 2, "indirect nr_segments");

const struct abi *abi_from_protocol(const char *protocol)
{
	static const struct abi *const all[] = { &abi_x86_64, &abi_x86_32, &abi_arm };

	if (!protocol)
		return abi_native;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(protocol, all[i]->protocol))
			return all[i];
	return NULL;
}
