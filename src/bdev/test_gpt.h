/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_gpt - a disk with a table, for *_test.c files alone
 *
 * It has 256 blocks: partitions 1 "boot" (LBA 40 to 49), 2 "root" (50 to 99) and 4 "data" (120 to
 * 139); 3 is not used. A test changes it, makes its CRCs right again by seal(), and looks what is
 * found.
 */
#ifndef XENBLKD_TEST_GPT_H
#define XENBLKD_TEST_GPT_H

#include <errno.h>
#include <string.h>

#include "gpt.h"
#include "tap.h"

#define NR_BLOCKS	256
#define NR_ENTRIES	8
#define PRIMARY		1
#define BACKUP		(NR_BLOCKS - 1)
#define PRIMARY_ENTRIES 2
#define BACKUP_ENTRIES	(NR_BLOCKS - 3)
#define FIRST_USABLE	10
#define LAST_USABLE	(NR_BLOCKS - 10)

/* Where the fields are, from the tables of UEFI 2.10, 5.3.2 and 5.3.3. */
#define F_REVISION    8
#define F_SIZE	      12
#define F_CRC	      16
#define F_MY_LBA      24
#define F_ALTERNATE   32
#define F_FIRST	      40
#define F_LAST	      48
#define F_ENTRIES     72
#define F_NR	      80
#define F_ENTRY_BYTES 84
#define F_ARRAY_CRC   88
#define E_TYPE	      0
#define E_GUID	      16
#define E_FIRST	      32
#define E_LAST	      40
#define E_NAME	      56

static struct {
	uint32_t block_bytes;
	uint8_t bytes[NR_BLOCKS * 4096];
	uint64_t nr_blocks; /* of those above, that the device is said to have */
	uint64_t fail_lba; /* what starts there cannot be read; 0 for none */
	int fail_err;
	uint64_t highest_lba; /* of those that were read */
	bool misread; /* something was asked for that the contract of the callback excludes */
} disk;

static inline uint8_t *at(uint64_t lba)
{
	return disk.bytes + lba * disk.block_bytes;
}

static inline void put(uint8_t *p, uint64_t value, int len)
{
	for (; len--; value >>= 8)
		*p++ = (uint8_t)value;
}

static inline uint64_t get(const uint8_t *p, int len)
{
	return len ? p[0] | get(p + 1, len - 1) << 8 : 0;
}

/* By half bytes and a table, unlike that of gpt.c. */
static inline uint32_t crc(const uint8_t *p, size_t len)
{
	static const uint32_t half[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t c = 0xffffffff;

	for (; len--; p++) {
		c = half[(c ^ *p) & 15] ^ c >> 4;
		c = half[(c ^ *p >> 4) & 15] ^ c >> 4;
	}
	return c ^ 0xffffffff;
}

static inline void seal(uint64_t lba)
{
	uint8_t *header = at(lba);
	uint64_t first = get(header + F_ENTRIES, 8) * disk.block_bytes;
	uint64_t len = get(header + F_NR, 4) * get(header + F_ENTRY_BYTES, 4);
	uint64_t size = get(header + F_SIZE, 4);

	if (first < sizeof(disk.bytes) && len <= sizeof(disk.bytes) - first)
		put(header + F_ARRAY_CRC, crc(disk.bytes + first, len), 4);
	put(header + F_CRC, 0, 4);
	put(header + F_CRC, crc(header, size <= disk.block_bytes ? size : 92), 4);
}

static inline void seal_both(void)
{
	seal(PRIMARY);
	seal(BACKUP);
}

/* Changes a field of both headers, so that there is nothing to fall back to. */
static inline void set(int field, uint64_t value, int len)
{
	put(at(PRIMARY) + field, value, len);
	put(at(BACKUP) + field, value, len);
	seal_both();
}

static inline void header_make(uint64_t lba, uint64_t other, uint64_t entries)
{
	uint8_t *header = at(lba);

	memcpy(header, "EFI PART", 8);
	put(header + F_REVISION, 0x10000, 4);
	put(header + F_SIZE, 92, 4);
	put(header + F_MY_LBA, lba, 8);
	put(header + F_ALTERNATE, other, 8);
	put(header + F_FIRST, FIRST_USABLE, 8);
	put(header + F_LAST, LAST_USABLE, 8);
	put(header + F_ENTRIES, entries, 8);
	put(header + F_NR, NR_ENTRIES, 4);
	put(header + F_ENTRY_BYTES, 128, 4);
}

static inline uint8_t *entry(int number)
{
	return at(PRIMARY_ENTRIES) + (number - 1) * 128;
}

/* The UUID of partition 4 is 33221100-5544-7766-8899-aabbccddee04. */
static inline void partition(int number, uint64_t first, uint64_t last, const char *name)
{
	static const uint8_t guid[15] =
		"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee";
	uint8_t *p = entry(number);

	memset(p, 0, 128);
	p[E_TYPE + 3] = 0x83;
	memcpy(p + E_GUID, guid, sizeof(guid));
	p[E_GUID + 15] = (uint8_t)number;
	put(p + E_FIRST, first, 8);
	put(p + E_LAST, last, 8);
	for (p += E_NAME; *name; p += 2)
		*p = (uint8_t)*name++;
	memcpy(at(BACKUP_ENTRIES), at(PRIMARY_ENTRIES), NR_ENTRIES * 128);
	seal_both();
}

static inline void mbr_make(uint8_t type)
{
	uint8_t *mbr = at(0);

	mbr[446 + 4] = type;
	put(mbr + 446 + 8, 1, 4);
	put(mbr + 446 + 12, NR_BLOCKS - 1, 4);
	put(mbr + 510, 0xaa55, 2);
}

static inline void disk_make(uint32_t block_bytes)
{
	memset(&disk, 0, sizeof(disk));
	disk.block_bytes = block_bytes;
	disk.nr_blocks = NR_BLOCKS;
	disk.fail_err = -EIO;
	mbr_make(0xee);
	header_make(PRIMARY, BACKUP, PRIMARY_ENTRIES);
	header_make(BACKUP, PRIMARY, BACKUP_ENTRIES);
	partition(1, 40, 49, "boot");
	partition(2, 50, 99, "root");
	partition(4, 120, 139, "data");
}

static inline int disk_read(void *arg, uint64_t offset_bytes, void *buf, uint32_t len_bytes)
{
	uint64_t size_bytes = disk.nr_blocks * disk.block_bytes;
	uint64_t lba = offset_bytes / disk.block_bytes;

	if (!len_bytes || offset_bytes % disk.block_bytes || len_bytes % disk.block_bytes ||
	    offset_bytes >= size_bytes || len_bytes > size_bytes - offset_bytes) {
		disk.misread = true;
		return -ERANGE;
	}
	if (lba > disk.highest_lba)
		disk.highest_lba = lba;
	if (disk.fail_lba && lba == disk.fail_lba)
		return disk.fail_err;
	memcpy(buf, disk.bytes + offset_bytes, len_bytes);
	return 0;
}

static inline int find(const char *selector, struct gpt_extent *out, struct error *e)
{
	return gpt_find(disk_read, NULL, disk.nr_blocks * disk.block_bytes, disk.block_bytes,
			selector, out, e);
}

/* finds - Return: true if @selector gives just the blocks from @first to @last. */
static inline bool finds(const char *selector, uint64_t first, uint64_t last)
{
	struct gpt_extent out = { 0 };
	struct error e = { 0 };
	int err = find(selector, &out, &e);

	if (!err && !disk.misread && out.first_byte == first * disk.block_bytes &&
	    out.size_bytes == (last - first + 1) * disk.block_bytes)
		return true;
	printf("# %s gave %d \"%s\", %llu bytes from %llu\n", selector, err, e.text,
	       (unsigned long long)out.size_bytes, (unsigned long long)out.first_byte);
	return false;
}

/* refuses - Return: true if @selector gives @err, a sentence with @words, and nothing else. */
static inline bool refuses(const char *selector, int err, const char *words)
{
	struct gpt_extent out = { 12345, 67890 };
	struct error e = { 0 };
	int got = find(selector, &out, &e);

	if (got == -err && strstr(e.text, words) && !disk.misread && out.first_byte == 12345 &&
	    out.size_bytes == 67890)
		return true;
	printf("# %s gave %d \"%s\", expected %d \"... %s ...\"\n", selector, got, e.text, -err,
	       words);
	return false;
}

static inline bool table_refused(const char *words)
{
	return refuses("1", EINVAL, words);
}

#endif
