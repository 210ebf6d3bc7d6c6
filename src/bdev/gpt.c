/* SPDX-License-Identifier: BSD-2-Clause */
#include "gpt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpt_selector.h"
#include "log.h"

#define BLOCK_BYTES_MAX 4096

/* An MBR, a header and an array; at least one usable block; an array and a header again. */
#define DEVICE_BLOCKS_MIN 6

/* The header, by UEFI 2.10, 5.3.2: where its fields are, all little-endian. */
#define HEADER_SIGNATURE   "EFI PART"
#define HEADER_REVISION	   8
#define HEADER_SIZE	   12
#define HEADER_CRC	   16
#define HEADER_MY_LBA	   24
#define HEADER_ALTERNATE   32
#define HEADER_FIRST	   40
#define HEADER_LAST	   48
#define HEADER_ENTRIES	   72
#define HEADER_NR_ENTRIES  80
#define HEADER_ENTRY_BYTES 84
#define HEADER_ENTRIES_CRC 88

#define HEADER_BYTES_MIN   92
#define REVISION_1_0	   0x00010000

/* Tools write 128 entries of 128 bytes. The bounds make an array of at most 4 MiB. */
#define ENTRY_BYTES_MAX 4096

#define MBR_PARTITIONS	446
#define MBR_PARTITION	16
#define MBR_TYPE	4
#define MBR_PROTECTIVE	0xee
#define GPT_PRIMARY_LBA 1

struct source {
	gpt_read_fn read;
	void *arg;
	uint64_t last_lba;
	uint32_t block_bytes;
};

struct table {
	bool unsigned_header; /* it was read, and is no GPT header at all */
	uint64_t alternate_lba;
	uint64_t first_usable, last_usable;
	uint64_t entries_lba;
	uint32_t nr_entries, entry_bytes, entries_crc;
	uint8_t *entries;
};

/* The CRC of Ethernet and zlib, without a table: it sees a few KiB each time a disk is opened. */
static uint32_t crc32(const uint8_t *p, size_t len)
{
	uint32_t crc = ~0u;

	while (len--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static int read_blocks(const struct source *src, uint64_t lba, void *buf, uint32_t len_bytes,
		       struct error *e)
{
	int err = src->read(src->arg, lba * src->block_bytes, buf, len_bytes);

	if (err)
		return error_set(e, -err, "LBA %" PRIu64 " cannot be read: %s", lba,
				 strerror(-err));
	return 0;
}

static int mbr_without_gpt(const uint8_t *mbr, struct error *e)
{
	char types[16] = " none";
	uint32_t n = 0;

	for (int i = 0; i < 4; i++) {
		uint8_t type = mbr[MBR_PARTITIONS + i * MBR_PARTITION + MBR_TYPE];

		if (type)
			n += (uint32_t)snprintf(types + n, sizeof(types) - n, " %02x", type);
	}
	return error_set(e, EINVAL,
			 "has no GPT: LBA 0 is an MBR, or a file system's boot sector, with "
			 "partitions of type%s; expected one of type ee (protective)",
			 types);
}

static int mbr_check(const struct source *src, struct error *e)
{
	uint8_t mbr[BLOCK_BYTES_MAX];
	struct error why;
	int err;

	err = read_blocks(src, 0, mbr, src->block_bytes, &why);
	if (err)
		return error_set(e, -err, "shows no GPT: %s", why.text);
	if (mbr[510] != 0x55 || mbr[511] != 0xaa)
		return error_set(
			e, EINVAL,
			"has no GPT: LBA 0 is no MBR, so it is not partitioned; expected a "
			"protective MBR, and a GPT header at LBA 1");
	for (int i = 0; i < 4; i++) {
		if (mbr[MBR_PARTITIONS + i * MBR_PARTITION + MBR_TYPE] == MBR_PROTECTIVE)
			return 0;
	}
	return mbr_without_gpt(mbr, e);
}

/* The CRC is that of the header with zeroes in its own place, and so they are left there. */
static bool header_crc_ok(uint8_t *header, uint32_t header_bytes)
{
	uint32_t crc = gpt_le32(header + HEADER_CRC);

	memset(header + HEADER_CRC, 0, sizeof(crc));
	return crc32(header, header_bytes) == crc;
}

static int header_check(const struct source *src, uint8_t *header, uint64_t lba, struct error *e)
{
	uint32_t revision = gpt_le32(header + HEADER_REVISION);
	uint32_t header_bytes = gpt_le32(header + HEADER_SIZE);
	uint64_t my_lba = gpt_le64(header + HEADER_MY_LBA);

	if (revision != REVISION_1_0)
		return error_set(e, EINVAL, "its revision is %08x, expected %08x", revision,
				 REVISION_1_0);
	if (header_bytes < HEADER_BYTES_MIN || header_bytes > src->block_bytes)
		return error_set(e, EINVAL, "its size is %u bytes, expected %u to %u", header_bytes,
				 HEADER_BYTES_MIN, src->block_bytes);
	if (!header_crc_ok(header, header_bytes))
		return error_set(e, EINVAL, "its CRC is wrong");
	if (my_lba != lba)
		return error_set(e, EINVAL, "it says that it is at LBA %" PRIu64, my_lba);
	return 0;
}

static int header_read(const struct source *src, uint64_t lba, struct table *t, struct error *e)
{
	uint8_t header[BLOCK_BYTES_MAX];
	int err;

	err = read_blocks(src, lba, header, src->block_bytes, e);
	if (err)
		return err;
	if (memcmp(header, HEADER_SIGNATURE, strlen(HEADER_SIGNATURE))) {
		t->unsigned_header = true;
		return error_set(e, EINVAL, "it does not start with " HEADER_SIGNATURE);
	}
	err = header_check(src, header, lba, e);
	if (err)
		return err;
	t->alternate_lba = gpt_le64(header + HEADER_ALTERNATE);
	t->first_usable = gpt_le64(header + HEADER_FIRST);
	t->last_usable = gpt_le64(header + HEADER_LAST);
	t->entries_lba = gpt_le64(header + HEADER_ENTRIES);
	t->nr_entries = gpt_le32(header + HEADER_NR_ENTRIES);
	t->entry_bytes = gpt_le32(header + HEADER_ENTRY_BYTES);
	t->entries_crc = gpt_le32(header + HEADER_ENTRIES_CRC);
	return 0;
}

static uint32_t array_blocks(const struct source *src, const struct table *t)
{
	return (t->nr_entries * t->entry_bytes + src->block_bytes - 1) / src->block_bytes;
}

static int array_check(const struct source *src, const struct table *t, struct error *e)
{
	if (!t->nr_entries || t->nr_entries > GPT_ENTRIES_MAX)
		return error_set(e, EINVAL, "it has %u entries, expected 1 to %u", t->nr_entries,
				 GPT_ENTRIES_MAX);
	if (!t->entry_bytes || t->entry_bytes > ENTRY_BYTES_MAX || t->entry_bytes % 128)
		return error_set(e, EINVAL,
				 "its entries have %u bytes, expected a multiple of 128 up to %u",
				 t->entry_bytes, ENTRY_BYTES_MAX);
	/* Subtracted, not added, so that nothing wraps. */
	if (t->entries_lba <= GPT_PRIMARY_LBA || t->entries_lba >= src->last_lba ||
	    array_blocks(src, t) > src->last_lba - t->entries_lba)
		return error_set(e, EINVAL,
				 "its entries are at LBA %" PRIu64
				 ", expected them between LBA 1 and %" PRIu64,
				 t->entries_lba, src->last_lba);
	return 0;
}

/*
 * The usable blocks leave room for both arrays and headers (5.3.1), also for those of the table that
 * is not read: a partition over the last LBA would let its owner write the next backup.
 */
static int usable_check(const struct source *src, const struct table *t, struct error *e)
{
	uint64_t nr_array = array_blocks(src, t);
	uint64_t first = t->first_usable, last = t->last_usable;

	if (first > last || first <= GPT_PRIMARY_LBA + nr_array || last >= src->last_lba ||
	    nr_array >= src->last_lba - last)
		return error_set(e, EINVAL,
				 "its usable blocks are LBA %" PRIu64 " to %" PRIu64
				 ", expected them within %" PRIu64 " to %" PRId64,
				 first, last, GPT_PRIMARY_LBA + nr_array + 1,
				 (int64_t)(src->last_lba - nr_array - 1));
	if (t->entries_lba <= last && t->entries_lba + nr_array > first)
		return error_set(e, EINVAL,
				 "its entries at LBA %" PRIu64 " are among its usable blocks",
				 t->entries_lba);
	if (t->alternate_lba >= first && t->alternate_lba <= last)
		return error_set(e, EINVAL,
				 "its other copy at LBA %" PRIu64 " is among its usable blocks",
				 t->alternate_lba);
	return 0;
}

static int entries_read(const struct source *src, struct table *t, struct error *e)
{
	uint32_t len_bytes = array_blocks(src, t) * src->block_bytes;
	int err;

	t->entries = malloc(len_bytes);
	if (!t->entries)
		return error_set(e, ENOMEM, "no memory for %u bytes of entries", len_bytes);
	err = read_blocks(src, t->entries_lba, t->entries, len_bytes, e);
	if (!err && crc32(t->entries, (size_t)t->nr_entries * t->entry_bytes) != t->entries_crc)
		err = error_set(e, EINVAL, "the CRC of its entries is wrong");
	if (err) {
		free(t->entries);
		t->entries = NULL;
	}
	return err;
}

static int table_read(const struct source *src, uint64_t lba, struct table *t, struct error *e)
{
	int err;

	*t = (struct table){ 0 };
	err = header_read(src, lba, t, e);
	if (err)
		return err;
	err = array_check(src, t, e);
	if (err)
		return err;
	err = usable_check(src, t, e);
	if (err)
		return err;
	return entries_read(src, t, e);
}

/* A disk that was copied from one with other blocks has its header where nobody looks for it. */
static bool header_of_other_blocks(const struct source *src, uint32_t other_bytes)
{
	uint8_t block[BLOCK_BYTES_MAX];

	return !read_blocks(src, other_bytes / src->block_bytes, block, src->block_bytes, NULL) &&
	       !memcmp(block + other_bytes % src->block_bytes, HEADER_SIGNATURE,
		       strlen(HEADER_SIGNATURE));
}

static int no_header(const struct source *src, struct error *e)
{
	uint32_t other_bytes = src->block_bytes == 512 ? 4096 : 512;

	if (src->last_lba >= 8 && header_of_other_blocks(src, other_bytes))
		return error_set(e, EINVAL,
				 "has a GPT for blocks of %u bytes; expected one for its own of %u",
				 other_bytes, src->block_bytes);
	return error_set(e, EINVAL,
			 "has no GPT: LBA 0 is a protective MBR, but neither LBA 1 nor LBA %" PRIu64
			 ", the last, starts with \"%s\"; expected a GPT header",
			 src->last_lba, HEADER_SIGNATURE);
}

/* table_open - Return: 0 and a table whose entries are to be freed, or -errno. */
static int table_open(const struct source *src, struct table *t, struct error *e)
{
	struct error primary, backup;
	bool was_unsigned;
	int err, backup_err;

	err = table_read(src, GPT_PRIMARY_LBA, t, &primary);
	if (!err)
		return 0;
	/* That says nothing about the table. */
	if (err == -ENOMEM)
		return error_set(e, ENOMEM, "shows no GPT: %s", primary.text);
	was_unsigned = t->unsigned_header;

	backup_err = table_read(src, src->last_lba, t, &backup);
	if (!backup_err) {
		log_warning("GPT header at LBA 1: %s; the backup at LBA %" PRIu64 " is used",
			    primary.text, src->last_lba);
		return 0;
	}
	if (was_unsigned && t->unsigned_header)
		return no_header(src, e);
	return error_set(e, -err,
			 "has no valid GPT: header at LBA 1: %s; backup at LBA %" PRIu64 ": %s",
			 primary.text, src->last_lba, backup.text);
}

static const uint8_t *table_entry(const struct table *t, uint32_t number)
{
	return t->entries + (size_t)(number - 1) * t->entry_bytes;
}

static bool entry_used(const uint8_t *entry)
{
	static const uint8_t unused[16];

	return memcmp(entry + GPT_ENTRY_TYPE, unused, sizeof(unused));
}

/* Numbers of partitions, for a sentence; the text ends in "..." when there are many. */
struct numbers {
	uint32_t count;
	uint32_t last;
	char text[64];
};

static void numbers_add(struct numbers *n, uint32_t number)
{
	size_t len = strlen(n->text);

	n->count++;
	n->last = number;
	if (len + sizeof(", 1024, ...") <= sizeof(n->text))
		snprintf(n->text + len, sizeof(n->text) - len, "%s%u", len ? ", " : "", number);
	else if (n->text[len - 1] != '.')
		snprintf(n->text + len, sizeof(n->text) - len, ", ...");
}

static int entry_select(const struct table *t, const struct gpt_selector *s, uint32_t *number,
			struct error *e)
{
	struct numbers used = { 0 }, found = { 0 };

	for (uint32_t i = 1; i <= t->nr_entries; i++) {
		const uint8_t *entry = table_entry(t, i);

		if (!entry_used(entry))
			continue;
		numbers_add(&used, i);
		if (gpt_selector_matches(s, i, entry))
			numbers_add(&found, i);
	}
	if (found.count > 1)
		return error_set(e, ENOTUNIQ,
				 "has %u partitions with %s %.128s: %s; expected one or a number",
				 found.count, gpt_selector_kind(s), s->text, found.text);
	if (!found.count)
		return error_set(e, ENOENT,
				 "has no partition with %s %.128s; expected one of these: %s",
				 gpt_selector_kind(s), s->text, used.count ? used.text : "none");
	*number = found.last;
	return 0;
}

static int extent_check(const struct table *t, uint32_t number, uint64_t first, uint64_t last,
			struct error *e)
{
	if (first > last)
		return error_set(e, EINVAL,
				 "has partition %u from LBA %" PRIu64 " to %" PRIu64
				 "; expected the first not to be after the last",
				 number, first, last);
	if (first < t->first_usable || last > t->last_usable)
		return error_set(e, EINVAL,
				 "has partition %u from LBA %" PRIu64 " to %" PRIu64
				 "; expected it within those for partitions, LBA %" PRIu64
				 " to %" PRIu64,
				 number, first, last, t->first_usable, t->last_usable);
	for (uint32_t i = 1; i <= t->nr_entries; i++) {
		const uint8_t *other = table_entry(t, i);

		if (i != number && entry_used(other) && gpt_le64(other + GPT_ENTRY_FIRST) <= last &&
		    gpt_le64(other + GPT_ENTRY_LAST) >= first)
			return error_set(e, EINVAL,
					 "has partition %u on blocks of partition %u as well; "
					 "expected them not to overlap",
					 number, i);
	}
	return 0;
}

static int table_find(const struct source *src, const struct table *t, const struct gpt_selector *s,
		      struct gpt_extent *out, struct error *e)
{
	uint64_t first, last;
	uint32_t number = 0;
	int err;

	err = entry_select(t, s, &number, e);
	if (err)
		return err;
	first = gpt_le64(table_entry(t, number) + GPT_ENTRY_FIRST);
	last = gpt_le64(table_entry(t, number) + GPT_ENTRY_LAST);
	err = extent_check(t, number, first, last, e);
	if (err)
		return err;

	/* Within the device's blocks, and so within its 64 bits of bytes. */
	out->first_byte = first * src->block_bytes;
	out->size_bytes = (last - first + 1) * src->block_bytes;
	return 0;
}

int gpt_find(gpt_read_fn read, void *arg, uint64_t size_bytes, uint32_t block_bytes,
	     const char *selector, struct gpt_extent *out, struct error *e)
{
	struct source src = { .read = read, .arg = arg, .block_bytes = block_bytes };
	struct gpt_selector s;
	struct table t;
	int err;

	if (block_bytes != 512 && block_bytes != 4096)
		return error_set(e, EINVAL,
				 "has blocks of %u bytes; expected 512 or 4096 to look for a GPT",
				 block_bytes);
	if (size_bytes / block_bytes < DEVICE_BLOCKS_MIN)
		return error_set(e, EINVAL,
				 "has no GPT: it has %" PRIu64
				 " bytes; expected %u blocks of %u at "
				 "least",
				 size_bytes, DEVICE_BLOCKS_MIN, block_bytes);
	src.last_lba = size_bytes / block_bytes - 1;

	err = gpt_selector_parse(selector, &s, e);
	if (err)
		return err;
	err = mbr_check(&src, e);
	if (err)
		return err;
	err = table_open(&src, &t, e);
	if (err)
		return err;
	err = table_find(&src, &t, &s, out, e);
	free(t.entries);
	return err;
}
