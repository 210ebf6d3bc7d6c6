/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stamp - what a sector holds so that it can be told from all others, and from its own past.
 *
 * A stamped sector says which one it is, how often it was written (its generation) and in which run,
 * and fills the rest with words that follow from these; so one that is misplaced, old, or put
 * together from two writes is found by looking at it alone.
 *
 * Around the data of a request, in the same granted pages, lies a pattern that nobody may touch; it is
 * also where a read will put its data, so that a read that brings nothing is seen.
 *
 * Thread: any; no state.
 */
#ifndef BLKLOAD_STAMP_H
#define BLKLOAD_STAMP_H

#include <stddef.h>
#include <stdint.h>

#define STAMP_BYTES 512u /* one sector */

struct stamp {
	uint64_t sector;
	uint32_t generation;
	uint32_t run;
};

enum stamp_verdict {
	STAMP_GOOD,
	STAMP_FOREIGN, /* not a stamp of this run */
	STAMP_MISPLACED, /* a stamp of another sector */
	STAMP_STALE, /* of this sector, but older than what was acknowledged */
	STAMP_EARLY, /* of this sector, but newer than what was ever written */
	STAMP_TORN, /* it begins as a stamp and goes on as something else */
	STAMP_MISSING, /* the pattern that was there before: nothing was read */
	STAMP_NR_VERDICTS,
};

/* stamp_write - fills a sector. */
void stamp_write(void *mem, const struct stamp *s);

/**
 * stamp_check - what a sector that was read holds
 *
 * @run, @sector: what it should be
 * @oldest, @newest: generations that it may be of; @oldest 0: also anything foreign
 * @found: what it says it is, if it is a stamp at all
 */
enum stamp_verdict stamp_check(const void *mem, uint32_t run, uint64_t sector, uint32_t oldest,
			       uint32_t newest, struct stamp *found);

/* stamp_verdict_name - "stale". */
const char *stamp_verdict_name(enum stamp_verdict v);

/* pattern_fill - @len_bytes, a multiple of 8, of the untouchable pattern at @offset of its page. */
void pattern_fill(void *page, size_t offset, size_t len_bytes);

/* pattern_check - Return: bytes before the first that was touched; @len_bytes if none was. */
size_t pattern_check(const void *page, size_t offset, size_t len_bytes);

#endif
