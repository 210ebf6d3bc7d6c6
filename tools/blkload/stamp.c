/* SPDX-License-Identifier: BSD-2-Clause */
#include "stamp.h"

#include <string.h>

#define STAMP_MAGIC  0x64616f6c6b6c62a5ull
#define STAMP_WORDS  (STAMP_BYTES / 8)
#define HEADER_WORDS 3u
#define PATTERN	     0xdec0addec0adde5aull
#define GOLDEN	     0x9e3779b97f4a7c15ull /* 2^64 / golden ratio: all bits differ */

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint64_t body_key(const struct stamp *s)
{
	return mix(mix(s->sector + GOLDEN) ^ ((uint64_t)s->run << 32 | s->generation));
}

void stamp_write(void *mem, const struct stamp *s)
{
	uint64_t words[STAMP_WORDS] = { STAMP_MAGIC, s->sector,
					(uint64_t)s->run << 32 | s->generation };
	uint64_t key = body_key(s);

	for (uint32_t i = HEADER_WORDS; i < STAMP_WORDS; i++)
		words[i] = key ^ i * GOLDEN;
	memcpy(mem, words, sizeof(words));
}

enum stamp_verdict stamp_check(const void *mem, uint32_t run, uint64_t sector, uint32_t oldest,
			       uint32_t newest, struct stamp *found)
{
	uint64_t words[STAMP_WORDS], key, differ = 0;

	memcpy(words, mem, sizeof(words));
	*found = (struct stamp){ words[1], (uint32_t)words[2], (uint32_t)(words[2] >> 32) };
	if (words[0] != STAMP_MAGIC || found->run != run)
		return oldest ? STAMP_FOREIGN : STAMP_GOOD;
	key = body_key(found);
	for (uint32_t i = HEADER_WORDS; i < STAMP_WORDS; i++)
		differ |= words[i] ^ key ^ i * GOLDEN;
	if (differ)
		return STAMP_TORN;
	if (found->sector != sector)
		return STAMP_MISPLACED;
	if (found->generation < oldest)
		return STAMP_STALE;
	return found->generation > newest ? STAMP_EARLY : STAMP_GOOD;
}

const char *stamp_verdict_name(enum stamp_verdict v)
{
	static const char *const names[STAMP_NR_VERDICTS] = {
		[STAMP_GOOD] = "good",		 [STAMP_FOREIGN] = "foreign",
		[STAMP_MISPLACED] = "misplaced", [STAMP_STALE] = "stale",
		[STAMP_EARLY] = "early",	 [STAMP_TORN] = "torn",
		[STAMP_MISSING] = "missing",
	};

	return names[v];
}

/* Each word knows its place, so that a copy to the wrong one is seen. */
static uint64_t pattern_word(size_t offset)
{
	return PATTERN + offset * GOLDEN;
}

void pattern_fill(void *page, size_t offset, size_t len_bytes)
{
	for (size_t at = offset; at < offset + len_bytes; at += sizeof(uint64_t)) {
		uint64_t word = pattern_word(at);

		memcpy((uint8_t *)page + at, &word, sizeof(word));
	}
}

size_t pattern_check(const void *page, size_t offset, size_t len_bytes)
{
	for (size_t at = 0; at < len_bytes; at += sizeof(uint64_t)) {
		uint64_t word = pattern_word(offset + at), is;

		memcpy(&is, (const uint8_t *)page + offset + at, sizeof(is));
		if (is != word)
			return at + (size_t)__builtin_ctzll(is ^ word) / 8;
	}
	return len_bytes;
}
