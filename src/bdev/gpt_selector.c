/* SPDX-License-Identifier: BSD-2-Clause */
#include "gpt_selector.h"

#include <errno.h>
#include <string.h>

#define NAME_UNITS	36
#define NAME_UTF8_BYTES (NAME_UNITS * 3 + 1) /* a pair of units makes 4 bytes, one at most 3 */

const char *gpt_selector_kind(const struct gpt_selector *s)
{
	static const char *const names[] = { "number", "PARTUUID", "PARTLABEL" };

	return names[s->kind];
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* As text the first three fields are numbers; on the disk they are little-endian (appendix A). */
static bool guid_parse(const char *text, uint8_t guid[16])
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	const char *p = text;

	for (int i = 0; i < 16; i++) {
		int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *p++ != '-')
			return false;
		high = hex_digit(*p);
		if (high < 0)
			return false;
		low = hex_digit(p[1]);
		if (low < 0)
			return false;
		guid[order[i]] = (uint8_t)(high << 4 | low);
		p += 2;
	}
	return !*p;
}

static char *utf8_put(char *p, uint32_t c)
{
	if (c < 0x80) {
		*p++ = (char)c;
		return p;
	}
	if (c < 0x800) {
		*p++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*p++ = (char)(0xe0 | c >> 12);
		} else {
			*p++ = (char)(0xf0 | c >> 18);
			*p++ = (char)(0x80 | (c >> 12 & 0x3f));
		}
		*p++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*p++ = (char)(0x80 | (c & 0x3f));
	return p;
}

/* name_to_utf8 - Return: false if it is not UTF-16: it has a surrogate without its other half. */
static bool name_to_utf8(const uint8_t *name, char utf8[NAME_UTF8_BYTES])
{
	for (uint32_t i = 0; i < NAME_UNITS; i++) {
		uint32_t c = gpt_le16(name + 2 * i);

		if (!c)
			break;
		if (c >= 0xd800 && c < 0xe000) {
			uint32_t low = ++i < NAME_UNITS ? gpt_le16(name + 2 * i) : 0;

			if (c >= 0xdc00 || low < 0xdc00 || low >= 0xe000)
				return false;
			c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
		}
		utf8 = utf8_put(utf8, c);
	}
	*utf8 = '\0';
	return true;
}

static bool number_parse(const char *text, uint64_t *number)
{
	const char *p = text;

	*number = 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		/* It saturates: what is too large is still a number, of no partition. */
		if (*number <= GPT_ENTRIES_MAX)
			*number = *number * 10 + (uint64_t)(*p - '0');
	}
	return p != text && !*p;
}

static const char *after_prefix(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) ? NULL : text + len;
}

int gpt_selector_parse(const char *text, struct gpt_selector *s, struct error *e)
{
	const char *guid = after_prefix(text, "PARTUUID=");
	const char *label = after_prefix(text, "PARTLABEL=");

	*s = (struct gpt_selector){ .text = guid ? guid : label ? label : text };
	if (guid && !guid_parse(guid, s->guid))
		return error_set(e, EINVAL,
				 "has no partition with PARTUUID %.64s; expected 8-4-4-4-12 "
				 "hexadecimal digits",
				 guid);
	/* An empty label would be that of all partitions without one. */
	if (!*s->text)
		return error_set(e, EINVAL,
				 "has no partition without a name; expected a number, PARTUUID=... "
				 "or PARTLABEL=...");
	if (guid)
		s->kind = BY_GUID;
	else if (label)
		s->kind = BY_LABEL;
	else if (number_parse(text, &s->number))
		s->kind = BY_NUMBER;
	else
		s->kind = guid_parse(text, s->guid) ? BY_GUID : BY_LABEL;
	return 0;
}

bool gpt_selector_matches(const struct gpt_selector *s, uint32_t number, const uint8_t *entry)
{
	char label[NAME_UTF8_BYTES];

	switch (s->kind) {
	case BY_NUMBER:
		return s->number == number;
	case BY_GUID:
		return !memcmp(s->guid, entry + GPT_ENTRY_GUID, sizeof(s->guid));
	case BY_LABEL:
		return name_to_utf8(entry + GPT_ENTRY_NAME, label) && !strcmp(s->text, label);
	}
	return false;
}
