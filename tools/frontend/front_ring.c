/* SPDX-License-Identifier: BSD-2-Clause */
#include "front_ring.h"

#include <errno.h>
#include <string.h>
#include <xen/io/blkif.h>
#include <xen/io/protocols.h>

#define MAX_SEGMENTS	   BLKIF_MAX_SEGMENTS_PER_REQUEST
#define MAX_INDIRECT_PAGES BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST

_Static_assert(sizeof(struct blkif_request_segment) * FRONT_SEGMENTS_PER_PAGE == FRONT_PAGE_BYTES,
	       "segments fill a page");

/*
 * The structures of one ABI, after those of blkif.h, and what fills them. Where the macro is used
 * says how fields are aligned, which is all that differs, but for a pad of i386's.
 */
#define DEFINE_ABI(abi, indirect_pad)                                                   \
	struct abi##_request {                                                          \
		uint8_t operation;                                                      \
		uint8_t nr_segments;                                                    \
		uint16_t handle;                                                        \
		uint64_t id;                                                            \
		uint64_t sector;                                                        \
		struct blkif_request_segment segments[MAX_SEGMENTS];                    \
	};                                                                              \
	struct abi##_discard {                                                          \
		uint8_t operation;                                                      \
		uint8_t flag;                                                           \
		uint16_t handle;                                                        \
		uint64_t id;                                                            \
		uint64_t sector;                                                        \
		uint64_t nr_sectors;                                                    \
	};                                                                              \
	struct abi##_indirect {                                                         \
		uint8_t operation;                                                      \
		uint8_t indirect_op;                                                    \
		uint16_t nr_segments;                                                   \
		uint64_t id;                                                            \
		uint64_t sector;                                                        \
		uint16_t handle;                                                        \
		uint32_t grefs[MAX_INDIRECT_PAGES];                                     \
		indirect_pad                                                            \
	};                                                                              \
	struct abi##_response {                                                         \
		uint64_t id;                                                            \
		uint8_t operation;                                                      \
		int16_t status;                                                         \
	};                                                                              \
                                                                                        \
	static void abi##_encode(const struct front_request *req, void *entry)          \
	{                                                                               \
		struct abi##_request out = {                                            \
			.operation = req->operation,                                    \
			.nr_segments = (uint8_t)req->nr_segments,                       \
			.handle = req->handle,                                          \
			.id = req->id,                                                  \
			.sector = req->sector,                                          \
		};                                                                      \
                                                                                        \
		write_segments(out.segments, req->segments,                             \
			       min_u16(req->nr_segments, MAX_SEGMENTS));                \
		memcpy(entry, &out, sizeof(out));                                       \
	}                                                                               \
                                                                                        \
	static void abi##_encode_discard(const struct front_request *req, void *entry)  \
	{                                                                               \
		struct abi##_discard out = {                                            \
			.operation = req->operation,                                    \
			.flag = req->flag,                                              \
			.handle = req->handle,                                          \
			.id = req->id,                                                  \
			.sector = req->sector,                                          \
			.nr_sectors = req->nr_sectors,                                  \
		};                                                                      \
                                                                                        \
		memcpy(entry, &out, sizeof(out));                                       \
	}                                                                               \
                                                                                        \
	static void abi##_encode_indirect(const struct front_request *req, void *entry) \
	{                                                                               \
		struct abi##_indirect out = {                                           \
			.operation = BLKIF_OP_INDIRECT,                                 \
			.indirect_op = req->operation,                                  \
			.nr_segments = req->nr_segments,                                \
			.id = req->id,                                                  \
			.sector = req->sector,                                          \
			.handle = req->handle,                                          \
		};                                                                      \
                                                                                        \
		write_indirect(out.grefs, req);                                         \
		memcpy(entry, &out, sizeof(out));                                       \
	}                                                                               \
                                                                                        \
	static void abi##_decode(const void *entry, struct front_response *out)         \
	{                                                                               \
		struct abi##_response in;                                               \
                                                                                        \
		memcpy(&in, entry, sizeof(in));                                         \
		out->id = in.id;                                                        \
		out->operation = in.operation;                                          \
		out->status = in.status;                                                \
	}

static uint16_t min_u16(uint16_t a, uint16_t b)
{
	return a < b ? a : b;
}

static void write_segments(struct blkif_request_segment *out, const struct front_segment *in,
			   uint16_t nr)
{
	for (uint16_t i = 0; i < nr; i++)
		out[i] = (struct blkif_request_segment){
			.gref = in[i].gref,
			.first_sect = in[i].first,
			.last_sect = in[i].last,
		};
}

/* The segments into the indirect pages, and the pages' references. */
static void write_indirect(uint32_t *grefs, const struct front_request *req)
{
	uint16_t done = 0;

	for (uint16_t i = 0; i < MAX_INDIRECT_PAGES && done < req->nr_segments; i++) {
		uint16_t n = min_u16((uint16_t)(req->nr_segments - done), FRONT_SEGMENTS_PER_PAGE);

		grefs[i] = req->indirect_pages[i].gref;
		write_segments(req->indirect_pages[i].mem, req->segments + done, n);
		done = (uint16_t)(done + n);
	}
}

DEFINE_ABI(x86_64, )
#pragma pack(push, 4)
DEFINE_ABI(x86_32, uint64_t pad;)
#pragma pack(pop)

_Static_assert(sizeof(struct x86_64_request) == 112, "as in blkif.h");
_Static_assert(sizeof(struct x86_64_indirect) == 64, "as in blkif.h");
_Static_assert(sizeof(struct x86_32_request) == 108, "as in blkif.h for i386");
_Static_assert(sizeof(struct x86_32_indirect) == 64, "as in blkif.h for i386");

static const struct {
	const char *protocol;
	uint32_t entry_bytes;
	void (*encode)(const struct front_request *req, void *entry);
	void (*encode_discard)(const struct front_request *req, void *entry);
	void (*encode_indirect)(const struct front_request *req, void *entry);
	void (*decode)(const void *entry, struct front_response *out);
} abis[] = {
	[FRONT_ABI_X86_64] = { XEN_IO_PROTO_ABI_X86_64, sizeof(struct x86_64_request),
			       x86_64_encode, x86_64_encode_discard, x86_64_encode_indirect,
			       x86_64_decode },
	[FRONT_ABI_X86_32] = { XEN_IO_PROTO_ABI_X86_32, sizeof(struct x86_32_request),
			       x86_32_encode, x86_32_encode_discard, x86_32_encode_indirect,
			       x86_32_decode },
	[FRONT_ABI_UNNAMED] = { NULL, sizeof(struct x86_64_request), x86_64_encode,
				x86_64_encode_discard, x86_64_encode_indirect, x86_64_decode },
};

/* Volatile, so that each index is read or written exactly where it stands here. */
typedef volatile uint32_t shared_word __attribute__((may_alias));

static struct blkif_sring *sring(const struct front_ring *r)
{
	return r->shared;
}

static uint32_t read_index(const uint32_t *index)
{
	return *(const shared_word *)index;
}

static void write_index(uint32_t *index, uint32_t value)
{
	*(shared_word *)index = value;
}

static void *entry_at(const struct front_ring *r, uint32_t index)
{
	size_t slot = index & (r->nr_entries - 1);

	return (uint8_t *)r->shared + offsetof(struct blkif_sring, ring) + slot * r->entry_bytes;
}

const char *front_abi_protocol(enum front_abi abi)
{
	return abis[abi].protocol;
}

void front_ring_init(struct front_ring *r, enum front_abi abi, void *shared, uint32_t nr_pages)
{
	size_t room_bytes =
		(size_t)nr_pages * FRONT_PAGE_BYTES - offsetof(struct blkif_sring, ring);

	*r = (struct front_ring){
		.abi = abi,
		.shared = shared,
		.entry_bytes = abis[abi].entry_bytes,
		.nr_entries = 1,
	};
	while (r->nr_entries * 2 * r->entry_bytes <= room_bytes)
		r->nr_entries *= 2;
	memset(shared, 0, (size_t)nr_pages * FRONT_PAGE_BYTES);
	write_index(&sring(r)->req_event, 1);
	write_index(&sring(r)->rsp_event, 1);
}

void front_ring_encode(const struct front_ring *r, const struct front_request *req, void *entry)
{
	memset(entry, 0, FRONT_ENTRY_MAX_BYTES);
	if (req->indirect_pages)
		abis[r->abi].encode_indirect(req, entry);
	else if (req->operation == BLKIF_OP_DISCARD)
		abis[r->abi].encode_discard(req, entry);
	else
		abis[r->abi].encode(req, entry);
}

void front_ring_put_raw(struct front_ring *r, const void *entry)
{
	memcpy(entry_at(r, r->req_prod++), entry, r->entry_bytes);
}

void front_ring_put(struct front_ring *r, const struct front_request *req)
{
	uint8_t entry[FRONT_ENTRY_MAX_BYTES];

	front_ring_encode(r, req, entry);
	front_ring_put_raw(r, entry);
}

bool front_ring_push(struct front_ring *r)
{
	uint32_t before = r->req_pushed, event;

	if (before == r->req_prod)
		return false;
	/* The backend must see the requests before it sees that they are there. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	write_index(&sring(r)->req_prod, r->req_prod);
	r->req_pushed = r->req_prod;
	/*
	 * The backend must see them before we look where it wants an event: it says so first and
	 * looks for requests once more then, so one of us sees the other.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = read_index(&sring(r)->req_event);
	return r->req_prod - event < r->req_prod - before;
}

int front_ring_pending(const struct front_ring *r)
{
	uint32_t pending = read_index(&sring(r)->rsp_prod) - r->rsp_cons;

	/* The index before the entries. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (pending > r->req_pushed - r->rsp_cons)
		return -EPROTO;
	return (int)pending;
}

void front_ring_take(struct front_ring *r, struct front_response *out)
{
	abis[r->abi].decode(entry_at(r, r->rsp_cons++), out);
}

int front_ring_arm(struct front_ring *r)
{
	int pending = front_ring_pending(r);

	if (!pending) {
		write_index(&sring(r)->rsp_event, r->rsp_cons + 1);
		/* It must see where we want an event before we look for the last time. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		pending = front_ring_pending(r);
	}
	return pending > 0 ? 1 : pending;
}
