/* SPDX-License-Identifier: BSD-2-Clause */
#include "load_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define MAX_COMPLAINTS 20

void check_complain(struct load *l, const char *fmt, ...)
{
	static uint32_t complaints;
	char text[200];
	va_list ap;

	if (__atomic_add_fetch(&complaints, 1, __ATOMIC_RELAXED) > MAX_COMPLAINTS)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "blkload: queue %u: %s\n", l->index, text);
}

struct span {
	uint8_t *page;
	size_t start, end; /* bytes of the page that are data */
};

static struct span span_of(const struct load *l, const struct load_slot *slot, uint32_t segment)
{
	const struct front_segment *seg = &slot->segments[segment];

	return (struct span){
		.page = front_page(&l->pages, slot->first_page + segment),
		.start = seg->first * FRONT_SECTOR_BYTES,
		.end = (seg->last + 1u) * FRONT_SECTOR_BYTES,
	};
}

static void prepare_write(struct load *l, struct load_slot *slot)
{
	uint64_t sector = slot->op.sector;

	for (uint32_t i = 0; i < slot->nr_segments; i++) {
		struct span s = span_of(l, slot, i);

		pattern_fill(s.page, 0, s.start);
		for (size_t at = s.start; at < s.end; at += STAMP_BYTES, sector++) {
			struct stamp stamp = { sector, shadow_issue(l->shadow, sector),
					       l->shadow->run };

			stamp_write(s.page + at, &stamp);
		}
		pattern_fill(s.page, s.end, FRONT_PAGE_BYTES - s.end);
	}
}

void check_prepare(struct load *l, struct load_slot *slot)
{
	if (op_writes(&slot->op)) {
		prepare_write(l, slot);
		return;
	}
	for (uint32_t i = 0; i < slot->nr_segments; i++)
		pattern_fill(span_of(l, slot, i).page, 0, FRONT_PAGE_BYTES);
	for (uint32_t i = 0; slot->op.kind == OP_DISCARD && i < slot->op.nr_sectors; i++)
		shadow_forget(l->shadow, slot->op.sector + i);
}

static void check_surroundings(struct load *l, const struct load_slot *slot)
{
	for (uint32_t i = 0; i < slot->nr_segments; i++) {
		struct span s = span_of(l, slot, i);
		size_t at = pattern_check(s.page, 0, s.start);

		if (at == s.start)
			at = s.end + pattern_check(s.page, s.end, FRONT_PAGE_BYTES - s.end);
		if (at == FRONT_PAGE_BYTES)
			continue;
		l->result.touched++;
		check_complain(
			l,
			"byte %zu of a page was changed by a request for bytes %zu to %zu of "
			"it",
			at, s.start, s.end - 1);
	}
}

static void check_sector(struct load *l, const uint8_t *page, size_t at, uint64_t sector)
{
	const struct shadow_sector *known = &l->shadow->sectors[sector];
	struct stamp found;
	enum stamp_verdict v = stamp_check(page + at, l->shadow->run, sector, known->written,
					   known->issued, &found);

	if (found.run != l->shadow->run && pattern_check(page, at, STAMP_BYTES) == STAMP_BYTES)
		v = STAMP_MISSING;
	l->result.checked++;
	if (v == STAMP_GOOD)
		return;
	l->result.wrong[v]++;
	check_complain(l,
		       "sector %" PRIu64 " is %s: it says sector %" PRIu64 ", generation %u, run "
		       "%#x, expected generation %u to %u, run %#x",
		       sector, stamp_verdict_name(v), found.sector, found.generation, found.run,
		       known->written, known->issued, l->shadow->run);
}

static void check_read(struct load *l, const struct load_slot *slot)
{
	uint64_t sector = slot->op.sector;

	for (uint32_t i = 0; i < slot->nr_segments; i++) {
		struct span s = span_of(l, slot, i);

		for (size_t at = s.start; at < s.end; at += STAMP_BYTES)
			check_sector(l, s.page, at, sector++);
	}
}

void check_answer(struct load *l, struct load_slot *slot, bool good)
{
	check_surroundings(l, slot);
	if (!good)
		return;
	if (slot->op.kind == OP_READ)
		check_read(l, slot);
	for (uint32_t i = 0; op_writes(&slot->op) && i < slot->op.nr_sectors; i++)
		shadow_acknowledge(l->shadow, slot->op.sector + i);
}
