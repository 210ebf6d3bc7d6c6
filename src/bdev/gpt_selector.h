/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gpt_selector - which partition somebody means, by its number, PARTUUID or PARTLABEL. gpt.c's other half.
 */
#ifndef XENBLKD_BDEV_GPT_SELECTOR_H
#define XENBLKD_BDEV_GPT_SELECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* More entries than this no table may have; tools write 128. */
#define GPT_ENTRIES_MAX 1024

/* Where the fields of an entry are, by UEFI 2.10, 5.3.3; all little-endian. */
#define GPT_ENTRY_TYPE	0
#define GPT_ENTRY_GUID	16
#define GPT_ENTRY_FIRST 32
#define GPT_ENTRY_LAST	40
#define GPT_ENTRY_NAME	56

static inline uint32_t gpt_le16(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t gpt_le32(const uint8_t *p)
{
	return gpt_le16(p) | gpt_le16(p + 2) << 16;
}

static inline uint64_t gpt_le64(const uint8_t *p)
{
	return gpt_le32(p) | (uint64_t)gpt_le32(p + 4) << 32;
}

struct gpt_selector {
	enum {
		BY_NUMBER,
		BY_GUID,
		BY_LABEL
	} kind;
	const char *text; /* without the prefix */
	uint64_t number;
	uint8_t guid[16];
};

/* gpt_selector_parse - Return: 0 and *@s, which points into @text; or -EINVAL and *@e. */
int gpt_selector_parse(const char *text, struct gpt_selector *s, struct error *e);

/* gpt_selector_matches - whether @entry, which is in use and the table's @number-th, from 1, is meant. */
bool gpt_selector_matches(const struct gpt_selector *s, uint32_t number, const uint8_t *entry);

/* gpt_selector_kind - by what, in a word. */
const char *gpt_selector_kind(const struct gpt_selector *s);

#endif
