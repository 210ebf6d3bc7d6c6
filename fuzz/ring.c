/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's ring: indices and entries of its choosing, before we look and between two looks. */
#include <errno.h>

#include "input.h"
#include "request.h"
#include "ring.h"

#include <xen/io/blkif.h>

#define MAX_ENTRIES 512u
#define MAX_STEPS   64

struct guest {
	struct input *in;
	struct ring ring;
	struct request_limits limits;
	struct request taken[MAX_ENTRIES]; /* in the order of the ring; to be answered */
	uint32_t first, nr;
};

static void check_segments(const struct segment *segs, const struct request *req)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < req->nr_segments; i++) {
		must(segs[i].len_bytes && segs[i].len_bytes % SECTOR_BYTES == 0);
		must(segs[i].offset_bytes % SECTOR_BYTES == 0);
		must(segs[i].offset_bytes + segs[i].len_bytes <= RING_PAGE_BYTES);
		sum += segs[i].len_bytes;
	}
	must(req->op == REQUEST_DISCARD || sum == req->len_bytes);
}

static void check_good(const struct guest *g, const struct request *req)
{
	const struct request_limits *l = &g->limits;
	bool writes = req->op == REQUEST_WRITE || req->op == REQUEST_DISCARD || req->nr_segments;

	must(req->op <= REQUEST_DISCARD);
	must(req->offset_bytes <= l->size_bytes);
	must(req->len_bytes <= l->size_bytes - req->offset_bytes);
	must(req->op == REQUEST_READ || !writes || !l->read_only);
	must(req->op != REQUEST_DISCARD || l->discard);
	must((req->op != REQUEST_FLUSH && req->op != REQUEST_BARRIER) || l->flush);
	must(request_is_sound(req, l->max_indirect_segments) && request_is_allowed(req, l));
	must(request_indirect_pages(req) <= REQUEST_MAX_INDIRECT_PAGES);
	if (!req->indirect)
		check_segments(req->segments, req);
}

/* The second half of an indirect request, from pages that the guest fills now. */
static void fetch(struct guest *g, struct request *req)
{
	struct raw_segments *copies[REQUEST_MAX_INDIRECT_PAGES];
	const struct raw_segments *pages[REQUEST_MAX_INDIRECT_PAGES];
	struct segment *segs = malloc(req->nr_segments * sizeof(*segs));
	uint32_t nr_pages = request_indirect_pages(req);

	must(segs);
	for (uint32_t i = 0; i < nr_pages; i++) {
		uint16_t bytes = request_indirect_bytes(req, i);

		/* No more is valid of it than that. */
		copies[i] = malloc(bytes);
		must(copies[i]);
		memset(copies[i], 0, bytes);
		input_bytes(g->in, copies[i], bytes < 64 ? bytes : 64);
		pages[i] = copies[i];
	}
	if (request_parse_segments(req, pages, &g->limits, segs) == BLKIF_RSP_OKAY) {
		check_segments(segs, req);
		must(request_is_allowed(req, &g->limits));
	}
	for (uint32_t i = 0; i < nr_pages; i++)
		free(copies[i]);
	free(segs);
}

static void take(struct guest *g)
{
	int pending = ring_pending(&g->ring);

	must(pending == -EPROTO ||
	     (pending >= 0 && (uint32_t)pending <= g->ring.nr_entries - ring_unanswered(&g->ring)));
	while (pending-- > 0) {
		struct request req;
		int16_t status = request_peek(&g->ring, &g->limits, &req);

		must(status == BLKIF_RSP_OKAY || status == BLKIF_RSP_ERROR ||
		     status == BLKIF_RSP_EOPNOTSUPP);
		if (status == BLKIF_RSP_OKAY) {
			check_good(g, &req);
			if (req.indirect)
				fetch(g, &req);
		}
		g->taken[(g->first + g->nr++) % MAX_ENTRIES] = req;
		ring_consume(&g->ring);
	}
}

static void answer(struct guest *g)
{
	const struct request *req = &g->taken[g->first % MAX_ENTRIES];
	const struct abi *abi = g->ring.abi;
	const uint8_t *at = (uint8_t *)g->ring.shared + 64 +
			    (g->ring.rsp_prod & (g->ring.nr_entries - 1)) * abi->entry_bytes;

	if (!g->nr)
		return;
	ring_respond(&g->ring, req->id, req->operation, BLKIF_RSP_OKAY);
	must(!memcmp(at, &req->id, sizeof(req->id)));
	must(at[offsetof(struct abi_response, operation)] == req->operation);
	g->first++;
	g->nr--;
}

/* What a guest may do between any two of our steps: to an index, or to an entry. */
static void scribble(struct guest *g, uint8_t how)
{
	uint32_t indices[4], slot, value;
	uint8_t *shared = g->ring.shared;

	if (how & 1) {
		slot = (g->ring.req_cons + input_u8(g->in)) & (g->ring.nr_entries - 1);
		input_bytes(g->in, shared + 64 + slot * g->ring.abi->entry_bytes,
			    g->ring.abi->entry_bytes);
		return;
	}
	memcpy(indices, shared, sizeof(indices));
	value = how & 2 ? input_u32(g->in) : g->ring.req_cons + input_u8(g->in);
	indices[how >> 2 & 3] = value;
	memcpy(shared, indices, sizeof(indices));
}

static void begin(struct guest *g, uint8_t *shared, uint32_t nr_pages, uint8_t flags)
{
	const struct abi *abi = flags & 1 ? &abi_x86_32 : &abi_x86_64;
	static const uint16_t indirect[] = { 0, 1, 256, 4096 };

	g->limits = (struct request_limits){
		.size_bytes = input_u64(g->in) / SECTOR_BYTES * SECTOR_BYTES,
		.read_only = flags & 2,
		.flush = flags & 4,
		.discard = flags & 8,
		.max_indirect_segments = indirect[flags >> 4 & 3],
	};
	input_bytes(g->in, shared, 16);
	if (flags & 0x40) {
		uint32_t req_cons = input_u32(g->in), rsp_prod = input_u32(g->in);

		if (ring_resume(&g->ring, abi, shared, nr_pages, req_cons, rsp_prod))
			g->in->left = 0;
		else
			/* Whoever inherits has these from elsewhere. */
			g->nr = ring_unanswered(&g->ring);
	} else if (ring_attach(&g->ring, abi, shared, nr_pages)) {
		g->in->left = 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	static struct guest g;
	uint32_t nr_pages = 1u << input_u8(&in) % 5;
	uint8_t *shared = aligned_alloc(RING_PAGE_BYTES, nr_pages * RING_PAGE_BYTES);
	int armed;

	must(shared);
	memset(shared, 0, nr_pages * RING_PAGE_BYTES);
	memset(&g, 0, sizeof(g));
	g.in = &in;
	begin(&g, shared, nr_pages, input_u8(&in));
	for (int i = 0; i < MAX_STEPS && in.left; i++) {
		uint8_t op = input_u8(&in);

		switch (op % 8) {
		case 0:
			take(&g);
			break;
		case 1:
			answer(&g);
			break;
		case 2:
			ring_push(&g.ring);
			must(g.ring.rsp_pushed == g.ring.rsp_prod);
			break;
		case 3:
			armed = ring_arm(&g.ring);
			must(armed == 0 || armed == 1 || armed == -EPROTO);
			break;
		default:
			scribble(&g, op >> 3);
		}
		must(ring_unanswered(&g.ring) == g.nr && g.nr <= g.ring.nr_entries);
	}
	free(shared);
	return 0;
}
