/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disk of most tests has 256 blocks: partitions 1 "boot" (LBA 40 to 49), 2 "root" (50 to 99) and
 * 4 "data" (120 to 139); 3 is not used. A test changes it, makes its CRCs right again by seal(), and
 * looks what is found.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "gpt.h"
#include "log.h"
#include "test_file.h"

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
	uint64_t fail_lba;  /* what starts there cannot be read; 0 for none */
	int fail_err;
	uint64_t highest_lba; /* of those that were read */
	bool misread; /* something was asked for that the contract of the callback excludes */
} disk;

static uint8_t *at(uint64_t lba)
{
	return disk.bytes + lba * disk.block_bytes;
}

static void put(uint8_t *p, uint64_t value, int len)
{
	for (; len--; value >>= 8)
		*p++ = (uint8_t)value;
}

static uint64_t get(const uint8_t *p, int len)
{
	return len ? p[0] | get(p + 1, len - 1) << 8 : 0;
}

/* By half bytes and a table, unlike that of gpt.c. */
static uint32_t crc(const uint8_t *p, size_t len)
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

static void seal(uint64_t lba)
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

static void seal_both(void)
{
	seal(PRIMARY);
	seal(BACKUP);
}

/* Changes a field of both headers, so that there is nothing to fall back to. */
static void set(int field, uint64_t value, int len)
{
	put(at(PRIMARY) + field, value, len);
	put(at(BACKUP) + field, value, len);
	seal_both();
}

static void header_make(uint64_t lba, uint64_t other, uint64_t entries)
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

static uint8_t *entry(int number)
{
	return at(PRIMARY_ENTRIES) + (number - 1) * 128;
}

/* The UUID of partition 4 is 33221100-5544-7766-8899-aabbccddee04. */
static void partition(int number, uint64_t first, uint64_t last, const char *name)
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

static void mbr_make(uint8_t type)
{
	uint8_t *mbr = at(0);

	mbr[446 + 4] = type;
	put(mbr + 446 + 8, 1, 4);
	put(mbr + 446 + 12, NR_BLOCKS - 1, 4);
	put(mbr + 510, 0xaa55, 2);
}

static void disk_make(uint32_t block_bytes)
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

static int disk_read(void *arg, uint64_t offset_bytes, void *buf, uint32_t len_bytes)
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

static int find(const char *selector, struct gpt_extent *out, struct error *e)
{
	return gpt_find(disk_read, NULL, disk.nr_blocks * disk.block_bytes, disk.block_bytes,
			selector, out, e);
}

/* finds - Return: true if @selector gives just the blocks from @first to @last. */
static bool finds(const char *selector, uint64_t first, uint64_t last)
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
static bool refuses(const char *selector, int err, const char *words)
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

static bool table_refused(const char *words)
{
	return refuses("1", EINVAL, words);
}

static void helper_has_the_right_crc(void)
{
	check_eq(crc((const uint8_t *)"123456789", 9), 0xcbf43926);
}

static void finds_by_number(void)
{
	disk_make(512);
	check(finds("1", 40, 49));
	check(finds("2", 50, 99));
	check(finds("4", 120, 139));
}

static void finds_on_blocks_of_4096_bytes(void)
{
	disk_make(4096);
	check(finds("1", 40, 49));
	check(finds("PARTLABEL=root", 50, 99));
	check(finds("33221100-5544-7766-8899-aabbccddee04", 120, 139));
}

static void refuses_a_number_without_partition(void)
{
	disk_make(512);
	check(refuses("3", ENOENT,
		      "has no partition with number 3; expected one of these: 1, 2, 4"));
	check(refuses("0", ENOENT, "has no partition with number 0"));
	check(refuses("9", ENOENT, "has no partition with number 9"));
	check(refuses("4294967297", ENOENT, "has no partition with number 4294967297"));
	check(refuses("18446744073709551617", ENOENT, "has no partition with number 184467"));
}

static void finds_by_uuid(void)
{
	disk_make(512);
	check(finds("PARTUUID=33221100-5544-7766-8899-aabbccddee02", 50, 99));
	check(finds("33221100-5544-7766-8899-AABBCCDDEE02", 50, 99));
	check(refuses("33221100-5544-7766-8899-aabbccddee03", ENOENT,
		      "has no partition with PARTUUID 33221100-5544-7766-8899-aabbccddee03"));
}

static void refuses_what_is_not_a_uuid(void)
{
	static const char *const texts[] = {
		"PARTUUID=",
		"PARTUUID=2",
		"PARTUUID=33221100-5544-7766-8899-aabbccddee0",
		"PARTUUID=33221100-5544-7766-8899-aabbccddee",
		"PARTUUID=33221100-5544-7766-8899-aabbccddee022",
		"PARTUUID=33221100-5544-7766-8899-aabbccddee0g",
		"PARTUUID=33221100-5544-7766-88990aabbccddee02",
		"PARTUUID=3322110-05544-7766-8899-aabbccddee02",
		"PARTUUID=33221100554477668899aabbccddee02",
		"PARTUUID={33221100-5544-7766-8899-aabbccddee02}",
	};

	disk_make(512);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		check(refuses(texts[i], EINVAL, "; expected 8-4-4-4-12 hexadecimal digits"));
}

static void finds_by_label(void)
{
	disk_make(512);
	check(finds("PARTLABEL=root", 50, 99));
	check(finds("data", 120, 139));
	check(refuses("Data", ENOENT, "has no partition with PARTLABEL Data; expected one of"));
	check(refuses("dat", ENOENT, "has no partition with PARTLABEL dat"));
	check(refuses("data ", ENOENT, "has no partition with PARTLABEL data "));
}

static void prefix_makes_digits_a_label(void)
{
	disk_make(512);
	partition(4, 120, 139, "2");
	check(finds("PARTLABEL=2", 120, 139));
	check(finds("2", 50, 99));
	partition(4, 120, 139, "33221100-5544-7766-8899-aabbccddee02");
	check(finds("PARTLABEL=33221100-5544-7766-8899-aabbccddee02", 120, 139));
	check(finds("33221100-5544-7766-8899-aabbccddee02", 50, 99));
}

static void refuses_an_empty_selector(void)
{
	disk_make(512);
	partition(4, 120, 139, "");
	check(refuses("", EINVAL, "expected a number, PARTUUID="));
	check(refuses("PARTLABEL=", EINVAL, "expected a number, PARTUUID="));
}

static void finds_a_label_without_terminator(void)
{
	disk_make(512);
	partition(4, 120, 139, "a label of thirty-six letters: 56789");
	memset(entry(4) + 128, 0, 128);
	check(finds("a label of thirty-six letters: 56789", 120, 139));
	check(refuses("a label of thirty-six letters: 5678", ENOENT, "has no partition with"));
	check(refuses("a label of thirty-six letters: 567890", ENOENT, "has no partition with"));
}

/* name - gives partition 4 a label of @n UTF-16 units. */
static void name(const uint16_t *units, size_t n)
{
	partition(4, 120, 139, "");
	for (size_t i = 0; i < n; i++)
		put(entry(4) + E_NAME + 2 * i, units[i], 2);
	memcpy(at(BACKUP_ENTRIES), at(PRIMARY_ENTRIES), NR_ENTRIES * 128);
	seal_both();
}

static void label_of_other_alphabets_is_utf8(void)
{
	static const uint16_t units[] = { 0x007f, 0x00e9, 0x07ff, 0x0800, 0xffff, 0xd83d,
					  0xdcbe, 0xdbff, 0xdfff, 0xe000, 0x0000, 0xd800 };

	disk_make(512);
	name(units, 12);
	check(finds("\x7f\xc3\xa9\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x9f\x92\xbe\xf4\x8f\xbf\xbf"
		    "\xee\x80\x80",
		    120, 139));
}

static void longest_label_in_utf8_fits(void)
{
	char text[36 * 3 + 1] = "";
	uint16_t units[36];

	for (int i = 0; i < 36; i++) {
		units[i] = 0x20ac;
		strcat(text, "\xe2\x82\xac");
	}
	disk_make(512);
	name(units, 36);
	check(finds(text, 120, 139));
}

static void label_with_a_bad_surrogate_does_not_match(void)
{
	static const struct {
		uint16_t units[4];
		const char *careless; /* what they give when some check is left out */
	} labels[] = {
		{ { 'a', 0xd83d }, "a" },
		{ { 'a', 0xd83d }, "a\xed\xa0\xbd" },
		{ { 'a', 0xd83d, 'b' }, "a\xef\x91\xa2" },
		{ { 'a', 0xd83d, 0xd83d }, "a\xef\xb0\xbd" },
		{ { 'a', 0xd83d, 0xe000 }, "a\xf0\x9f\x90\x80" },
		{ { 'a', 0xdcbe, 'b' }, "ab" },
		{ { 'a', 0xdcbe, 0xdcbe }, "a\xf4\xbf\xa2\xbe" },
		{ { 'a', 0xdcbe, 0xd83d }, "a\xf0\x9f\x92\xbe" },
		{ { 'a', 0xd83d, 0xd83d, 0xdcbe }, "a\xf0\x9f\x92\xbe" },
	};

	disk_make(512);
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		name(labels[i].units, 4);
		check(refuses(labels[i].careless, ENOENT, "has no partition with PARTLABEL a"));
		check(finds("4", 120, 139));
	}
}

static void surrogate_at_the_end_does_not_take_from_the_next_entry(void)
{
	uint16_t units[36];

	for (int i = 0; i < 36; i++)
		units[i] = i < 35 ? 'a' : 0xd83d;
	disk_make(512);
	put(entry(5), 0xdcbe, 2);
	name(units, 36);
	check(refuses("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xf0\x9f\x92\xbe", ENOENT, "1, 2, 4, 5"));
	check(refuses("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ENOENT, "1, 2, 4, 5"));
}

static void refuses_an_ambiguous_label(void)
{
	disk_make(512);
	partition(4, 120, 139, "root");
	check(refuses("root", ENOTUNIQ,
		      "has 2 partitions with PARTLABEL root: 2, 4; expected one"));
	check(finds("boot", 40, 49));
}

static void refuses_an_ambiguous_uuid(void)
{
	disk_make(512);
	memcpy(entry(4) + E_GUID, entry(1) + E_GUID, 16);
	seal(PRIMARY);
	check(refuses("PARTUUID=33221100-5544-7766-8899-aabbccddee01", ENOTUNIQ, ": 1, 4; expect"));
}

static void sentence_about_many_partitions_is_bounded(void)
{
	disk_make(4096);
	for (int i = 1; i <= 1024; i++)
		entry(i)[E_TYPE] = 1;
	set(F_FIRST, 34, 8);
	set(F_LAST, 222, 8);
	set(F_NR, 1024, 4);
	check(refuses("none", ENOENT,
		      "expected one of these: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, "));
	check(refuses("none", ENOENT, ", 15, 16, ..."));
	check(finds("boot", 40, 49));
}

static void says_that_a_table_is_empty(void)
{
	disk_make(512);
	for (int i = 1; i <= NR_ENTRIES; i++)
		memset(entry(i), 0, 128);
	seal(PRIMARY);
	check(refuses("1", ENOENT, "expected one of these: none"));
}

static void says_that_it_is_not_partitioned(void)
{
	disk_make(512);
	at(0)[510] = 0;
	check(table_refused("has no GPT: LBA 0 is no MBR, so it is not partitioned; expec"));
	memset(at(0), 0, 512);
	check(table_refused("has no GPT: LBA 0 is no MBR, so it is not partitioned; expec"));
}

static void says_that_it_has_an_mbr(void)
{
	disk_make(512);
	memset(disk.bytes, 0, sizeof(disk.bytes));
	mbr_make(0x83);
	at(0)[446 + 16 + 4] = 0x0c;
	check(table_refused("has no GPT: LBA 0 is an MBR, or a file system's boot sector"));
	check(table_refused("of type 83 0c; expected one of type ee (protective)"));
	mbr_make(0);
	at(0)[446 + 16 + 4] = 0;
	check(table_refused("of type none; expected"));
}

/* What is left of a table, or was made to be found, behind an MBR that owns the device. */
static void table_without_protective_mbr_does_not_count(void)
{
	disk_make(512);
	mbr_make(0x83);
	check(table_refused("has no GPT: LBA 0 is an MBR"));
	memset(at(PRIMARY), 0, 512);
	check(table_refused("has no GPT: LBA 0 is an MBR"));
}

static void hybrid_mbr_counts(void)
{
	disk_make(512);
	mbr_make(0x83);
	at(0)[446 + 3 * 16 + 4] = 0xee;
	check(finds("1", 40, 49));
}

static void says_that_there_is_no_header(void)
{
	disk_make(512);
	memset(at(PRIMARY), 0, 512);
	memset(at(BACKUP), 0, 512);
	check(table_refused("has no GPT: LBA 0 is a protective MBR, but neither LBA 1 nor"));
	check(table_refused("LBA 255, the last, starts with \"EFI PART\"; expected"));
	disk.nr_blocks = 6;
	check(table_refused("LBA 5, the last, starts with \"EFI PART\"; expected"));
}

static void says_what_is_wrong_with_both_headers(void)
{
	disk_make(512);
	at(BACKUP)[F_CRC] ^= 1;
	memset(at(PRIMARY), 0, 512);
	check(table_refused("has no valid GPT: header at LBA 1: it does not start with EFI"));
	check(table_refused("EFI PART; backup at LBA 255: its CRC is wrong"));
}

static void says_that_the_table_is_for_other_blocks(void)
{
	disk_make(512);
	disk.block_bytes = 4096;
	check(table_refused("has a GPT for blocks of 512 bytes; expected one for its own of 4"));
	disk_make(4096);
	disk.block_bytes = 512;
	check(table_refused("has a GPT for blocks of 4096 bytes; expected one for its own of"));
}

static void refuses_other_block_sizes(void)
{
	static const uint32_t sizes[] = { 0, 1, 520, 1024, 8192, 0x80000000 };
	struct gpt_extent out;
	struct error e;

	disk_make(512);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		check_eq(gpt_find(disk_read, NULL, 1 << 20, sizes[i], "1", &out, &e), -EINVAL);
		check(strstr(e.text, "; expected 512 or 4096 to look for a GPT"));
	}
}

static void refuses_a_device_too_small_for_a_table(void)
{
	struct gpt_extent out;
	struct error e;

	disk_make(512);
	for (uint64_t size_bytes = 0; size_bytes < 6 * 512; size_bytes += 511) {
		check_eq(gpt_find(disk_read, NULL, size_bytes, 512, "1", &out, &e), -EINVAL);
		check(strstr(e.text, "bytes; expected 6 blocks of 512 at least"));
	}
	check(!disk.highest_lba);
}

static void bytes_after_the_last_block_do_not_count(void)
{
	struct gpt_extent out;

	disk_make(4096);
	memset(at(PRIMARY), 0, 4096);
	check_eq(gpt_find(disk_read, NULL, NR_BLOCKS * 4096 + 512, 4096, "1", &out, NULL), 0);
	check_eq(out.first_byte, 40 * 4096);
}

static void refuses_another_revision(void)
{
	disk_make(512);
	set(F_REVISION, 0x20000, 4);
	check(table_refused("LBA 1: its revision is 00020000, expected 00010000; backup at"));
}

static void refuses_a_header_of_another_size(void)
{
	disk_make(512);
	set(F_SIZE, 91, 4);
	check(table_refused("its size is 91 bytes, expected 92 to 512"));
	set(F_SIZE, 513, 4);
	check(table_refused("its size is 513 bytes, expected 92 to 512"));
	set(F_SIZE, 0xffffffff, 4);
	check(table_refused("its size is 4294967295 bytes, expected 92 to 512"));
}

static void header_may_fill_its_block(void)
{
	disk_make(512);
	at(PRIMARY)[511] = 1;
	set(F_SIZE, 512, 4);
	check(finds("1", 40, 49));
	at(PRIMARY)[511] = 2;
	memset(at(BACKUP), 0, 512);
	check(table_refused("LBA 1: its CRC is wrong; backup at LBA 255: it does not start"));
}

static void refuses_a_header_with_a_wrong_crc(void)
{
	disk_make(512);
	at(PRIMARY)[F_CRC] ^= 1;
	at(BACKUP)[56] ^= 1;
	check(table_refused("has no valid GPT: header at LBA 1: its CRC is wrong; backup at"));
	check(table_refused("backup at LBA 255: its CRC is wrong"));
}

static void refuses_a_header_of_another_place(void)
{
	disk_make(512);
	set(F_MY_LBA, 7, 8);
	check(table_refused("it says that it is at LBA 7"));
}

static void refuses_entries_without_number(void)
{
	disk_make(512);
	set(F_NR, 0, 4);
	check(table_refused("it has 0 entries, expected 1 to 1024"));
	set(F_NR, 1025, 4);
	check(table_refused("it has 1025 entries, expected 1 to 1024"));
	set(F_NR, 0x02000000, 4); /* by 128 that is 0 in 32 bits */
	check(table_refused("it has 33554432 entries, expected 1 to 1024"));
}

static void refuses_entries_of_another_size(void)
{
	static const uint32_t sizes[] = { 0, 1, 64, 127, 129, 192, 4097, 4224, 0x80000000 };

	disk_make(512);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		set(F_ENTRY_BYTES, sizes[i], 4);
		check(table_refused("bytes, expected a multiple of 128 up to 4096"));
	}
}

static void entries_may_be_larger(void)
{
	disk_make(512);
	set(F_ENTRY_BYTES, 256, 4);
	check(finds("1", 40, 49));
	/* What was entry 3 is now the second one. */
	check(refuses("3", ENOENT, "expected one of these: 1"));
	partition(3, 140, 149, "wide");
	set(F_ENTRY_BYTES, 256, 4);
	check(finds("2", 140, 149));
}

static void refuses_entries_that_are_not_between_the_headers(void)
{
	static const uint64_t lbas[] = { 0, 1, 254, 255, 256, 1ull << 55, ~0ull - 1, ~0ull };

	disk_make(512);
	for (size_t i = 0; i < sizeof(lbas) / sizeof(lbas[0]); i++) {
		set(F_ENTRIES, lbas[i], 8);
		check(table_refused(", expected them between LBA 1 and 255"));
	}
	set(F_ENTRIES, 253, 8);
	check(finds("1", 40, 49));
}

static void refuses_entries_among_the_partitions(void)
{
	disk_make(512);
	set(F_ENTRIES, 100, 8);
	check(table_refused("its entries at LBA 100 are among its usable blocks"));
	set(F_ENTRIES, FIRST_USABLE - 1, 8);
	check(table_refused("its entries at LBA 9 are among its usable blocks"));
	set(F_ENTRIES, LAST_USABLE, 8);
	check(table_refused("its entries at LBA 246 are among its usable blocks"));
	memcpy(at(LAST_USABLE + 1), at(PRIMARY_ENTRIES), NR_ENTRIES * 128);
	set(F_ENTRIES, LAST_USABLE + 1, 8);
	check(finds("1", 40, 49));
}

static void refuses_entries_with_a_wrong_crc(void)
{
	disk_make(512);
	entry(NR_ENTRIES)[127] ^= 1;
	at(BACKUP_ENTRIES)[0] ^= 1;
	check(table_refused("LBA 1: the CRC of its entries is wrong; backup at"));
	check(table_refused("LBA 255: the CRC of its entries is wrong"));
}

static void refuses_usable_blocks_over_a_table(void)
{
	disk_make(512);
	set(F_FIRST, 3, 8);
	check(table_refused("usable blocks are LBA 3 to 246, expected them within 4 to 252"));
	set(F_FIRST, 0, 8);
	check(table_refused("usable blocks are LBA 0 to 246, expected them within 4 to 252"));
	set(F_FIRST, 4, 8);
	check(finds("1", 40, 49));
	set(F_LAST, 252, 8);
	check(finds("1", 40, 49));
	set(F_LAST, 253, 8);
	check(table_refused("usable blocks are LBA 4 to 253, expected them within 4 to 252"));
}

static void refuses_usable_blocks_outside_of_the_device(void)
{
	static const uint64_t lbas[] = { 254, 255, 256, 1ull << 55, ~0ull - 1, ~0ull };

	disk_make(512);
	for (size_t i = 0; i < sizeof(lbas) / sizeof(lbas[0]); i++) {
		set(F_LAST, lbas[i], 8);
		check(table_refused(", expected them within 4 to 252"));
	}
	set(F_LAST, FIRST_USABLE - 1, 8);
	check(table_refused("usable blocks are LBA 10 to 9, expected"));
}

static void refuses_the_other_header_among_the_partitions(void)
{
	disk_make(512);
	set(F_ALTERNATE, 100, 8);
	check(table_refused("its other copy at LBA 100 is among its usable blocks"));
}

static void refuses_an_extent_that_ends_before_it_starts(void)
{
	disk_make(512);
	partition(4, 139, 138, "data");
	check(refuses("data", EINVAL,
		      "has partition 4 from LBA 139 to 138; expected the first not"));
	check(finds("2", 50, 99));
}

static void extent_may_be_one_block(void)
{
	disk_make(512);
	partition(4, 120, 120, "data");
	check(finds("data", 120, 120));
}

static void refuses_an_extent_outside_of_the_usable_blocks(void)
{
	static const uint64_t extents[][2] = {
		{ FIRST_USABLE - 1, 20 }, { 0, 20 },
		{ PRIMARY, PRIMARY },	  { 200, LAST_USABLE + 1 },
		{ 200, BACKUP },	  { 200, NR_BLOCKS },
		{ 200, ~0ull },		  { 1ull << 55, 1ull << 55 },
		{ ~0ull, ~0ull },	  { 0, ~0ull },
	};

	disk_make(512);
	for (size_t i = 0; i < sizeof(extents) / sizeof(extents[0]); i++) {
		partition(4, extents[i][0], extents[i][1], "data");
		check(refuses("4", EINVAL,
			      "; expected it within those for partitions, LBA 10 to 246"));
	}
	partition(4, 200, LAST_USABLE, "data");
	check(finds("4", 200, LAST_USABLE));
	partition(4, FIRST_USABLE, 20, "data");
	check(finds("4", FIRST_USABLE, 20));
}

static void refuses_an_extent_that_overlaps_another(void)
{
	static const uint64_t extents[][2] = { { 99, 110 }, { 60, 70 }, { 30, 110 }, { 50, 99 } };

	disk_make(512);
	for (size_t i = 0; i < sizeof(extents) / sizeof(extents[0]); i++) {
		partition(4, extents[i][0], extents[i][1], "data");
		check(refuses("2", EINVAL,
			      "has partition 2 on blocks of partition 4 as well; expe"));
		check(refuses("4", EINVAL, "has partition 4 on blocks of partition "));
	}
	check(finds("1", 40, 49));
	partition(4, 100, 110, "data");
	check(finds("2", 50, 99));
	check(finds("4", 100, 110));
}

static void unused_entry_overlaps_nothing(void)
{
	disk_make(512);
	partition(3, 40, 139, "gone");
	memset(entry(3) + E_TYPE, 0, 16);
	seal(PRIMARY);
	check(finds("1", 40, 49));
	check(refuses("gone", ENOENT, "has no partition with PARTLABEL gone"));
}

static void good_primary_is_used_alone(void)
{
	disk_make(512);
	memset(at(BACKUP), 0, 512);
	disk.fail_lba = BACKUP;
	check(finds("1", 40, 49));
	check(disk.highest_lba < FIRST_USABLE);
	check(refuses("3", ENOENT, "has no partition"));
	check(disk.highest_lba < FIRST_USABLE);
}

/* falls_back - Return: true if partition 1 is found where only the backup says that it is. */
static bool falls_back(void)
{
	put(at(BACKUP_ENTRIES) + E_FIRST, 45, 8);
	seal(BACKUP);
	return finds("1", 45, 49);
}

static void falls_back_to_the_backup(void)
{
	disk_make(512);
	memset(at(PRIMARY), 0, 512);
	check(falls_back());
	disk_make(4096);
	at(PRIMARY)[F_CRC] ^= 1;
	check(falls_back());
	disk_make(512);
	put(at(PRIMARY) + F_LAST, NR_BLOCKS, 8);
	seal(PRIMARY);
	check(falls_back());
}

static void falls_back_from_entries_that_are_bad(void)
{
	disk_make(512);
	entry(1)[E_LAST] ^= 1;
	check(falls_back());
}

static void falls_back_from_what_cannot_be_read(void)
{
	disk_make(512);
	disk.fail_lba = PRIMARY;
	check(falls_back());
	disk_make(512);
	disk.fail_lba = PRIMARY_ENTRIES;
	check(falls_back());
}

static void says_what_cannot_be_read(void)
{
	disk_make(512);
	memset(at(BACKUP), 0, 512);
	disk.fail_lba = PRIMARY;
	check(refuses("1", EIO,
		      "LBA 1: LBA 1 cannot be read: Input/output error; backup at LBA 255"));
	disk.fail_lba = PRIMARY_ENTRIES;
	check(refuses("1", EIO,
		      "LBA 1: LBA 2 cannot be read: Input/output error; backup at LBA 255"));
}

static void does_not_fall_back_for_want_of_memory(void)
{
	disk_make(512);
	disk.fail_lba = PRIMARY_ENTRIES;
	disk.fail_err = -ENOMEM;
	check(refuses("1", ENOMEM, "shows no GPT: LBA 2 cannot be read: Cannot allocate memory"));
	check(disk.highest_lba < FIRST_USABLE);
}

static int read_nothing(void *arg, uint64_t offset_bytes, void *buf, uint32_t len_bytes)
{
	return -ENODEV;
}

static void says_that_nothing_can_be_read(void)
{
	struct gpt_extent out;
	struct error e;

	check_eq(gpt_find(read_nothing, NULL, 1 << 20, 512, "1", &out, &e), -ENODEV);
	check(strstr(e.text, "shows no GPT: LBA 0 cannot be read: No such device"));
}

/* logged - what finding partition 1 writes to standard error; "" if nothing. */
static const char *logged(void)
{
	static char text[1024];
	int saved = dup(STDERR_FILENO);
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct gpt_extent out;
	ssize_t n;

	dup2(fd, STDERR_FILENO);
	log_set_level(LOG_LEVEL_WARNING);
	find("1", &out, NULL);
	log_set_level(LOG_LEVEL_ERROR);
	dup2(saved, STDERR_FILENO);
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	close(fd);
	close(saved);
	return text;
}

static void warns_of_the_backup_alone(void)
{
	disk_make(512);
	check(!*logged());
	at(PRIMARY)[F_CRC] ^= 1;
	check(strstr(logged(), "LBA 1: its CRC is wrong; the backup at LBA 255 is used"));
	at(BACKUP)[F_CRC] ^= 1;
	check(!*logged());
}

/* A stranger's table: one of a few fields at random, CRCs that are right. */
static void scramble(unsigned int *seed)
{
	static const uint64_t odd[] = { 0, 1, 2, 9, 253, 255, 256, 1ull << 32, 1ull << 55, ~0ull };
	static const int fields[] = { F_SIZE, F_MY_LBA,	 F_ALTERNATE, F_FIRST,
				      F_LAST, F_ENTRIES, F_NR,	      F_ENTRY_BYTES };
	uint8_t *p = at(rand_r(seed) % 4 ? PRIMARY : BACKUP) + fields[rand_r(seed) % 8];

	if (rand_r(seed) % 2)
		p = entry(1 + rand_r(seed) % NR_ENTRIES) + rand_r(seed) % 15 * 8;
	if (rand_r(seed) % 3)
		put(p, odd[rand_r(seed) % 10], rand_r(seed) % 2 ? 4 : 8);
	else
		p[rand_r(seed) % 2] = (uint8_t)rand_r(seed);
}

static void whatever_the_table_says_leads_nowhere_else(void)
{
	static const char *const selectors[] = { "1", "2", "4", "root", "data" };
	unsigned int seed = 1;
	uint32_t found = 0;

	for (int i = 0; i < 5000; i++) {
		uint64_t block_bytes = i % 8 ? 512 : 4096;
		struct gpt_extent out;

		disk_make((uint32_t)block_bytes);
		for (int n = rand_r(&seed) % 4; n >= 0; n--)
			scramble(&seed);
		seal_both();
		if (find(selectors[i % 5], &out, NULL))
			continue;
		found++;
		check(out.first_byte >= 4 * block_bytes && out.first_byte < 253 * block_bytes);
		check(out.size_bytes && out.size_bytes <= 253 * block_bytes - out.first_byte);
		check(out.first_byte % block_bytes == 0 && out.size_bytes % block_bytes == 0);
	}
	check(!disk.misread);
	check(found > 500 && found < 4500);
}

static int file_read(void *arg, uint64_t offset_bytes, void *buf, uint32_t len_bytes)
{
	return pread(*(int *)arg, buf, len_bytes, (off_t)offset_bytes) == len_bytes ? 0 : -EIO;
}

/* file_finds - Return: true if @selector gives these bytes of a file of 64 MiB. */
static bool file_finds(int fd, uint32_t block_bytes, const char *selector, uint64_t first_byte,
		       uint64_t size_bytes)
{
	struct gpt_extent out = { 0 };
	struct error e = { 0 };

	if (!gpt_find(file_read, &fd, 64 << 20, block_bytes, selector, &out, &e) &&
	    out.first_byte == first_byte && out.size_bytes == size_bytes)
		return true;
	printf("# %s: \"%s\", %llu bytes from %llu\n", selector, e.text,
	       (unsigned long long)out.size_bytes, (unsigned long long)out.first_byte);
	return false;
}

static bool sfdisk(const char *path)
{
	char command[PATH_MAX * 2];

	snprintf(command, sizeof(command),
		 "PATH=$PATH:/usr/sbin:/sbin\n"
		 "sfdisk --quiet --no-reread --no-tell-kernel '%s' >/dev/null 2>&1 <<'EOF'\n"
		 "label: gpt\n"
		 "start=1MiB size=4MiB name=boot uuid=01234567-89AB-CDEF-0123-456789ABCDEF\n"
		 "start=8MiB size=16MiB name=\"root \xc3\xa9\"\n"
		 "EOF",
		 path);
	return !system(command);
}

static void reads_a_table_of_sfdisk(const char *path, uint32_t block_bytes)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	check(file_finds(fd, block_bytes, "1", 1 << 20, 4 << 20));
	check(file_finds(fd, block_bytes, "01234567-89ab-cdef-0123-456789abcdef", 1 << 20,
			 4 << 20));
	check(file_finds(fd, block_bytes, "root \xc3\xa9", 8 << 20, 16 << 20));
	check_eq(pwrite(fd, "gone", 4, block_bytes), 4);
	check(file_finds(fd, block_bytes, "PARTLABEL=boot", 1 << 20, 4 << 20));
	close(fd);
}

static void reads_a_table_of_sfdisk_for_512(void)
{
	const char *path = temp_file("disk", 64 << 20);

	if (!sfdisk(path))
		skip("there is no sfdisk here");
	reads_a_table_of_sfdisk(path, 512);
}

static void reads_a_table_of_sfdisk_for_4096(void)
{
	struct loop loop;
	bool made;

	if (!loop_open(&loop, temp_file("disk", 64 << 20), 4096, 0))
		skip("no loop device may be made here");
	made = sfdisk(loop.path);
	if (made)
		reads_a_table_of_sfdisk(loop.path, 4096);
	close(loop.fd);
	if (!made)
		skip("there is no sfdisk here");
}

int main(void)
{
	char cwd[PATH_MAX / 4];

	if (!getcwd(cwd, sizeof(cwd)) || !temp_start(cwd))
		return 1;
	log_set_level(LOG_LEVEL_ERROR);
	tap_run(helper_has_the_right_crc);
	tap_run(finds_by_number);
	tap_run(finds_on_blocks_of_4096_bytes);
	tap_run(refuses_a_number_without_partition);
	tap_run(finds_by_uuid);
	tap_run(refuses_what_is_not_a_uuid);
	tap_run(finds_by_label);
	tap_run(prefix_makes_digits_a_label);
	tap_run(refuses_an_empty_selector);
	tap_run(finds_a_label_without_terminator);
	tap_run(label_of_other_alphabets_is_utf8);
	tap_run(longest_label_in_utf8_fits);
	tap_run(label_with_a_bad_surrogate_does_not_match);
	tap_run(surrogate_at_the_end_does_not_take_from_the_next_entry);
	tap_run(refuses_an_ambiguous_label);
	tap_run(refuses_an_ambiguous_uuid);
	tap_run(sentence_about_many_partitions_is_bounded);
	tap_run(says_that_a_table_is_empty);
	tap_run(says_that_it_is_not_partitioned);
	tap_run(says_that_it_has_an_mbr);
	tap_run(table_without_protective_mbr_does_not_count);
	tap_run(hybrid_mbr_counts);
	tap_run(says_that_there_is_no_header);
	tap_run(says_what_is_wrong_with_both_headers);
	tap_run(says_that_the_table_is_for_other_blocks);
	tap_run(refuses_other_block_sizes);
	tap_run(refuses_a_device_too_small_for_a_table);
	tap_run(bytes_after_the_last_block_do_not_count);
	tap_run(refuses_another_revision);
	tap_run(refuses_a_header_of_another_size);
	tap_run(header_may_fill_its_block);
	tap_run(refuses_a_header_with_a_wrong_crc);
	tap_run(refuses_a_header_of_another_place);
	tap_run(refuses_entries_without_number);
	tap_run(refuses_entries_of_another_size);
	tap_run(entries_may_be_larger);
	tap_run(refuses_entries_that_are_not_between_the_headers);
	tap_run(refuses_entries_among_the_partitions);
	tap_run(refuses_entries_with_a_wrong_crc);
	tap_run(refuses_usable_blocks_over_a_table);
	tap_run(refuses_usable_blocks_outside_of_the_device);
	tap_run(refuses_the_other_header_among_the_partitions);
	tap_run(refuses_an_extent_that_ends_before_it_starts);
	tap_run(extent_may_be_one_block);
	tap_run(refuses_an_extent_outside_of_the_usable_blocks);
	tap_run(refuses_an_extent_that_overlaps_another);
	tap_run(unused_entry_overlaps_nothing);
	tap_run(good_primary_is_used_alone);
	tap_run(falls_back_to_the_backup);
	tap_run(falls_back_from_entries_that_are_bad);
	tap_run(falls_back_from_what_cannot_be_read);
	tap_run(says_what_cannot_be_read);
	tap_run(does_not_fall_back_for_want_of_memory);
	tap_run(says_that_nothing_can_be_read);
	tap_run(warns_of_the_backup_alone);
	tap_run(whatever_the_table_says_leads_nowhere_else);
	tap_run(reads_a_table_of_sfdisk_for_512);
	tap_run(reads_a_table_of_sfdisk_for_4096);
	temp_end();
	return tap_end();
}
