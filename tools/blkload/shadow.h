/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shadow - what each sector of a disk must hold: the generation that was written last.
 *
 * Two numbers a sector: the generation that was issued last, and the one that was acknowledged last.
 * They are the same but for a write in flight, or one that failed or whose end nobody saw; the sector
 * may then be of any generation between.
 *
 * With a file the shadow outlives the process, killed or not: another one goes on with it.
 *
 * Thread: a sector belongs to one thread at a time.
 */
#ifndef BLKLOAD_SHADOW_H
#define BLKLOAD_SHADOW_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct shadow_sector {
	uint32_t written, issued; /* generations; written 0: it may hold anything */
};

struct shadow {
	void *mem;
	size_t mem_bytes;
	struct shadow_sector *sectors;
	uint64_t nr_sectors;
	uint32_t run; /* that stamps name: of the process that made the shadow */
};

/**
 * shadow_open - of @nr_sectors sectors, none of them written
 *
 * @path: a file, made if it is not there, gone on with if it is; NULL: in memory alone
 * @run: for a fresh one
 *
 * Return: 0; -EINVAL if the file is no shadow of a disk of that size; -errno. *@e says why.
 */
int shadow_open(struct shadow *s, const char *path, uint64_t nr_sectors, uint32_t run,
		struct error *e);
void shadow_close(struct shadow *s);

/* shadow_issue - a sector is about to be written. Return: the generation to write. */
static inline uint32_t shadow_issue(struct shadow *s, uint64_t sector)
{
	return ++s->sectors[sector].issued;
}

/* shadow_acknowledge - what was issued last was written. */
static inline void shadow_acknowledge(struct shadow *s, uint64_t sector)
{
	s->sectors[sector].written = s->sectors[sector].issued;
}

/* shadow_forget - it was discarded, or is about to be: it may hold anything. */
static inline void shadow_forget(struct shadow *s, uint64_t sector)
{
	s->sectors[sector].written = 0;
}

/**
 * shadow_next - the next run of sectors, from @from on and before @end, that something is known of
 *
 * Return: how many, at most @max, from *@first on; 0 if there are none.
 */
uint64_t shadow_next(const struct shadow *s, uint64_t from, uint64_t end, uint64_t max,
		     uint64_t *first);

#endif
