/* SPDX-License-Identifier: BSD-2-Clause */
#include "plan.h"

#define SECTORS_PER_PAGE (FRONT_PAGE_BYTES / FRONT_SECTOR_BYTES)

/* splitmix64, then the upper part of a product: no bias that matters here. */
uint64_t random_below(uint64_t *state, uint64_t n)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	x ^= x >> 31;
	return (uint64_t)((unsigned __int128)x * n >> 64);
}

static enum op_kind pick_kind(struct plan *p)
{
	uint64_t n = p->made;

	if (p->discard_every && n % p->discard_every == 0)
		return OP_DISCARD;
	if (p->barrier_every && n % p->barrier_every == 0)
		return OP_BARRIER;
	return random_below(&p->random_state, 100) < p->read_percent ? OP_READ : OP_WRITE;
}

static void pick_place(struct plan *p, struct op *op)
{
	uint64_t places;

	op->nr_sectors =
		(uint32_t)(p->min_sectors +
			   random_below(&p->random_state, p->max_sectors - p->min_sectors + 1));
	if (p->random) {
		places = (p->nr_sectors - op->nr_sectors) / p->align_sectors + 1;
		op->sector = p->first + random_below(&p->random_state, places) * p->align_sectors;
		return;
	}
	if (p->next + op->nr_sectors > p->nr_sectors)
		p->next = 0;
	op->sector = p->first + p->next;
	p->next += op->nr_sectors;
}

void plan_next(struct plan *p, struct op *out)
{
	*out = (struct op){ .kind = OP_FLUSH };
	if (p->flush_due) {
		p->flush_due = false;
		return;
	}
	p->made++;
	p->flush_due = p->flush_every && p->made % p->flush_every == 0;
	out->kind = pick_kind(p);
	pick_place(p, out);
}

bool op_conflict(const struct op *a, const struct op *b)
{
	if (a->kind == OP_READ && b->kind == OP_READ)
		return false;
	return a->sector < b->sector + b->nr_sectors && b->sector < a->sector + a->nr_sectors;
}

uint32_t layout_pages(uint32_t nr_sectors, struct extent *out)
{
	uint32_t nr = 0;

	for (; nr_sectors > SECTORS_PER_PAGE; nr_sectors -= SECTORS_PER_PAGE)
		out[nr++] = (struct extent){ 0, SECTORS_PER_PAGE - 1 };
	out[nr++] = (struct extent){ 0, (uint8_t)(nr_sectors - 1) };
	return nr;
}

uint32_t layout_random(uint64_t *random_state, uint32_t nr_sectors, uint32_t max,
		       struct extent *out)
{
	uint32_t nr = 0;

	while (nr_sectors) {
		uint32_t most = nr_sectors < SECTORS_PER_PAGE ? nr_sectors : SECTORS_PER_PAGE;
		/* As many as the segments behind this one cannot hold. */
		uint32_t room = (max - nr - 1) * SECTORS_PER_PAGE;
		uint32_t least = nr_sectors > room ? nr_sectors - room : 1;
		uint32_t len = least + (uint32_t)random_below(random_state, most - least + 1);
		uint32_t first = (uint32_t)random_below(random_state, SECTORS_PER_PAGE - len + 1);

		out[nr++] = (struct extent){ (uint8_t)first, (uint8_t)(first + len - 1) };
		nr_sectors -= len;
	}
	return nr;
}
